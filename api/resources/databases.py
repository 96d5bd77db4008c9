"""What the CLI asks Heroku's data host: PostgreSQL databases, and who gets into them. Backups are in `backups`."""

from typing import Any, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status

from addons import actions, databases
from addons.models import Addon
from api.asker import asker
from api.shapes.base import Time
from core.errors import EngineError, NotFound
from engine.servers import contents
from pipelines import databases as door

router = Router(tags=["Databases"])
STATES = {"provisioned": "Available", "changing": "Changing", "provisioning": "Preparing"}


class FactOut(Schema):
    """One line of what there is to know."""

    name: str
    values: list[str]
    resolve_db_name: bool = False


class DatabaseOut(Schema):
    """A database. Its address is told to those who may see the config vars that hold it."""

    addon_id: UUID
    name: str
    plan: str
    created_at: Time
    num_bytes: int
    credentials: int
    database_name: str
    database_user: str
    port: int
    resource_url: str
    waiting: bool
    info: list[FactOut]
    following: None = None
    forked_from: None = None


class WaitOut(Schema):
    """Whether it is there yet."""

    waiting: bool
    error: bool
    message: str

    def told(self) -> dict[str, Any]:
        """As the CLI reads it."""
        return {"waiting?": self.waiting, "error?": self.error, "message": self.message}


class MessageOut(Schema):
    """What was done."""

    message: str


class NewCredential(Schema):
    """What to call it."""

    name: str


class SecretOut(Schema):
    """Who signs in, and with what."""

    user: str
    password: str
    state: str = "active"
    connections: int | None = None


class CredentialOut(Schema):
    """A credential of a database."""

    uuid: UUID
    name: str
    state: str
    database: str
    host: str
    port: int
    credentials: list[SecretOut]

    @classmethod
    def of(cls, addon: Addon, name: str) -> Self:
        parts = urlsplit(databases.url_of(addon, name))
        secret = SecretOut(user=parts.username or "", password=unquote(parts.password or ""))
        return cls(
            uuid=addon.pk, name=name or "default", state="active", database=parts.path.lstrip("/"),
            host=parts.hostname or "", port=parts.port or 5432, credentials=[secret],
        )  # fmt: skip


@router.get("/client/v11/databases/{ref}", response=DatabaseOut)
def info(request: HttpRequest, ref: str) -> DatabaseOut:
    """One database: its size, its connections, what it is."""
    by = asker(request)
    addon = door.database_for(by, ref, to=door.VIEW)
    if not addon.sealed_config:
        raise NotFound(f"{addon.name} is not provisioned yet.", resource="database")
    url = databases.url_of(addon)
    parts, size, facts = urlsplit(url), *_facts(addon, url)
    open_to = door.may_enter(by, addon)
    return DatabaseOut(
        addon_id=addon.pk, name=addon.name, plan=addon.plan.name, created_at=addon.created_at, num_bytes=size,
        credentials=len(addon.config_keys), database_name=parts.path.lstrip("/") if open_to else "",
        database_user=(parts.username or "") if open_to else "", port=parts.port or 5432,
        resource_url=url if open_to else "", waiting=False, info=facts,
    )  # fmt: skip


@router.get("/client/v11/databases/{ref}/wait_status", response=dict[str, Any])
def wait_status(request: HttpRequest, ref: str) -> dict[str, Any]:
    """Whether a database is there yet."""
    return wait_for(door.database_for(asker(request), ref, to=door.VIEW)).told()


@router.get("/client/v11/databases/{ref}/upgrade/wait_status", response=dict[str, Any])
def upgrade_status(request: HttpRequest, ref: str) -> dict[str, Any]:
    """That no upgrade of a database is under way: who waits for one goes home."""
    door.database_for(asker(request), ref, to=door.VIEW)
    return WaitOut(waiting=False, error=False, message="no upgrade is under way").told()


@router.put("/client/v11/databases/{ref}/reset", response=MessageOut)
def reset(request: HttpRequest, ref: str) -> MessageOut:
    """Delete everything in a database."""
    by = asker(request)
    addon = door.database_for(by, ref, to=door.OPERATE)
    databases.reset(addon, by=by)
    return MessageOut(message=f"{addon.name} is empty.")


@router.post("/client/v11/databases/{ref}/connection_reset", response=MessageOut)
def connection_reset(request: HttpRequest, ref: str) -> MessageOut:
    """Hang up on everybody who is in a database."""
    by = asker(request)
    ended = databases.end_sessions(door.database_for(by, ref), by=by)
    return MessageOut(message=f"{ended} sessions ended.")


@router.get("/client/v11/databases/{ref}/metrics", response=list[dict[str, Any]])
def metrics(request: HttpRequest, ref: str) -> list[dict[str, Any]]:
    """None: the machine's load is not a database's own."""
    door.database_for(asker(request), ref, to=door.VIEW)
    return []


@router.get("/client/v11/databases/{ref}/burst_status", response=dict[str, Any])
def burst_status(request: HttpRequest, ref: str) -> dict[str, Any]:
    """None: nothing bursts here."""
    door.database_for(asker(request), ref, to=door.VIEW)
    return {}


