"""Add-ons, attachments, services and plans as the published schema has them."""

from typing import Any
from uuid import UUID

from django.conf import settings
from ninja import Schema

from addons import catalog
from addons.models import Addon, AddonService, Attachment, Plan
from api.shapes.base import AppRef, Named, Time


class Price(Schema):
    """What something costs a month."""

    cents: int = 0
    contract: bool = False
    metered: bool = False
    unit: str = "month"


class ServiceOut(Schema):
    """Something that can be provisioned; `unavailable` says why it can't be on this Slipway."""

    id: UUID
    name: str
    human_name: str
    state: str
    cli_plugin_name: str | None = None
    supports_multiple_installations: bool
    supports_sharing: bool
    supported_generations: list[Named]
    unavailable: str | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: AddonService) -> "ServiceOut":
        reason = catalog.why_not(row)
        return cls(
            id=row.pk,
            name=row.name,
            human_name=row.human_name,
            state="shutdown" if reason else row.state,
            supports_multiple_installations=row.several,
            supports_sharing=row.sharable,
            supported_generations=[Named.fixed("generation", "cedar")],
            unavailable=reason or None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class PlanOut(Schema):
    """A plan of a service."""

    id: UUID
    name: str
    human_name: str
    description: str
    addon_service: Named
    compliance: list[str] = []
    default: bool
    installable_inside_private_network: bool = False
    installable_outside_private_network: bool = True
    price: Price
    space_default: bool = False
    state: str
    visible: bool = True
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Plan) -> "PlanOut":
        return cls(
            id=row.pk,
            name=row.full_name,
            human_name=row.human_name,
            description=row.description or "; ".join(row.features),
            addon_service=Named(id=row.service_id, name=row.service.name),
            default=row.default,
            price=Price(cents=row.price_cents),
            state=row.state,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ServiceRef(Named):
    """A service by id and names."""

    human_name: str


class AddonOut(Schema):
    """A resource that belongs to an app, or to a pipeline, which stands in the app's place then."""

    id: UUID
    name: str
    app: AppRef
    addon_service: ServiceRef
    plan: PlanOut
    billed_price: Price
    billing_entity: dict[str, Any]
    config_vars: list[str]
    provider_id: str
    provision_message: str
    actions: list[Any] = []
    state: str
    web_url: str | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Addon, *, plan: Plan | None = None) -> "AddonOut":
        owner = row.owner
        mine = [one for one in row.attachments.all() if row.app_id in (None, one.app_id)]
        for one in mine:
            one.addon = row  # with its service, so that the names ask for nothing
        return cls(
            id=row.pk,
            name=row.name,
            app=AppRef(id=owner.pk, name=owner.name),
            addon_service=ServiceRef(
                id=row.service.pk, name=row.service.name, human_name=row.service.human_name
            ),
            plan=PlanOut.of(plan or row.plan),
            billed_price=Price(cents=(plan or row.plan).price_cents),
            billing_entity={"id": str(owner.pk), "name": owner.name, "type": "app" if row.app_id else "team"},
            config_vars=sorted({key for one in mine for key in one.keys}),
            provider_id=str(row.pk),
            provision_message=row.message,
            state=row.public_state,
            web_url=page_of(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class AddonRef(Schema):
    """An add-on by id and name, with what owns it."""

    id: UUID
    name: str
    app: AppRef
    plan: PlanOut


class AttachmentOut(Schema):
    """An add-on as one app sees it."""

    id: UUID
    name: str
    namespace: str | None
    app: AppRef
    addon: AddonRef
    config_vars: list[str]
    web_url: str | None
    log_input_url: str | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Attachment) -> "AttachmentOut":
        addon = row.addon
        owner = AppRef(id=addon.owner.pk, name=addon.owner.name)
        return cls(
            id=row.pk,
            name=row.name,
            namespace=row.namespace or None,
            app=AppRef.of(row.app),
            addon=AddonRef(id=addon.pk, name=addon.name, app=owner, plan=PlanOut.of(addon.plan)),
            config_vars=row.keys,
            web_url=page_of(addon),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ConfigOut(Schema):
    """A config var that an add-on sets. Values are read where config vars are."""

    name: str
    value: str | None = None


def page_of(addon: Addon) -> str:
    """Where the dashboard shows it, or signs people in at its partner."""
    there = f"{settings.URL}/addons/{addon.name}/"
    return f"{there}sign-in/" if addon.service.by_partner else there


def text_of(ref: dict[str, Any] | str | None) -> str:
    """What a body names a thing by: `"x"`, `{"name": "x"}` or `{"id": "x"}`."""
    if isinstance(ref, dict):
        return str(ref.get("id") or ref.get("name") or "")
    return str(ref or "")
