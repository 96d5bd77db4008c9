"""What pages say of an app's domains and certificates."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from apps import acm
from apps.certificates import SOON_DAYS
from apps.models import App, Certificate, Domain
from dashboard.forms import Form


@dataclass(frozen=True)
class Line:
    """A domain, and the certificates that it may answer with."""

    domain: Domain
    choices: list[Certificate]

    @property
    def coming(self) -> str:
        """How getting its certificate stands, while there is something to say of it."""
        domain = self.domain
        if domain.acm_status == acm.PENDING:
            return "A certificate is being got for it"
        if domain.acm_status in (acm.FAILING, acm.FAILED):
            return f"No certificate came for it: {domain.acm_reason}"
        return ""


def domains_of(app: App) -> dict[str, Any]:
    """The app's domains with what they may answer with, and its certificates with how many domains each serves."""
    certificates = list(app.certificates.defer("chain", "sealed_key").annotate(serves=Count("domains")))
    known = {one.pk: one for one in certificates}
    lines = []
    for domain in app.domains.all():
        domain.certificate = known.get(domain.certificate_id) if domain.certificate_id else None
        lines.append(Line(domain, [one for one in certificates if one.covers(domain.hostname)]))
    return {
        "domains": lines,
        "certificates": certificates,
        "first_end": _first_end(lines),
        "automatic": bool(settings.ACME_URL),
    }


def standing(certificate: Certificate) -> tuple[str, str]:
    """How long it is good for, as a state and its words."""
    days = (certificate.expires_at - timezone.now()).days
    if certificate.expires_at <= timezone.now():
        return "failed", f"Expired on {certificate.expires_at:%-d %B %Y}: browsers warn visitors"
    if days < SOON_DAYS:
        left = {0: "today", 1: "in 1 day"}.get(days, f"in {days} days")
        return "degraded", f"Expires {left}, on {certificate.expires_at:%-d %B %Y}"
    return "passed", f"Until {certificate.expires_at:%-d %B %Y}"


def _first_end(lines: list[Line]) -> Certificate | None:
    """The certificate in use that ends first, if that is soon."""
    used = [line.domain.certificate for line in lines if line.domain.certificate]
    first = min(used, key=lambda one: one.expires_at, default=None)
    return first if first and (first.expires_at - timezone.now()).days < SOON_DAYS else None


def form_of(chain: str = "") -> Form:
    """What was sent of a certificate. The key is never given back: it has to be sent anew."""
    return Form(certificate_chain=chain, private_key="")
