"""Add-ons: order, look at, change, give up. Their attachments are in `addon_attachments`."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from accounts import access as account_access
from addons import access, actions, catalog, partner_config, partners
from addons.models import Addon
from api.asker import asker
from api.http import ranged
from api.partner_auth import PartnerAuth, resource_of
from api.shapes.addons import AddonOut, ConfigOut, text_of
from api.shapes.base import Named
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from pipelines import addons as door

router = Router(tags=["Add-ons"])


class NewAddon(Schema):
    """A plan, or a service whose default plan is meant; `config` is for the provider."""

    plan: dict[str, Any] | str
    name: str | None = None
    attachment: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    confirm: str | None = None


class ChangedAddon(Schema):
    """Another plan, another name, or both."""

    plan: dict[str, Any] | str | None = None
    name: str | None = None


class Destruction(Schema):
    """Whether it may go though other apps use it."""

    force: bool = False


class Setting(Schema):
    """A config var under the name that the partner's manifest has for it."""

    name: str
    value: str


class NewConfig(Schema):
    """The config vars that a partner sets; others stay."""

    config: list[Setting]


class AddonQuery(Schema):
    """What an add-on is called somewhere: its name, id, service, or an attachment's name."""

    addon: str
    app: str | None = None
    addon_service: str | None = None


ADDONS = {200: list[AddonOut], 206: list[AddonOut]}


@router.get("/addons", response=ADDONS)
def index(request: HttpRequest, response: HttpResponse) -> Status[list[AddonOut]]:
    """Every add-on that the asker may view."""
    return ranged(request, response, _whole(access.addons_for(asker(request))), AddonOut.of)


@router.get("/users/{user}/addons", response=ADDONS)
def of_user(request: HttpRequest, response: HttpResponse, user: str) -> Status[list[AddonOut]]:
    """Every add-on that the asker may view: `~` stands for them."""
    by = asker(request)
    if user not in ("~", str(by.pk), by.email):
        raise NotFound("Couldn't find that user.", resource="user")
    return index(request, response)


@router.get("/teams/{team}/addons", response=ADDONS)
def of_team(request: HttpRequest, response: HttpResponse, team: str) -> Status[list[AddonOut]]:
    """Every add-on of a team's apps."""
    found = account_access.team_for(asker(request), team)
    rows = Addon.objects.filter(app__in=App.objects.alive().filter(team=found)).whole()
    return ranged(request, response, _whole(rows), AddonOut.of)


@router.get("/addons/{ref}", response=AddonOut)
def info(request: HttpRequest, ref: str) -> AddonOut:
    """One add-on, by name or id."""
    return AddonOut.of(access.addon_for(asker(request), ref))


@router.get("/addons/{ref}/config", response=list[ConfigOut])
def config(request: HttpRequest, ref: str) -> list[ConfigOut]:
    """The names of the config vars that the add-on sets where it belongs."""
    addon = access.addon_for(asker(request), ref)
    return [ConfigOut(name=name) for name in AddonOut.of(addon).config_vars]


@router.patch("/addons/{ref}/config", response=list[ConfigOut], auth=PartnerAuth())
def set_config(request: HttpRequest, ref: str, body: NewConfig) -> list[ConfigOut]:
    """For the add-on's partner, with its own token: give other values, with one release of each app that uses it."""
    resource = resource_of(request, ref)
    found = partners.set_config(resource, {one.name: one.value for one in body.config})
    names = partner_config.names_of(resource.addon.service)
    return [
        ConfigOut(name=name, value=found[suffix]) for name, suffix in sorted(names.items()) if suffix in found
    ]


@router.post("/addons/{ref}/actions/provision", response=AddonOut, auth=PartnerAuth())
def provisioned(request: HttpRequest, ref: str) -> AddonOut:
    """For the add-on's partner, with its own token: it is ready, after an answer of 202."""
    return AddonOut.of(partners.ready(resource_of(request, ref)))


