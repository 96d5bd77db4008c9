"""Log drains."""

from collections.abc import Mapping, Sequence
from typing import Any, Self
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status

from addons import access as addon_access
from addons import naming, partner_drains, partners
from api.asker import asker
from api.partner_auth import PartnerAuth, resource_of
from api.shapes.base import AppRef, Time
from apps import access, drains
from apps.models import LogDrain
from core.errors import NotFound

router = Router(tags=["Log drains"])


class DrainAddon(Schema):
    """The add-on that brought a drain along."""

    id: UUID
    name: str
    app: AppRef


class DrainIn(Schema):
    """Where to send the log."""

    url: str


class DrainOut(Schema):
    """A log drain. Passwords and keys in its address are not told."""

    id: UUID
    app: AppRef
    addon: DrainAddon | None
    url: str
    token: str
    created_at: Time
    updated_at: Time
    extended: dict[str, Any]

    @classmethod
    def of(cls, drain: LogDrain) -> Self:
        return cls.all_of([drain])[0]

    @classmethod
    def all_of(cls, drains: Sequence[LogDrain]) -> list[Self]:
        """Several, with one question for the names of their add-ons."""
        names = naming.names_of(drain.addon for drain in drains if drain.addon)
        return [cls._told(drain, names) for drain in drains]

    @classmethod
    def _told(cls, drain: LogDrain, names: Mapping[UUID, str]) -> Self:
        name = names.get(drain.addon) if drain.addon else None
        return cls(
            id=drain.pk,
            app=AppRef.of(drain.app),
            addon=DrainAddon(id=drain.addon, name=name, app=AppRef.of(drain.app))
            if drain.addon and name
            else None,
            url=drain.shown_url,
            token=drain.token,
            created_at=drain.created_at,
            updated_at=drain.created_at,
            extended={"drain_id": str(drain.pk)},
        )


@router.get("/apps/{app}/log-drains", response=list[DrainOut])
def of_app(request: HttpRequest, app: str) -> list[DrainOut]:
    """Where an app's log goes as well."""
    found = access.app_for(asker(request), app, to=access.OPERATE)
    return DrainOut.all_of(list(found.log_drains.select_related("app")))


@router.post("/apps/{app}/log-drains", response={201: DrainOut})
def add(request: HttpRequest, app: str, body: DrainIn) -> Status[DrainOut]:
    """Send an app's log, from now on, to a `syslog+tls://`, `syslog://`, `https://` or `http://` address."""
    by = asker(request)
    found = access.app_for(by, app, to=access.OPERATE)
    return Status(201, DrainOut.of(drains.add_drain(found, body.url, by=by)))


@router.get("/addons/{ref}/log-drains", response=list[DrainOut])
def of_addon(request: HttpRequest, ref: str) -> list[DrainOut]:
    """Where an add-on's partner gets the log of the app that the add-on belongs to."""
    by = asker(request)
    addon = addon_access.addon_for(by, ref)
    if addon.app is None:
        return []
    found = access.app_for(by, addon.app.name, to=access.OPERATE)
    return DrainOut.all_of(list(found.log_drains.filter(addon=addon.pk).select_related("app")))


@router.put("/addons/{ref}/log-drains/{token}", response=DrainOut, auth=PartnerAuth())
def of_partner(request: HttpRequest, ref: str, token: str, body: DrainIn) -> DrainOut:
    """For the add-on's partner, with its own token: get the log of the app, from now on, at this address. The drain is
    the one whose token came with the order."""
    resource = resource_of(request, ref)
    if token != partner_drains.token_of(resource.addon_id):
        raise NotFound("Couldn't find that log drain.", resource="log_drain")
    return DrainOut.of(partners.send_log(resource, body.url))


@router.get("/apps/{app}/log-drains/{path:ref}", response=DrainOut)
def one(request: HttpRequest, app: str, ref: str) -> DrainOut:
    """One drain, by address (encoded into one part of the path), token or id."""
    return DrainOut.of(drains.drain_of(access.app_for(asker(request), app, to=access.OPERATE), ref))


@router.delete("/apps/{app}/log-drains/{path:ref}", response=DrainOut)
def remove(request: HttpRequest, app: str, ref: str) -> DrainOut:
    """Remove a drain, by address, token or id."""
    by = asker(request)
    drain = drains.drain_of(access.app_for(by, app, to=access.OPERATE), ref)
    answer = DrainOut.of(drain)
    drains.remove_drain(drain, by=by)
    return answer