@router.get("/client/v11/databases/{ref}/links", response=list[dict[str, Any]])
def links(request: HttpRequest, ref: str) -> list[dict[str, Any]]:
    """None: databases are not linked here."""
    door.database_for(asker(request), ref, to=door.VIEW)
    return []


# --- credentials ------------------------------------------------------------------------------------------------------


@router.get("/postgres/v0/databases/{ref}/credentials", response=list[CredentialOut])
def credentials(request: HttpRequest, ref: str) -> list[CredentialOut]:
    """A database's credentials."""
    addon = door.database_for(asker(request), ref)
    return [CredentialOut.of(addon, name) for name in sorted(addon.config_keys)]


@router.get("/postgres/v0/databases/{ref}/credentials/{name}", response=CredentialOut)
def credential(request: HttpRequest, ref: str, name: str) -> CredentialOut:
    """One of them."""
    return CredentialOut.of(door.database_for(asker(request), ref), _named(name))


@router.post("/postgres/v0/databases/{ref}/credentials", response=MessageOut)
def create_credential(request: HttpRequest, ref: str, body: NewCredential) -> MessageOut:
    """Make one more, which may do what it is granted in SQL."""
    by = asker(request)
    databases.create_credential(door.database_for(by, ref), body.name, by=by)
    return MessageOut(message=f"{body.name} is being made.")


@router.delete("/postgres/v0/databases/{ref}/credentials/{name}", response=MessageOut)
def drop_credential(request: HttpRequest, ref: str, name: str) -> MessageOut:
    """Take one away; what it owns becomes the default one's."""
    by = asker(request)
    actions.drop_credential(door.database_for(by, ref), _named(name), by=by)
    return MessageOut(message=f"{name} is being removed.")


@router.post("/postgres/v0/databases/{ref}/credentials/{name}/credentials_rotation", response=MessageOut)
def rotate(request: HttpRequest, ref: str, name: str) -> MessageOut:
    """Have a new password made for one."""
    by = asker(request)
    databases.rotate(door.database_for(by, ref), [_named(name)], by=by)
    return MessageOut(message=f"{name} gets a new password.")


@router.post("/postgres/v0/databases/{ref}/credentials_rotation", response=MessageOut)
def rotate_all(request: HttpRequest, ref: str) -> MessageOut:
    """Have new passwords made for all."""
    by = asker(request)
    addon = door.database_for(by, ref)
    databases.rotate(addon, sorted(addon.config_keys), by=by)
    return MessageOut(message="All credentials get new passwords.")


# --- diagnosis ----------------------------------------------------------------------------------------------------------


class Diagnosed(Schema):
    """What to look at."""

    app: str
    url: str
    database: str = ""
    plan: str = ""


class FindingOut(Schema):
    """One check."""

    name: str
    status: str
    results: list[dict[str, Any]]


class ReportOut(Schema):
    """What was found."""

    id: UUID
    app: str
    database: str
    created_at: Time
    checks: list[FindingOut]


@router.post("/reports", response={201: ReportOut})
def diagnose(request: HttpRequest, body: Diagnosed) -> Status[ReportOut]:
    """Look what may be wrong with a database. The report is not kept."""
    addon = door.database_at(asker(request), body.url)
    checks = [
        FindingOut(name=each.name, status=each.status, results=list(each.results))
        for each in databases.diagnose(addon)
    ]
    report = ReportOut(
        id=uuid4(), app=body.app[:100], database=body.database[:100], created_at=timezone.now(), checks=checks
    )
    return Status(201, report)


# --- parts --------------------------------------------------------------------------------------------------------------


def wait_for(addon: Addon) -> WaitOut:
    """Where an add-on stands."""
    waiting = addon.status in (Addon.Status.PENDING, Addon.Status.RUNNING)
    error = addon.state == Addon.State.FAILED
    message = addon.message if error else "available" if not waiting else addon.get_state_display()
    return WaitOut(waiting=waiting and not error, error=error, message=message)


def _facts(addon: Addon, url: str) -> tuple[int, list[FactOut]]:
    state = STATES.get(addon.state, addon.get_state_display().capitalize())
    try:
        seen = contents.look(url)
    except EngineError as error:
        return 0, [
            FactOut(name="Plan", values=[addon.plan.human_name]),
            FactOut(name="Status", values=[str(error)]),
        ]
    limit = seen.connections_limit
    told = {
        "Plan": addon.plan.human_name,
        "Status": state,
        "Connections": f"{seen.connections}/{limit}" if limit >= 0 else str(seen.connections),
        "PG Version": seen.version,
        "Created": f"{addon.created_at:%Y-%m-%d %H:%M} UTC",
        "Data Size": _size(seen.bytes, addon.plan.limits.get("storage_mb")),
        "Tables": str(seen.tables),
        "Fork/Follow": "Unsupported",
        "Rollback": "Unsupported",
        "Continuous Protection": "Off",
    }
    return seen.bytes, [FactOut(name=name, values=[value]) for name, value in told.items()]


def _size(size: int, limit_mb: int | None) -> str:
    text = f"{size / 1024**2:.1f} MB"
    return f"{text} of {limit_mb} MB ({size / 1024**2 / limit_mb:.0%})" if limit_mb else text


def _named(name: str) -> str:
    return "" if name == "default" else name
