"""What the page of a database or a key-value store shows: how full it is, backups, who gets in, who is in."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from accounts.models import User
from addons import databases
from addons.models import Addon, Schedule, Transfer
from addons.orders import order_of
from addons.providers import provider_for
from addons.transfers import POSTGRESQL, REDIS
from apps import access as app_access
from apps.models import App
from core.errors import EngineError, Refusal
from dashboard import panels
from dashboard.forms import Form
from engine.servers import contents
from engine.servers.valkey import POLICIES
from pipelines import databases as door
from pipelines.access import showing_config

KINDS = {POSTGRESQL, REDIS}  # services that have such a page
SHOWN, SESSIONS = 50, 20
TIGHT = 80  # per cent of a limit, from which on it is warned of
STATES = {
    "pending": ("queued", "Waiting"),
    "running": ("building", "Running"),
    "succeeded": ("passed", "Done"),
    "failed": ("failed", "Failed"),
    "cancelled": ("stopped", "Cancelled"),
}
WORDS = {"backup": "Backup", "restore": "Restore", "copy": "Copy"}
MB = 1024 * 1024


@dataclass(frozen=True)
class Gauge:
    """How much of a limit is used."""

    label: str
    text: str
    percent: int | None  # None without a limit
    tight: bool


@dataclass(frozen=True)
class Move:
    """A backup, restore or copy as a line."""

    row: Transfer
    kind: str
    word: str
    what: str
    size: str
    kept: bool


def of_database(app: App, user: User, addon: Addon, form: Form | None = None) -> dict[str, Any]:
    """The page, as it is seen from an app that owns or uses the add-on."""
    ready = bool(addon.sealed_config)
    told = (_database(addon) if addon.service.name == POSTGRESQL else _store(addon)) if ready else {}
    schedule: Schedule | None = getattr(addon, "schedule", None)
    return {
        **panels.frame(app, user, "resources"),
        "addon": addon,
        "is_store": addon.service.name == REDIS,
        "ready": ready,
        "problem": "",
        "gauges": [],
        "facts": [],
        "sessions": [],
        "session_count": 0,
        "idle": 0,
        "moves": _moves(addon),
        "schedule": schedule,
        "credentials": [name or "default" for name in sorted(addon.config_keys)],
        "most_credentials": addon.plan.limits.get("credentials", 0),
        "may_enter": door.may_enter(user, addon),
        "policies": POLICIES.items(),
        "policy": addon.options.get("maxmemory_policy", "noeviction"),
        "timeout": addon.options.get("timeout", "300"),
        "hours": range(24),
        "zones": sorted(
            zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")
        ),
        "form": form
        or Form(hour=schedule.hour if schedule else 3, zone=schedule.zone if schedule else "UTC"),
        **told,
    }


def restoring(app: App, user: User, backup: Transfer, addon: Addon, form: Form) -> dict[str, Any]:
    """The dialog that asks before a database's content is replaced by a backup's."""
    return {**panels.frame(app, user, "resources"), "addon": addon, "backup": backup, "form": form}


def copying(app: App, user: User, addon: Addon, form: Form) -> dict[str, Any]:
    """The dialog that asks from which database to copy: those whose content the viewer may see."""
    owners = showing_config(user, app_access.apps_for(user).filter(addons__plan__service__name=POSTGRESQL))
    rows = Addon.objects.there().whole().filter(plan__service__name=POSTGRESQL, app__in=owners)
    found = list(rows.exclude(pk=addon.pk).order_by("app__name", "name")[:SHOWN])
    return {**panels.frame(app, user, "resources"), "addon": addon, "sources": found, "form": form}


def _database(addon: Addon) -> dict[str, Any]:
    try:
        url = databases.url_of(addon)
        seen = contents.look(url)
        here = databases.sessions(addon)
    except (EngineError, Refusal) as error:
        return {"problem": getattr(error, "message", str(error))}
    limit_mb = addon.plan.limits.get("storage_mb")
    gauges = [
        gauge("Connections", seen.connections, max(seen.connections_limit, 0)),
        gauge("Storage", round(seen.bytes / MB), limit_mb or 0, unit=" MB"),
    ]
    facts = [
        ("PostgreSQL", seen.version),
        ("Tables", str(seen.tables)),
        ("Read from memory", f"{seen.hit_rate:.1%}" if seen.hit_rate is not None else "Nothing read yet"),
        ("Extensions", ", ".join(seen.extensions) or "None"),
    ]
    busy = [each for each in here if each.state != "idle"]
    counts = {"session_count": len(here), "idle": len(here) - len(busy)}
    return {"gauges": gauges, "facts": facts, "sessions": busy[:SESSIONS], **counts}


def _store(addon: Addon) -> dict[str, Any]:
    try:
        return {"facts": provider_for(addon.service.name).facts(order_of(addon))}
    except EngineError as error:
        return {"problem": str(error)}


def _moves(addon: Addon) -> list[Move]:
    rows = Transfer.objects.listed().filter(source=addon) | Transfer.objects.listed().filter(target=addon)
    return [_move(row, addon) for row in rows.select_related("app").order_by("-created_at")[:SHOWN]]


def _move(row: Transfer, addon: Addon) -> Move:
    kind, word = STATES[row.status]
    what = WORDS[row.kind]
    if row.kind != Transfer.Kind.BACKUP:
        what += f" to {row.to_name}" if row.source_id == addon.pk else f" from {row.from_name}"
    elif row.scheduled:
        what = "Daily backup"
    kept = row.kind == Transfer.Kind.BACKUP and row.status == Transfer.Status.SUCCEEDED
    return Move(row, kind, word, what, size_of(row.processed_bytes), kept)


def size_of(number: int) -> str:
    """Bytes for people."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B" if number else ""


def gauge(label: str, used: int, limit: int, *, unit: str = "") -> Gauge:
    """`used` beside `limit`, 0 being none."""
    percent = min(round(100 * used / limit), 100) if limit else None
    text = f"{used:,} of {limit:,}{unit}" if limit else f"{used:,}{unit}"
    return Gauge(label, text, percent, percent is not None and percent >= TIGHT)
