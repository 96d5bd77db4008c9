"""What people do with the content of databases: back it up, restore it, copy it, on request or every day; and with who
gets in: new passwords, ended sessions. The conductor does the work; see `conductor.transfers`."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from addons import actions
from addons.models import Addon
from addons.orders import order_of
from addons.providers.passwords import ROTATED
from addons.providers.postgresql import names, server
from addons.providers.redis import check_options
from addons.transfer_models import Schedule, Transfer, next_time
from addons.transfers import POSTGRESQL, REDIS, begin, billed_to
from core import activity, live
from core.errors import Conflict, EngineError, NotFound, Refusal
from engine.servers import contents
from engine.servers.databases import Session

SCRIPT_CHARACTERS = 100_000
_CREDENTIAL = re.compile(r"[a-z][a-z0-9_]{0,19}")


def demand(addon: Addon, service: str = POSTGRESQL) -> Addon:
    """The add-on, if it is one of `service`; `NotFound` else."""
    if addon.service.name != service:
        raise NotFound(
            f"{addon.name} is {addon.service.human_name}, which has no such thing.", resource="add_on"
        )
    return addon


def url_of(addon: Addon, credential: str = "") -> str:
    """What apps get in with; `NotFound` when there is no such credential, `Conflict` before it is ready."""
    config = addon.config
    if not config:
        raise Conflict(f"{addon.name} is {addon.get_state_display()}.")
    if credential not in config:
        raise NotFound(f"{addon.name} has no credential {credential[:40]}.", resource="credential")
    return config[credential]["URL"]


# --- at once ----------------------------------------------------------------------------------------------------------


@contextmanager
def reaching(addon: Addon) -> Iterator[None]:
    """What the server turns down inside, or that it is away, is a `Refusal`."""
    try:
        yield
    except EngineError as error:
        raise Refusal(f"{addon.name} can't be reached: {error}", id="unavailable", status=503) from None


def reset(addon: Addon, *, by: User) -> None:
    """Delete everything in a database, at once and for good."""
    actions.demand_ready(demand(addon))
    with reaching(addon):
        contents.empty(url_of(addon))
    activity.record(by, "reset", addon, app=addon.app, pipeline=addon.pipeline)


def end_sessions(addon: Addon, *, pid: int | None = None, by: User) -> int:
    """Hang up on everybody who is in a database, or on one; returns on how many."""
    with reaching(addon):
        ended = server().end_sessions(names(order_of(demand(addon))), pid=pid)
    activity.record(
        by, "ended the sessions of", addon, app=addon.app, pipeline=addon.pipeline, sessions=ended
    )
    return ended


def sessions(addon: Addon) -> list[Session]:
    """Who is in a database, the longest statement first."""
    with reaching(addon):
        return server().sessions(names(order_of(demand(addon))))


def diagnose(addon: Addon) -> list[contents.Finding]:
    """What may be wrong with a database."""
    with reaching(addon):
        return contents.diagnose(url_of(addon), sessions(addon))


# --- content ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def capture(addon: Addon, *, by: User | None, scheduled: bool = False) -> Transfer:
    """Have a backup made."""
    actions.demand_ready(demand(addon))
    made = begin(
        billed_to(addon), Transfer.Kind.BACKUP, source=addon, from_name=addon.name, to_name="BACKUP",
        scheduled=scheduled, by=by,
    )  # fmt: skip
    activity.record(by, "captured", made, app=made.app, what=addon.name)
    return made


@transaction.atomic
def restore(backup: Transfer, target: Addon, *, script: str = "", by: User) -> Transfer:
    """Have a database's content replaced by a backup's. What is there stays until the backup has been read whole."""
    actions.demand_ready(demand(target))
    if not Transfer.objects.kept().filter(pk=backup.pk).exists():
        raise Refusal(f"{backup} can't be restored: it has not succeeded, or was deleted.")
    made = begin(
        billed_to(target), Transfer.Kind.RESTORE, target=target, backup=backup, script=_checked(script),
        from_name=f"{backup.app.name}::{backup}", to_name=target.name, by=by,
    )  # fmt: skip
    activity.record(by, "restored", made, app=made.app, what=target.name, source=str(made.from_name))
    return made


@transaction.atomic
def copy(source: Addon, target: Addon, *, script: str = "", by: User) -> Transfer:
    """Have a database's content replaced by another's. `script` is SQL that runs on the copy before anyone sees it."""
    for addon in (source, target):
        actions.demand_ready(demand(addon))
    if source.pk == target.pk:
        raise Refusal("A database can't be copied onto itself.")
    made = begin(
        billed_to(target), Transfer.Kind.COPY, source=source, target=target, script=_checked(script),
        from_name=source.name, to_name=target.name, by=by,
    )  # fmt: skip
    activity.record(by, "copied", made, app=made.app, what=source.name, to=target.name)
    return made


@transaction.atomic
def cancel(transfer: Transfer, *, by: User) -> None:
    """Have a transfer end where it is; the target of a restore or copy keeps what it has."""
    if not Transfer.objects.open().filter(pk=transfer.pk).update(cancel_asked=True):
        raise Conflict(f"{transfer} has ended already.")
    activity.record(by, "cancelled", transfer, app=transfer.app)
    live.wake_conductor()


@transaction.atomic
def delete(transfer: Transfer, *, by: User) -> None:
    """Delete a backup, or take a restore or copy that has ended off the list."""
    if Transfer.objects.open().filter(pk=transfer.pk).exists():
        raise Conflict(f"{transfer} has not ended yet: cancel it first.")
    if Transfer.objects.listed().filter(pk=transfer.pk).update(dropped_at=timezone.now()):
        activity.record(by, "deleted", transfer, app=transfer.app)
        live.tell(transfer.app.topic)
        live.wake_conductor()


@transaction.atomic
def schedule(addon: Addon, *, hour: int, zone: str, name: str, by: User) -> Schedule:
    """Have a backup made every day at `hour`:00 in a time zone; replaces what was scheduled."""
    demand(addon)
    if not 0 <= hour <= 23:
        raise Refusal("An hour is from 0 to 23.", fields={"hour": "From 0 to 23."})
    if zone not in available_timezones():
        raise Refusal(
            f"{zone[:60]} is no time zone; write one like Europe/Paris or UTC.",
            fields={"zone": "A name like Europe/Paris or UTC."},
        )
    ZoneInfo(zone)
    values = {
        "name": name[:110], "hour": hour, "zone": zone, "next_at": next_time(hour, zone, timezone.now()), "by": by,
    }  # fmt: skip
    made, _ = Schedule.objects.update_or_create(addon=addon, defaults=values)
    activity.record(by, "scheduled backups of", addon, app=addon.app, pipeline=addon.pipeline, at=str(made))
    actions.tell(addon)
    return made


@transaction.atomic
def unschedule(addon: Addon, *, by: User) -> None:
    """Have no more backups made every day."""
    if Schedule.objects.filter(addon=addon).delete()[0]:
        activity.record(by, "unscheduled backups of", addon, app=addon.app, pipeline=addon.pipeline)
        actions.tell(addon)


# --- who gets in ------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_credential(addon: Addon, name: str, *, by: User) -> Addon:
    """Make a further user of a database, which may do what it is granted in SQL."""
    demand(addon)
    name = _named(name)
    if name in addon.config_keys:
        raise Conflict(f"{addon.name} has a credential {name} already.")
    most = addon.plan.limits.get("credentials", 0)
    if len(addon.config_keys) > most:
        raise Refusal(
            f"The plan {addon.plan.name} has {most} credentials besides the default one. Change the plan for more."
            if most
            else f"The plan {addon.plan.name} has the default credential alone. Change the plan for more."
        )
    return actions.create_credential(addon, name, by=by)


@transaction.atomic
def rotate(addon: Addon, names: list[str], *, by: User) -> None:
    """Have new passwords made for these credentials, "" being the default one. The old ones are void at once; each app
    gets the new value in a release."""
    locked = actions.locked(addon)
    actions.demand_ready(locked)
    for name in names:
        if name not in locked.config_keys:
            raise NotFound(f"{locked.name} has no credential {name[:40]}.")
        before = locked.options.get(ROTATED + name, "0")
        locked.options[ROTATED + name] = str(int(before) + 1 if before.isdecimal() else 1)
    Addon.objects.filter(pk=locked.pk).update(options=locked.options)
    for name in names:
        actions.ask(locked, ["credential", name])
    words = ", ".join(name or "default" for name in names)
    activity.record(by, "rotated", locked, app=locked.app, pipeline=locked.pipeline, what=words)


@transaction.atomic
def configure_store(addon: Addon, options: Mapping[str, str], *, by: User) -> Addon:
    """Change how a key-value store behaves: `maxmemory_policy`, `timeout`, `notify_keyspace_events`."""
    locked = actions.locked(demand(addon, REDIS))
    actions.demand_ready(locked)
    try:
        check_options({**locked.options, **options})
    except EngineError as error:
        raise Refusal(str(error)) from None
    locked.options.update(options)
    Addon.objects.filter(pk=locked.pk).update(options=locked.options)
    actions.ask(locked, ["credential", ""])
    activity.record(by, "configured", locked, app=locked.app, pipeline=locked.pipeline, **options)
    return locked


# --- inside -----------------------------------------------------------------------------------------------------------


def _checked(script: str) -> str:
    if len(script) > SCRIPT_CHARACTERS or "\0" in script:
        raise Refusal(f"A script has up to {SCRIPT_CHARACTERS:,} characters.", fields={"script": "Too long."})
    return script.strip()


def _named(name: str) -> str:
    if not _CREDENTIAL.fullmatch(name) or name == "default":
        raise Refusal(
            "A credential's name is 1 to 20 lower-case letters, digits and underscores, and begins with a letter.",
            fields={"name": "Lower-case letters, digits and underscores; 20 at most."},
        )
    return name
