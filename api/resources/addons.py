"""Add-ons and their attachments, as far as there are any: what can be provisioned is told by the catalog."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from accounts import access as account_access
from accounts.models import User
from addons.models import Addon, Attachment
from api.asker import asker
from api.http import ranged
from api.shapes import AppRef, Named, Time
from apps import access
from apps.models import App
from core.errors import NotFound, Refusal

router = Router(tags=["Add-ons"])


class Price(Schema):
    """What something costs."""

    cents: int = 0
    contract: bool = False
    metered: bool = False
    unit: str = "month"


class PlanOut(Schema):
    """A plan of a service."""

    id: UUID
    name: str
    price: Price = Price()


class AddonOut(Schema):
    """A resource that belongs to an app."""

    id: UUID
    name: str
    app: AppRef
    addon_service: Named
    plan: PlanOut
    billed_price: Price = Price()
    billing_entity: dict[str, Any]
    config_vars: list[str]
    provider_id: str
    provision_message: str = ""
    actions: list[Any] = []
    state: str = "provisioned"
    web_url: str | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Addon) -> "AddonOut":
        app = AppRef.of(row.app)
        return cls(
            id=row.pk,
            name=row.name,
            app=app,
            addon_service=Named(id=row.service.pk, name=row.service.name),
            plan=PlanOut(id=row.plan_id, name=row.plan.full_name),
            billing_entity={"id": str(app.id), "name": app.name, "type": "app"},
            config_vars=[f"{one.name}_URL" for one in row.attachments.all() if one.app_id == row.app_id],
            provider_id=str(row.pk),
            web_url=f"{settings.URL}/apps/{row.app.name}/resources/",
            created_at=row.created_at,
            updated_at=row.created_at,
        )


class AddonRef(Schema):
    """An add-on by id and name, with the app that owns it."""

    id: UUID
    name: str
    app: AppRef
    plan: PlanOut


class AttachmentOut(Schema):
    """An add-on as one app sees it."""

    id: UUID
    name: str
    namespace: str | None = None
    app: AppRef
    addon: AddonRef
    config_vars: list[str]
    web_url: str | None = None
    log_input_url: str | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Attachment) -> "AttachmentOut":
        addon = row.addon
        plan = PlanOut(id=addon.plan_id, name=addon.plan.full_name)
        return cls(
            id=row.pk,
            name=row.name,
            app=AppRef.of(row.app),
            addon=AddonRef(id=addon.pk, name=addon.name, app=AppRef.of(addon.app), plan=plan),
            config_vars=[f"{row.name}_URL"],
            created_at=row.created_at,
            updated_at=row.created_at,
        )


class ServiceOut(Schema):
    """Something that can be provisioned."""

    id: UUID
    name: str
    human_name: str
    state: str


class NewAddon(Schema):
    """A plan, or a service whose default plan is meant."""

    plan: dict[str, Any] | str


class AddonQuery(Schema):
    """What an add-on is called somewhere: its name, id, service, or an attachment's name."""

    addon: str
    app: str | None = None
    addon_service: str | None = None


class AttachmentQuery(Schema):
    """What an attachment is called: its name, its config var, or its add-on's name."""

    addon_attachment: str
    app: str | None = None
    addon_service: str | None = None


ADDONS = {200: list[AddonOut], 206: list[AddonOut]}
ATTACHMENTS = {200: list[AttachmentOut], 206: list[AttachmentOut]}


@router.get("/addon-services", response=list[ServiceOut])
def services(request: HttpRequest) -> list[ServiceOut]:
    """What can be provisioned: nothing yet."""
    return []


@router.get("/addon-services/{ref}", response=ServiceOut)
def service(request: HttpRequest, ref: str) -> ServiceOut:
    """One service."""
    raise _no_service(ref)


@router.get("/addon-services/{ref}/plans", response=list[PlanOut])
def plans(request: HttpRequest, ref: str) -> list[PlanOut]:
    """The plans of a service."""
    raise _no_service(ref)


@router.get("/addons", response=ADDONS)
def index(request: HttpRequest, response: HttpResponse) -> Status[list[AddonOut]]:
    """Every add-on of the apps that the asker may view."""
    return ranged(request, response, _addons(access.apps_for(asker(request))), AddonOut.of)


@router.get("/addons/{ref}", response=AddonOut)
def info(request: HttpRequest, ref: str) -> AddonOut:
    """One add-on, by name or id."""
    return AddonOut.of(_one(_found(asker(request), ref, None)))


@router.get("/addons/{ref}/addon-attachments", response=ATTACHMENTS)
def attachments_of(request: HttpRequest, response: HttpResponse, ref: str) -> Status[list[AttachmentOut]]:
    """Where an add-on is attached, among the apps that the asker may view."""
    by = asker(request)
    rows = _attachments(access.apps_for(by)).filter(addon=_one(_found(by, ref, None)))
    return ranged(request, response, rows, AttachmentOut.of)


@router.get("/teams/{team}/addons", response=ADDONS)
def of_team(request: HttpRequest, response: HttpResponse, team: str) -> Status[list[AddonOut]]:
    """Every add-on of a team's apps."""
    found = account_access.team_for(asker(request), team)
    return ranged(request, response, _addons(App.objects.alive().filter(team=found)), AddonOut.of)


