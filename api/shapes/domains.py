"""Domains and certificates."""

from typing import Self
from uuid import UUID, uuid5

from django.conf import settings
from pydantic import Field

from api.shapes.base import AppRef, Named, Schema, Time
from apps.models import App, Certificate, Domain
from core.names import NAMESPACE


class DomainOut(Schema):
    """A host name of an app."""

    id: UUID
    app: AppRef
    hostname: str
    kind: str
    cname: str | None
    status: str = "succeeded"
    acm_status: str | None = None
    acm_status_reason: str | None = None
    sni_endpoint: Named | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, domain: Domain) -> Self:
        chosen = domain.certificate
        return cls(
            id=domain.pk,
            app=AppRef.of(domain.app),
            hostname=domain.hostname,
            kind="custom",
            cname=f"{domain.app.name}.{settings.APPS_HOST}",
            acm_status=domain.acm_status or None,
            acm_status_reason=domain.acm_reason or None,
            sni_endpoint=Named(id=chosen.pk, name=chosen.name) if chosen else None,
            created_at=domain.created_at,
            updated_at=domain.acm_at or domain.created_at,
        )

    @classmethod
    def given(cls, app: App) -> Self:
        """The host name that every app has of the platform."""
        return cls(
            id=uuid5(NAMESPACE, f"domain/{app.pk}"),
            app=AppRef.of(app),
            hostname=f"{app.name}.{settings.APPS_HOST}",
            kind="heroku",
            cname=None,
            created_at=app.created_at,
            updated_at=app.created_at,
        )


class CertificateOut(Schema):
    """What a certificate says. Some names end in a question mark: published so."""

    id: UUID
    cert_domains: list[str]
    subject: str
    issuer: str
    starts_at: Time
    expires_at: Time
    ca_signed: bool = Field(serialization_alias="ca_signed?")
    self_signed: bool = Field(serialization_alias="self_signed?")
    acm: bool = False

    @classmethod
    def of(cls, row: Certificate) -> Self:
        return cls(
            id=row.pk,
            cert_domains=row.cert_domains,
            subject=row.subject,
            issuer=row.issuer,
            starts_at=row.starts_at,
            expires_at=row.expires_at,
            acm=row.automatic,
            ca_signed=row.trusted,
            self_signed=row.self_signed,
        )


class SniEndpointOut(Schema):
    """A certificate of an app and the domains that answer with it. The key is never told."""

    id: UUID
    app: AppRef
    name: str
    display_name: str | None = None
    certificate_chain: str
    domains: list[UUID]
    ssl_cert: CertificateOut
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Certificate) -> Self:
        return cls(
            id=row.pk,
            app=AppRef.of(row.app),
            name=row.name,
            certificate_chain=row.chain,
            domains=[domain.pk for domain in row.domains.all()],
            ssl_cert=CertificateOut.of(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
