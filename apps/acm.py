"""Certificates that come by themselves: which domains are to have one, and what became of it."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from apps.models import App, Certificate, CertificateOrder, Domain
from core import activity, live
from core.errors import Refusal
from engine.certificates import Facts

RENEW_DAYS = 30  # before its end, a certificate is replaced
PENDING, ISSUED, FAILING, FAILED = "pending", "cert issued", "failing", "failed"  # as the CLI knows them
# After so many failures in a row a domain waits for somebody to ask again, or for a day to pass.
PAUSES = (timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
DAILY = timedelta(days=1)
AT_ONCE = 100  # domains that are ordered for in one look
WILD = "A name with a star can't be proven by HTTP. Add a certificate of your own for it."
OFF = (
    "Slipway does not get certificates by itself on this platform. Add one of your own instead: "
    "heroku certs:add server.crt server.key"
)


def demand_authority() -> None:
    """`Refusal` unless this platform gets certificates by itself."""
    if not settings.ACME_URL:
        raise Refusal(OFF)


@transaction.atomic
def enable(app: App, *, by: User) -> App:
    """Get certificates for the domains of `app`, and renew them."""
    demand_authority()
    App.objects.filter(pk=app.pk).update(acm=True)
    app.acm = True
    activity.record(by, "turned on automatic certificates of", app)
    for domain in app.domains.all():
        order(domain)
    return app


@transaction.atomic
def refresh(app: App, *, by: User) -> App:
    """Try again now for domains without a certificate of their own."""
    demand_authority()
    if not app.acm:
        raise Refusal("Automatic certificates are off for this app. Turn them on: heroku certs:auto:enable")
    activity.record(by, "asked again for certificates of", app)
    for domain in app.domains.select_related("certificate"):
        if is_due(domain, timezone.now()):
            order(domain)
    return app


@transaction.atomic
def disable(app: App, *, by: User) -> App:
    """Get no more certificates for `app`. Those that it has stay until they end."""
    if app.acm:
        App.objects.filter(pk=app.pk).update(acm=False)
        app.acm = False
        app.domains.update(acm_status="", acm_reason="", acm_failures=0, challenge={})
        activity.record(by, "turned off automatic certificates of", app)
        live.tell(app.topic)
    return app


def is_due(domain: Domain, now: datetime) -> bool:
    """Whether a domain needs a new certificate that comes by itself: it has none, or its automatic one ends soon."""
    held = domain.certificate
    return held is None or (held.automatic and held.expires_at < now + timedelta(days=RENEW_DAYS))


def order(domain: Domain) -> None:
    """Have a certificate got for `domain`, unless that is under way."""
    if domain.hostname.startswith("*."):
        _tell(domain, FAILED, WILD)
        return
    if domain.certificate and not domain.certificate.automatic:
        return
    try:
        with transaction.atomic():
            CertificateOrder.objects.create(app_id=domain.app_id, domain=domain)
    except IntegrityError:  # one is under way
        return
    _tell(domain, PENDING, "")
    live.wake_conductor()


def order_due() -> None:
    """Order what is due: new domains, certificates that end soon, and another try after each failure, ever later."""
    if not settings.ACME_URL:
        return
    now = timezone.now()
    soon = Q(certificate=None) | Q(
        certificate__automatic=True, certificate__expires_at__lt=now + timedelta(days=RENEW_DAYS)
    )
    told = Q(hostname__startswith="*.", acm_status=FAILED)  # and nothing else comes of it
    wanted = Domain.objects.filter(soon, _tried_again(now), app__acm=True, app__destroyed_at=None).exclude(
        told | Q(orders__status__in=["pending", "running"])
    )
    first = F("acm_at").asc(nulls_first=True)
    for domain in wanted.select_related("certificate", "app").order_by(first)[:AT_ONCE]:
        order(domain)


def _tried_again(now: datetime) -> Q:
    """Domains that have not failed, or whose pause after that is over."""
    found = Q(acm_failures=0) | Q(acm_failures__gt=len(PAUSES), acm_at__lt=now - DAILY)
    for failures, pause in enumerate(PAUSES, 1):
        found |= Q(acm_failures=failures, acm_at__lt=now - pause)
    return found


@transaction.atomic
def issued(one: CertificateOrder, facts: Facts) -> Certificate:
    """Keep what the authority issued, and have the domain answer with it."""
    domain = Domain.objects.select_related("certificate", "app").get(pk=one.domain_id)
    held = domain.certificate
    certificate = held if held and held.automatic else None
    if certificate is None:
        certificate = Certificate(app_id=domain.app_id, name=f"acm-{str(domain.pk)[:13]}", automatic=True)
        Certificate.objects.filter(app_id=domain.app_id, name=certificate.name).delete()
    certificate.take(facts)
    certificate.updated_at = timezone.now()
    certificate.save()
    Domain.objects.filter(pk=domain.pk).update(certificate=certificate, acm_failures=0, challenge={})
    one.record(status="succeeded", finished_at=timezone.now(), lease_until=None, sealed_key="")
    _tell(domain, ISSUED, "")
    return certificate


@transaction.atomic
def failed(one: CertificateOrder, reason: str) -> None:
    """Say why there is no certificate."""
    one.record(
        status="failed", finished_at=timezone.now(), lease_until=None, reason=reason[:300], sealed_key=""
    )
    domain = Domain.objects.select_related("app").get(pk=one.domain_id)
    tries = domain.acm_failures + 1
    Domain.objects.filter(pk=domain.pk).update(acm_failures=tries, challenge={})
    _tell(domain, FAILED if tries > len(PAUSES) else FAILING, reason[:300])


def _tell(domain: Domain, status: str, reason: str) -> None:
    Domain.objects.filter(pk=domain.pk).update(acm_status=status, acm_reason=reason, acm_at=timezone.now())
    live.tell(domain.app.topic)
    live.wake_conductor()