@router.get("/apps/{app}/addons", response=ADDONS)
def of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[AddonOut]]:
    """The add-ons that an app owns, or that are attached to it."""
    found = access.app_for(asker(request), app)
    rows = Addon.objects.filter(pk__in=found.attachments.values("addon")) | Addon.objects.filter(app=found)
    return ranged(request, response, rows.select_related("app").prefetch_related("attachments"), AddonOut.of)


@router.post("/apps/{app}/addons", response={201: AddonOut})
def create(request: HttpRequest, app: str, body: NewAddon) -> Status[AddonOut]:
    """Provision an add-on."""
    access.app_for(asker(request), app, to=access.DEPLOY)
    name = str(body.plan.get("name", "") if isinstance(body.plan, dict) else body.plan)
    raise _no_service(name.partition(":")[0])


@router.get("/apps/{app}/addons/{ref}", response=AddonOut)
def info_of_app(request: HttpRequest, app: str, ref: str) -> AddonOut:
    """One add-on of an app."""
    return AddonOut.of(_one(_found(asker(request), ref, app)))


class UsageOut(Named):
    """What is metered of an app's add-ons."""

    addons: list[dict[str, str]] = []


class TeamUsageOut(Named):
    """What is metered of the add-ons of a team's apps."""

    apps: list[UsageOut] = []


@router.get("/apps/{app}/usage", response=UsageOut)
def usage(request: HttpRequest, app: str) -> UsageOut:
    """What is metered of an app's add-ons: nothing."""
    found = access.app_for(asker(request), app)
    return UsageOut(id=found.pk, name=found.name)


@router.get("/teams/{team}/apps/{app}/usage", response=UsageOut)
def usage_in_team(request: HttpRequest, team: str, app: str) -> UsageOut:
    """The same of a team's app."""
    account_access.team_for(asker(request), team)
    return usage(request, app)


@router.get("/teams/{team}/usage", response=TeamUsageOut)
def team_usage(request: HttpRequest, team: str) -> TeamUsageOut:
    """What is metered of the add-ons of a team's apps: nothing."""
    found = account_access.team_for(asker(request), team)
    return TeamUsageOut(id=found.pk, name=found.name)


@router.get("/addon-attachments", response=ATTACHMENTS)
def attachments(request: HttpRequest, response: HttpResponse) -> Status[list[AttachmentOut]]:
    """Every attachment to the apps that the asker may view."""
    return ranged(request, response, _attachments(access.apps_for(asker(request))), AttachmentOut.of)


@router.get("/apps/{app}/addon-attachments", response=ATTACHMENTS)
def attachments_of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[AttachmentOut]]:
    """What is attached to an app."""
    found = access.app_for(asker(request), app)
    return ranged(request, response, _attachments(App.objects.filter(pk=found.pk)), AttachmentOut.of)


@router.get("/apps/{app}/addon-attachments/{ref}", response=AttachmentOut)
def attachment_of_app(request: HttpRequest, app: str, ref: str) -> AttachmentOut:
    """One attachment of an app, by name or id."""
    return AttachmentOut.of(_attached(asker(request), ref, app)[0])


@router.post("/actions/addons/resolve", response=list[AddonOut])
def resolve(request: HttpRequest, body: AddonQuery) -> list[AddonOut]:
    """The add-ons that a name may mean."""
    return [AddonOut.of(row) for row in _found(asker(request), body.addon, body.app)]


@router.post("/actions/addon-attachments/resolve", response=list[AttachmentOut])
def resolve_attachment(request: HttpRequest, body: AttachmentQuery) -> list[AttachmentOut]:
    """The attachments that a name may mean."""
    return [AttachmentOut.of(row) for row in _attached(asker(request), body.addon_attachment, body.app)]


def _no_service(name: str) -> Refusal:
    return NotFound(
        f"There is no add-on service {name}: this Slipway provisions none yet. Set the address of a server of your own "
        "as a config var.",
        resource="add_on_service",
    )


def _addons(apps: "QuerySet[App]") -> "QuerySet[Addon]":
    return Addon.objects.filter(app__in=apps).select_related("app").prefetch_related("attachments")


def _attachments(apps: "QuerySet[App]") -> "QuerySet[Attachment]":
    return Attachment.objects.filter(app__in=apps).select_related("app", "addon__app")


def _found(by: User, ref: str, app: str | None) -> list[Addon]:
    if app:
        chosen = access.app_for(by, app)
        rows = Addon.objects.filter(app=chosen) | Addon.objects.filter(attachments__app=chosen)
        rows = rows.select_related("app").prefetch_related("attachments").distinct()
    else:
        rows = _addons(access.apps_for(by))
    name = ref.removesuffix("_URL")
    found = [
        row
        for row in rows
        if ref in (row.name, str(row.pk), row.service) or name in {one.name for one in row.attachments.all()}
    ]
    if not found:
        raise NotFound(f"Couldn't find that add-on: {ref}.", resource="add_on")
    return found


def _one(rows: list[Addon]) -> Addon:
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows)
        raise Refusal(f"That name may mean any of {names}: give one of these.", id="multiple_matches")
    return rows[0]


def _attached(by: User, ref: str, app: str | None) -> list[Attachment]:
    apps = App.objects.filter(pk=access.app_for(by, app).pk) if app else access.apps_for(by)
    name = ref.removesuffix("_URL")
    found = [row for row in _attachments(apps) if name == row.name or ref in (str(row.pk), row.addon.name)]
    if not found:
        raise NotFound(f"Couldn't find that add-on attachment: {ref}.", resource="add_on attachment")
    return found
