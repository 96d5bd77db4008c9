"""One-off dynos: a command that runs once, beside the formation."""

import secrets as random
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.access import demand_not_suspended
from accounts.models import User
from apps import limits
from apps.models import App, Dyno
from core import activity, live, names, secrets
from core.errors import NotFound, Refusal
from engine.spec import SIZES

MAX_RUNNING = 100
MAX_SECONDS = 24 * 3600


@transaction.atomic
def run_detached(
    app: App,
    command: str,
    *,
    release_version: int,
    by: User | None,
    size: str = "standard-1x",
    env: Mapping[str, str] | None = None,
    time_to_live: int | None = None,
    type: str = "run",
    code: UUID | None = None,
    stream: str = "",
) -> Dyno:
    """Run `command` once, in a one-off dyno with the code and config of release `release_version`; with `code`, the id of
    a slug, with that code instead, and where the version is 0 with the config vars of now.

    `time_to_live` is in seconds. Returns the dyno, which the conductor starts; its output goes to the app's log, or to
    the log `stream`.
    """
    more: dict[str, Any] = {"code": code, "stream": stream}
    return _one_off(app, command, release_version, by, size, env, time_to_live, type, **more)


@transaction.atomic
def run_attached(
    app: App,
    command: str,
    *,
    tty: bool,
    release_version: int,
    by: User,
    size: str = "standard-1x",
    env: Mapping[str, str] | None = None,
    time_to_live: int | None = None,
    type: str = "run",
) -> tuple[Dyno, str]:
    """Like `run_detached`, for somebody who will sit at its streams: returns the dyno, and the secret to attach with,
    which works once. With `tty` they are a terminal, as `TERM`, `COLUMNS` and `LINES` of `env` describe it.
    The secret ends in the API token that asked for it: when that is revoked, they are cut off."""
    secret = secrets.new_token("rendezvous") + (f".{by.token.pk.hex}" if by.token else "")
    attach: dict[str, Any] = {"attached": "tty" if tty else "plain", "attach_digest": secrets.digest(secret)}
    return _one_off(app, command, release_version, by, size, env, time_to_live, type, **attach), secret


@transaction.atomic
def run_inside(
    app: App,
    host: Dyno,
    command: str,
    *,
    by: User,
    tty: bool = True,
    env: Mapping[str, str] | None = None,
    noted: bool = True,
) -> tuple[Dyno, str]:
    """Run `command` in the walls of a dyno that runs: as its user, among its files, within its limits, and until it
    ends. Else like `run_attached`. Unless it is to be `noted`, no activity tells of it: the same was told before."""
    if host.state != Dyno.State.UP or host.inside:
        raise Refusal(f"{host.name} does not run now: it is {host.state}. Look at heroku ps.")
    secret = secrets.new_token("rendezvous") + (f".{by.token.pk.hex}" if by.token else "")
    attach: dict[str, Any] = {"attached": "tty" if tty else "plain", "attach_digest": secrets.digest(secret)}
    attach["inside"] = host.incarnation
    return (
        _one_off(app, command, host.release_version, by, host.size, env, None, "run", noted, **attach),
        secret,
    )


def newest(app: App, ref: str) -> Dyno:
    """The dyno by name or id; during a switch two have the same name. `NotFound` when there is none."""
    rows = [row for row in app.dynos.select_related("app") if ref in (row.name, str(row.pk))]
    if not rows:
        raise NotFound("Couldn't find that dyno.", resource="dyno")
    return max(rows, key=lambda row: row.release_version)


def _one_off(
    app: App,
    command: str,
    release_version: int,
    by: User | None,
    size: str,
    env: Mapping[str, str] | None,
    time_to_live: int | None,
    type: str,
    noted: bool = True,
    **more: Any,
) -> Dyno:
    _check_one_off(app, command, size=size, time_to_live=time_to_live, type=type)
    taken = set(Dyno.objects.filter(app=app, type=type).values_list("number", flat=True))
    free = [number for number in range(1000, 10000) if number not in taken]
    dyno = Dyno(
        app=app,
        type=type,
        number=random.choice(free),
        size=size.lower(),
        command=command,
        release_version=release_version,
        one_off=True,
        time_to_live=time_to_live,
        by=by,
        **more,
    )
    if env:
        dyno.env = dict(env)
    dyno.save(force_insert=True)
    if noted:
        activity.record(by, "ran", dyno, app=app, size=dyno.size)
    live.tell(f"start:{app.pk}")
    live.tell(app.topic)
    live.wake_conductor()
    return dyno


def _check_one_off(app: App, command: str, *, size: str, time_to_live: int | None, type: str) -> None:
    demand_not_suspended(app)
    limits.demand_dynos(app.owner)
    if not command.strip() or len(command) > 10_000 or "\0" in command:
        raise Refusal(
            "Give a command, of 10,000 characters at most.", fields={"command": "Give a command to run."}
        )
    if size.lower() not in SIZES:
        raise Refusal(
            f"There is no size {size}. Sizes: {', '.join(SIZES)}.", fields={"size": "No such size."}
        )
    if time_to_live is not None and not 1 <= time_to_live <= MAX_SECONDS:
        raise Refusal(
            f"A time to live is between 1 and {MAX_SECONDS} seconds.",
            fields={"time_to_live": "Out of range."},
        )
    if not names.PROCESS_TYPE.fullmatch(type):
        raise Refusal(
            "A process type has letters, digits, dashes and underscores.", fields={"type": "No such type."}
        )
    running = Dyno.objects.filter(app=app, one_off=True).exclude(state__in=["down", "crashed"]).count()
    if running >= MAX_RUNNING:
        raise Refusal(f"An app can have {MAX_RUNNING} one-off dynos at a time.")
