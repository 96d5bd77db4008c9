"""What the CLI asks Heroku's data host about backups, restores and copies of databases."""

from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from ninja import Router, Schema, Status

from addons import databases
from addons.access import addons_for
from addons.models import Schedule, Transfer
from api.asker import asker
from api.shapes.base import Time
from core.errors import NotFound
from pipelines import databases as door
from pipelines.downloads import link_to

router = Router(tags=["Backups"])
TYPES = {
    Transfer.Kind.BACKUP: ("pg_dump", "gof3r"),
    Transfer.Kind.RESTORE: ("gof3r", "pg_restore"),
    Transfer.Kind.COPY: ("pg_dump", "pg_restore"),
}


class NoteOut(Schema):
    """What was done, and when."""

    created_at: str
    message: str


class TransferOut(Schema):
    """A backup, a restore or a copy."""

    uuid: UUID
    num: int
    from_type: str
    from_name: str
    from_url: str
    to_type: str
    to_name: str
    to_url: str
    options: dict[str, Any]
    schedule: dict[str, Any] | None
    source_bytes: int
    processed_bytes: int
    succeeded: bool | None
    warnings: int
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    canceled_at: Time | None
    updated_at: Time
    num_keep: int
    logs: list[NoteOut]

    @classmethod
    def of(cls, row: Transfer) -> Self:
        from_type, to_type = TYPES[Transfer.Kind(row.kind)]
        is_backup = row.kind == Transfer.Kind.BACKUP
        return cls(
            uuid=row.pk, num=row.number, from_type=from_type, from_name=row.from_name, from_url="",
            to_type=to_type, to_name=row.to_name, to_url=f"{settings.URL}/database-backups/{row.pk}" if is_backup else "",
            options={}, schedule={"uuid": None} if row.scheduled else None, source_bytes=row.source_bytes,
            processed_bytes=row.processed_bytes, warnings=row.warnings,
            succeeded=None if row.open else row.status == Transfer.Status.SUCCEEDED, created_at=row.created_at,
            started_at=row.started_at, finished_at=row.finished_at,
            canceled_at=row.finished_at if row.status == Transfer.Status.CANCELLED else None,
            updated_at=row.finished_at or row.started_at or row.created_at, num_keep=7,
            logs=[NoteOut(created_at=at, message=text) for at, text in row.notes],
        )  # fmt: skip


class RestoreIn(Schema):
    """Which backup: its `to_url`."""

    backup_url: str
    extensions: list[str] | None = None


class CopyIn(Schema):
    """From which database to which, by the addresses in config vars."""

    from_url: str
    to_url: str
    from_name: str | None = None
    to_name: str | None = None


class ScheduleIn(Schema):
    """When, every day."""

    hour: int | str
    timezone: str = "UTC"
    schedule_name: str = "DATABASE_URL"


class ScheduleOut(Schema):
    """When a database is backed up."""

    uuid: UUID
    name: str
    hour: int
    timezone: str
    days: list[str] = []
    retain_weeks: int = 0
    retain_months: int = 0

    @classmethod
    def of(cls, row: Schedule) -> Self:
        return cls(uuid=row.pk, name=row.name, hour=row.hour, timezone=row.zone)


class LinkOut(Schema):
    """Where to fetch a backup, for a while, without a token."""

    url: str
    expires_at: Time


@router.get("/client/v11/apps/{app}/transfers", response=list[TransferOut])
def of_app(request: HttpRequest, app: str) -> list[TransferOut]:
    """An app's backups, restores and copies, the newest first; 200 at most."""
    return [TransferOut.of(row) for row in door.transfers_of(door.app_for(asker(request), app))]


@router.get("/client/v11/apps/{app}/transfers/{ref}", response=TransferOut)
def one(request: HttpRequest, app: str, ref: str) -> TransferOut:
    """One of them, by number or id."""
    return TransferOut.of(door.transfer_for(asker(request), app, ref))


