"""Certificates of an app's domains, which the API calls SNI endpoints, and automatic ones."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import SecretStr

from api.asker import asker
from api.http import ranged
from api.shapes.apps import AppOut
from api.shapes.domains import SniEndpointOut
from apps import access, acm, certificates
from apps.models import App, Certificate

router = Router(tags=["Certificates"], by_alias=True)


class CertificateIn(Schema):
    """A certificate with those of its issuers, in any order, and its private key: both PEM."""

    certificate_chain: str
    private_key: SecretStr


@router.get("/apps/{app}/sni-endpoints", response={200: list[SniEndpointOut], 206: list[SniEndpointOut]})
def index(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[SniEndpointOut]]:
    """The app's certificates."""
    rows = _rows(access.app_for(asker(request), app))
    return ranged(request, response, rows, SniEndpointOut.of, by="name", fields=["id"])


@router.post("/apps/{app}/sni-endpoints", response={201: SniEndpointOut})
def add(request: HttpRequest, app: str, body: CertificateIn) -> Status[SniEndpointOut]:
    """Add a certificate; domains without one that only this one covers answer with it."""
    by = asker(request)
    found = access.app_for(by, app, to=access.MANAGE)
    made = certificates.add_certificate(
        found, body.certificate_chain, body.private_key.get_secret_value(), by=by
    )
    return Status(201, SniEndpointOut.of(made))


@router.get("/apps/{app}/sni-endpoints/{ref}", response=SniEndpointOut)
def info(request: HttpRequest, app: str, ref: str) -> SniEndpointOut:
    """One certificate, by name or id."""
    return SniEndpointOut.of(certificates.certificate_of(access.app_for(asker(request), app), ref))


@router.patch("/apps/{app}/sni-endpoints/{ref}", response=SniEndpointOut)
def update(request: HttpRequest, app: str, ref: str, body: CertificateIn) -> SniEndpointOut:
    """Put another certificate in its place, for all domains that answer with it."""
    by = asker(request)
    found = certificates.certificate_of(access.app_for(by, app, to=access.MANAGE), ref)
    return SniEndpointOut.of(
        certificates.update_certificate(
            found, body.certificate_chain, body.private_key.get_secret_value(), by=by
        )
    )


@router.delete("/apps/{app}/sni-endpoints/{ref}", response=SniEndpointOut)
def remove(request: HttpRequest, app: str, ref: str) -> SniEndpointOut:
    """Forget a certificate; domains that answered with it have none of their own then."""
    by = asker(request)
    found = certificates.certificate_of(access.app_for(by, app, to=access.MANAGE), ref)
    answer = SniEndpointOut.of(found)
    certificates.remove_certificate(found, by=by)
    return answer


@router.post("/apps/{app}/acm", response=AppOut)
def enable_automatic(request: HttpRequest, app: str) -> AppOut:
    """Get certificates for the app's domains, and renew them."""
    by = asker(request)
    return AppOut.of(acm.enable(access.app_for(by, app, to=access.MANAGE), by=by))


@router.patch("/apps/{app}/acm", response=AppOut)
def refresh_automatic(request: HttpRequest, app: str) -> AppOut:
    """Try again now for domains that have none."""
    by = asker(request)
    return AppOut.of(acm.refresh(access.app_for(by, app, to=access.MANAGE), by=by))


@router.delete("/apps/{app}/acm", response=AppOut)
def disable_automatic(request: HttpRequest, app: str) -> AppOut:
    """Get no more; those that it has stay until they end."""
    by = asker(request)
    return AppOut.of(acm.disable(access.app_for(by, app, to=access.MANAGE), by=by))


def _rows(app: App) -> "QuerySet[Certificate]":
    return app.certificates.select_related("app").prefetch_related("domains")
