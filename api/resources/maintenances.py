"""What the CLI asks Heroku's data host about maintenance: of servers that the platform runs itself."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from addons import access, maintenance
from addons.models import Addon
from api.asker import asker
from api.resources.databases import MessageOut
from api.shapes.base import Time
from apps import access as app_access
from core.models import Event

router = Router(tags=["Maintenance"])
KINDS = {"heroku-postgresql": "postgresql", "heroku-redis": "redis"}


class MaintainedAddon(Schema):
    """The add-on that is maintained."""

    uuid: UUID
    name: str
    attachments: list[str]
    kind: str
    plan: str
    window: str


class OwnerOut(Schema):
    """The app, or pipeline, that it belongs to."""

    uuid: UUID
    name: str


class MaintenanceOut(Schema):
    """One maintenance: what it is about, and when."""

    addon: MaintainedAddon
    app: OwnerOut
    addon_description: str
    status: str  # none, pending, running, completed
    window: str
    reason: str
    method: str | None = None
    required_by: Time | None = None
    scheduled_for: Time | None = None
    server_created_at: Time | None = None
    started_at: Time | None = None
    completed_at: Time | None = None
    duration_seconds: int | None = None

    @classmethod
    def of(cls, addon: Addon, done: Event | None = None) -> "MaintenanceOut":
        """How it stands now, or one that is `done`."""
        found = maintenance.demand(addon)
        window, due = str(found.window), found.due and done is None
        status = "running" if found.running else "pending" if found.due else "none"
        return cls(
            addon=MaintainedAddon(
                uuid=addon.pk, name=addon.name, window=window, plan=addon.plan.name,
                kind=KINDS.get(addon.service.name, addon.service.name),
                attachments=[row.name for row in addon.attachments.all() if row.app_id == addon.app_id],
            ),
            app=OwnerOut(uuid=addon.owner.pk, name=addon.owner.name),
            addon_description=addon.service.human_name, window=window, status="completed" if done else status,
            reason="A newer version is installed." if due or done else "It runs what is installed.",
            method="restart" if due or done else None,
            scheduled_for=found.at if due else None,
            server_created_at=addon.created_at,
            completed_at=done.at if done else None,
        )  # fmt: skip


class MaintenancesOut(Schema):
    """Several."""

    maintenances: list[MaintenanceOut]


class WindowIn(Schema):
    """When it may be maintained, in UTC: `Sunday` and `03:00` or `3:00AM`."""

    day_of_week: str
    time_of_day: str


class WindowOut(Schema):
    """When it may be maintained."""

    window: str
    previous_window: str | None = None
    scheduled_for: Time | None = None
    previously_scheduled_for: Time | None = None


@router.get("/data/maintenances/v1/apps/{app}", response=MaintenancesOut)
def of_app(request: HttpRequest, app: str) -> dict[str, Any]:
    """Maintenance of each add-on that an app owns and the platform runs a server for."""
    found = app_access.app_for(asker(request), app)
    rows = Addon.objects.there().whole().filter(app=found).prefetch_related("attachments").order_by("name")
    return {"maintenances": [MaintenanceOut.of(row) for row in rows if maintenance.standing(row)]}


@router.get("/data/maintenances/v1/{ref}", response=MaintenanceOut)
def info(request: HttpRequest, ref: str) -> MaintenanceOut:
    """Whether an add-on's server is to start again, and when."""
    return MaintenanceOut.of(access.addon_for(asker(request), ref))


@router.get("/data/maintenances/v1/{ref}/history/", response=MaintenancesOut)
def history(request: HttpRequest, ref: str, limit: int = 5) -> dict[str, Any]:
    """When it was maintained, the newest first."""
    addon = access.addon_for(asker(request), ref)
    maintenance.demand(addon)
    rows = maintenance.history(addon)[: max(1, min(limit, 20))]
    return {"maintenances": [MaintenanceOut.of(addon, done) for done in rows]}


@router.post("/data/maintenances/v1/{ref}/run", response=MessageOut)
def run(request: HttpRequest, ref: str) -> MessageOut:
    """Have a server that is the add-on's own start again at once, with the newer version."""
    by = asker(request)
    addon = access.addon_for(by, ref, to=access.OPERATE)
    maintenance.run(addon, by=by)
    return MessageOut(message=f"{addon.name} starts again.")


@router.get("/data/maintenances/v1/{ref}/window", response=WindowOut)
def window(request: HttpRequest, ref: str) -> WindowOut:
    """When an add-on may be maintained."""
    found = maintenance.demand(access.addon_for(asker(request), ref))
    return WindowOut(window=str(found.window), scheduled_for=found.at)


@router.post("/data/maintenances/v1/{ref}/window", response=WindowOut)
def change_window(request: HttpRequest, ref: str, body: WindowIn) -> WindowOut:
    """Choose when a server that is the add-on's own may be maintained."""
    by = asker(request)
    addon = access.addon_for(by, ref, to=access.OPERATE)
    before = maintenance.demand(addon)
    maintenance.set_window(addon, body.day_of_week, body.time_of_day, by=by)
    now = maintenance.demand(access.addon_for(by, ref))
    return WindowOut(
        window=str(now.window), previous_window=str(before.window), scheduled_for=now.at,
        previously_scheduled_for=before.at,
    )  # fmt: skip
