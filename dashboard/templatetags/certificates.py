"""How long certificates are good for, in templates."""

from django import template
from django.utils.safestring import SafeString

from apps.models import Certificate
from dashboard import certificates
from dashboard.templatetags.slipway import status

register = template.Library()


@register.simple_tag
def standing(certificate: Certificate) -> SafeString:
    """As glyph and words."""
    return status(*certificates.standing(certificate))


@register.simple_tag
def standing_words(certificate: Certificate) -> str:
    """The words alone."""
    return certificates.standing(certificate)[1]
