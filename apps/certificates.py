"""What happens to the certificates of an app's domains."""

import secrets as random

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from apps.models import App, Certificate, Domain
from core import activity, live
from core.errors import NotFound, Refusal
from engine.certificates import Facts, covers, read

MAX_CERTIFICATES = 100  # of an app
SOON_DAYS = 30  # before its end, a certificate should be replaced
_PLACES = (
    "bergen", "cadiz", "dakar", "genoa", "izmir", "kobe", "lagos", "lima", "malmo", "naples", "oslo", "perth", "porto",
    "riga", "tokyo", "turku",
)  # fmt: skip


def add_certificate(app: App, chain: str, key: str, *, by: User) -> Certificate:
    """Keep a certificate (PEM, with those of its issuers in any order) and its key. Domains without one that only this
    one covers answer with it from now on."""
    facts = read(chain, key)  # before the transaction: it takes a while, and nobody else should wait for it
    with transaction.atomic():
        App.objects.select_for_update().get(pk=app.pk)
        if app.certificates.count() >= MAX_CERTIFICATES:
            raise Refusal(
                f"An app can have {MAX_CERTIFICATES} certificates at most. Remove one that is not used."
            )
        certificate = Certificate(app=app, name=_free_name(app))
        certificate.take(facts)
        certificate.save(force_insert=True)
        activity.record(by, "added", certificate, **_details(certificate))
        for domain in app.domains.filter(certificate=None):
            _associate(domain, fitting(app, domain.hostname))
        _changed(app)
    return certificate


def update_certificate(certificate: Certificate, chain: str, key: str, *, by: User) -> Certificate:
    """Put another certificate in the place of this one, for all domains that answer with it; it must cover them."""
    facts = read(chain, key)
    with transaction.atomic():
        _demand_covering(certificate, facts)
        before = _details(certificate)
        certificate.take(facts)
        certificate.updated_at = timezone.now()
        certificate.save()
        activity.record(by, "replaced", certificate, before=before, after=_details(certificate))
        _changed(certificate.app)
    return certificate


def _demand_covering(certificate: Certificate, facts: Facts) -> None:
    hostnames = certificate.domains.values_list("hostname", flat=True)
    left = [hostname for hostname in hostnames if not covers(facts.domains, hostname)]
    if left:
        text = (
            f"This certificate is for {_few(facts.domains)}, but {certificate.name} is what {_few(left)} answers with. "
            "Give one that covers all of them, or add it as another certificate."
        )
        raise Refusal(text, fields={"certificate_chain": text})


@transaction.atomic
def remove_certificate(certificate: Certificate, *, by: User) -> None:
    """Forget a certificate and its key. Domains that answered with it have none of their own then."""
    hostnames = list(certificate.domains.values_list("hostname", flat=True))
    activity.record(by, "removed", certificate, domains=hostnames, **_details(certificate))
    app = certificate.app
    certificate.delete()
    _changed(app)


@transaction.atomic
def choose_certificate(domain: Domain, certificate: Certificate | None, *, by: User) -> Domain:
    """Have a domain answer with a certificate of its app, or with none of its own."""
    demand_fitting(domain.app, domain.hostname, certificate)
    before = str(domain.certificate or "")
    _associate(domain, certificate)
    activity.record(
        by, "chose the certificate of", domain, app=domain.app, before=before, after=str(certificate or "")
    )
    _changed(domain.app)
    return domain


def demand_fitting(app: App, hostname: str, certificate: Certificate | None) -> None:
    """`Refusal` unless `hostname` of `app` may answer with `certificate`."""
    if certificate is None:
        return
    if certificate.app_id != app.pk:
        raise NotFound("Couldn't find that SNI endpoint.", resource="sni_endpoint")
    if not certificate.covers(hostname):
        text = (
            f"{certificate.name} is not for {hostname}, but for {_few(certificate.cert_domains)}. "
            "Choose a certificate that covers it."
        )
        raise Refusal(text, fields={"certificate": text})


def fitting(app: App, hostname: str) -> Certificate | None:
    """The certificate of `app` that covers `hostname`, if it is the only one."""
    found = [one for one in app.certificates.defer("chain", "sealed_key") if one.covers(hostname)]
    return found[0] if len(found) == 1 else None


def certificate_of(app: App, ref: str) -> Certificate:
    """One of the app's certificates, by name or id."""
    found = next(
        (one for one in app.certificates.select_related("app") if ref in (one.name, str(one.pk))), None
    )
    if found is None:
        raise NotFound("Couldn't find that SNI endpoint.", resource="sni_endpoint")
    return found


def _associate(domain: Domain, certificate: Certificate | None) -> None:
    domain.certificate = certificate
    Domain.objects.filter(pk=domain.pk).update(certificate=certificate)


def _details(certificate: Certificate) -> dict[str, object]:
    return {"for": certificate.cert_domains[:20], "until": certificate.expires_at.isoformat()}


def _few(names: "list[str] | tuple[str, ...]") -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _free_name(app: App) -> str:
    taken = set(app.certificates.values_list("name", flat=True))
    while (name := f"{random.choice(_PLACES)}-{random.randbelow(90000) + 10000}") in taken:
        pass
    return name


def _changed(app: App) -> None:
    live.tell(app.topic)
    live.wake_conductor()