@router.delete("/client/v11/apps/{app}/transfers/{ref}", response=TransferOut)
def delete(request: HttpRequest, app: str, ref: str) -> TransferOut:
    """Delete a backup."""
    by = asker(request)
    row = door.transfer_for(by, app, ref, to=door.OPERATE)
    databases.delete(row, by=by)
    return TransferOut.of(row)


@router.post("/client/v11/apps/{app}/transfers/{ref}/actions/cancel", response=TransferOut)
def cancel(request: HttpRequest, app: str, ref: str) -> TransferOut:
    """Have it end where it is."""
    by = asker(request)
    row = door.transfer_for(by, app, ref, to=door.DEPLOY)
    databases.cancel(row, by=by)
    return TransferOut.of(row)


@router.post("/client/v11/apps/{app}/transfers/{ref}/actions/public-url", response=LinkOut)
def public_url(request: HttpRequest, app: str, ref: str) -> LinkOut:
    """A link that works without a token for an hour."""
    by = asker(request)
    row = door.transfer_for(by, app, ref, to=door.DEPLOY)
    url, until = link_to(row, by=by)
    return LinkOut(url=url, expires_at=until)


@router.post("/client/v11/databases/{ref}/backups", response={201: TransferOut})
def capture(request: HttpRequest, ref: str) -> Status[TransferOut]:
    """Have a backup made."""
    by = asker(request)
    return Status(201, TransferOut.of(databases.capture(door.database_for(by, ref), by=by)))


@router.post("/client/v11/databases/{ref}/restores", response={201: TransferOut})
def restore(request: HttpRequest, ref: str, body: RestoreIn) -> Status[TransferOut]:
    """Have a database's content replaced by a backup's."""
    by = asker(request)
    target = door.database_for(by, ref, to=door.OPERATE)
    return Status(
        201, TransferOut.of(databases.restore(door.backup_called(by, body.backup_url), target, by=by))
    )


@router.post("/client/v11/databases/{ref}/transfers", response={201: TransferOut})
def copy(request: HttpRequest, ref: str, body: CopyIn) -> Status[TransferOut]:
    """Have a database's content replaced by another's."""
    by = asker(request)
    door.database_for(by, ref)
    target = door.database_at(by, body.to_url, to=door.OPERATE)
    return Status(201, TransferOut.of(databases.copy(door.database_at(by, body.from_url), target, by=by)))


@router.get("/client/v11/databases/{ref}/transfer-schedules", response=list[ScheduleOut])
def schedules(request: HttpRequest, ref: str) -> list[ScheduleOut]:
    """When a database is backed up, and the others of its app that one may see: the CLI asks any one of them for all."""
    by = asker(request)
    addon = door.database_for(by, ref, to=door.VIEW)
    asked_with = addons_for(by).filter(Q(pk=addon.pk) | Q(app__isnull=False, app=addon.app_id))
    rows = Schedule.objects.filter(addon__in=asked_with)
    return [ScheduleOut.of(row) for row in sorted(rows, key=lambda row: (row.addon_id != addon.pk, row.name))]


@router.post("/client/v11/databases/{ref}/transfer-schedules", response={201: ScheduleOut})
def schedule(request: HttpRequest, ref: str, body: ScheduleIn) -> Status[ScheduleOut]:
    """Have a backup made every day, instead of when it was so far."""
    by = asker(request)
    hour = int(body.hour) if str(body.hour).isdecimal() and len(str(body.hour)) < 4 else -1
    addon = door.database_for(by, ref)
    made = databases.schedule(addon, hour=hour, zone=body.timezone, name=body.schedule_name, by=by)
    return Status(201, ScheduleOut.of(made))


@router.delete("/client/v11/databases/{ref}/transfer-schedules/{schedule}", response=ScheduleOut)
def unschedule(request: HttpRequest, ref: str, schedule: UUID) -> ScheduleOut:
    """Have no more backups made every day."""
    by = asker(request)
    addon = door.database_for(by, ref)
    row = Schedule.objects.filter(addon=addon, pk=schedule).first()
    if row is None:
        raise NotFound("Couldn't find that schedule.", resource="schedule")
    databases.unschedule(addon, by=by)
    return ScheduleOut.of(row)