@router.get("/addons/{ref}/config/{namespace}", response=list[ConfigOut])
def config_of_namespace(request: HttpRequest, ref: str, namespace: str) -> list[ConfigOut]:
    """What a credential gives, by suffix: empty when the add-on has no such credential."""
    addon = access.addon_for(asker(request), ref)
    known = addon.config_keys.get(namespace.removeprefix("credential:").removeprefix("default"), [])
    return [ConfigOut(name=suffix) for suffix in known]


@router.get("/apps/{app}/addons", response=ADDONS)
def of_app(request: HttpRequest, response: HttpResponse, app: str) -> Status[list[AddonOut]]:
    """The add-ons that an app owns, or that are attached to it."""
    found = app_access.app_for(asker(request), app)
    return ranged(request, response, _whole(access.addons_of(found)), AddonOut.of)


@router.post("/apps/{app}/addons", response={201: AddonOut})
def create(request: HttpRequest, app: str, body: NewAddon) -> Status[AddonOut]:
    """Order an add-on. It is `provisioning` until its server runs; then its config vars come with one release."""
    by = asker(request)
    app_access.app_for(by, app)
    plan = catalog.plan_called(text_of(body.plan))
    addon = actions.provision(
        door.app_to_order(by, app, plan),
        plan,
        name=body.name or "",
        as_=str((body.attachment or {}).get("name") or ""),
        options=body.config or {},
        confirm=body.confirm or "",
        by=by,
    )
    return Status(201, AddonOut.of(addon))


@router.get("/apps/{app}/addons/{ref}", response=AddonOut)
def info_of_app(request: HttpRequest, app: str, ref: str) -> AddonOut:
    """One add-on of an app."""
    return AddonOut.of(_of_app(request, app, ref))


@router.patch("/apps/{app}/addons/{ref}", response=AddonOut)
def update(request: HttpRequest, app: str, ref: str, body: ChangedAddon) -> AddonOut:
    """Change the plan, up or down, or the name. What the add-on holds stays."""
    by = asker(request)
    addon, plan = door.addon_for(by, _of_app(request, app, ref)), None
    if body.plan:
        plan = catalog.plan_called(text_of(body.plan), service=addon.service)
        access.demand_right(by, addon, access.right_to_have(plan))
        addon = actions.change_plan(addon, plan, by=by)
    if body.name:
        addon = actions.rename(addon, body.name, by=by)
    return AddonOut.of(addon, plan=plan)


@router.delete("/apps/{app}/addons/{ref}", response=AddonOut)
def destroy(request: HttpRequest, app: str, ref: str, body: Destruction | None = None) -> AddonOut:
    """Give an add-on up, with all that it holds. Where other apps use it, only with `force`."""
    by = asker(request)
    addon = door.addon_for(by, _of_app(request, app, ref))
    force = bool(body and body.force)
    return AddonOut.of(actions.destroy(addon, confirm=addon.name, force=force, by=by))


@router.post("/actions/addons/resolve", response=list[AddonOut])
def resolve(request: HttpRequest, body: AddonQuery) -> list[AddonOut]:
    """The add-ons that a name may mean."""
    by = asker(request)
    app = app_access.app_for(by, body.app) if body.app else None
    return [
        AddonOut.of(row) for row in access.find(by, body.addon, app=app, service=body.addon_service or "")
    ]


class UsageOut(Named):
    """What is metered of an app's add-ons."""

    addons: list[dict[str, str]] = []


class TeamUsageOut(Named):
    """What is metered of the add-ons of a team's apps."""

    apps: list[UsageOut] = []


@router.get("/apps/{app}/usage", response=UsageOut)
def usage(request: HttpRequest, app: str) -> UsageOut:
    """What is metered of an app's add-ons: nothing."""
    found = app_access.app_for(asker(request), app)
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


def _of_app(request: HttpRequest, app: str, ref: str) -> Addon:
    by = asker(request)
    return access.one(access.find(by, ref, app=app_access.app_for(by, app)), ref)


def _whole(rows: "QuerySet[Addon]") -> "QuerySet[Addon]":
    return rows.prefetch_related("attachments")
