"""How a thing stands, as templates draw it: `{% stands release %}`, `{% stands build "badge" %}`."""

from django import template
from django.utils.safestring import SafeString

from apps.models import Dyno
from dashboard import standing
from dashboard.templatetags.slipway import badge, span, status
from releases.models import Build, Release

register = template.Library()


@register.simple_tag
def stands(thing: Build | Release | Dyno, shape: str = "status") -> SafeString:
    """A glyph and a word for the state of a build, release or dyno."""
    if isinstance(thing, Build):
        state = standing.of_build(thing)
    elif isinstance(thing, Release):
        state = standing.of_release(thing)
    else:
        state = standing.of_dyno(thing)
    return (badge if shape == "badge" else status)(state.kind, state.label)


@register.simple_tag
def took(job: Build | Release) -> str:
    """How long a job took, once it has ended."""
    if job.finished_at is None or job.started_at is None:
        return ""
    return span((job.finished_at - job.started_at).total_seconds())
