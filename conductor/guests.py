"""Who attaches to a one-off dyno: from the secret to its streams."""

import time
from collections.abc import Callable
from functools import partial

from django.db import connection

from accounts.models import ApiToken, User
from apps import access
from apps.models import Dyno
from conductor.parts import Parts
from core import secrets
from core.errors import Forbidden, NotFound
from engine.rendezvous import Guest
from pipelines.access import may_see_config

LOOK_SECONDS, ROW_SECONDS, PATIENCE_SECONDS = 0.005, 0.5, 120.0
UNKNOWN = "This dyno can't be attached to: it was before, or has ended. Run the command again."


def find(parts: Parts, secret: str) -> Guest:
    """The dyno with this secret, which works once; waits until it has started. `LookupError` says why there is none."""
    try:
        dyno = _dyno(secret)
        return _wait(parts, dyno, partial(may_stay, dyno, secret.partition(".")[2]))
    finally:
        connection.close()


def may_stay(dyno: Dyno, token: str) -> bool:
    """Whether who started `dyno`, with the API token of that id if any, might still do so (promise I-31)."""
    try:
        user = User.objects.filter(pk=dyno.by_id, is_active=True).first() if dyno.by_id else None
        if user is None or (token and not ApiToken.objects.valid().filter(pk=token).exists()):
            return False
        return may_see_config(user, access.app_for(user, str(dyno.app_id), to=access.DEPLOY))
    except (NotFound, Forbidden):
        return False
    finally:
        connection.close()


def _dyno(secret: str) -> Dyno:
    digest = secrets.digest(secret)
    dyno = Dyno.objects.filter(attach_digest=digest).first()
    if dyno is None or not may_stay(dyno, secret.partition(".")[2]):
        raise LookupError(UNKNOWN)
    if not Dyno.objects.filter(pk=dyno.pk, attach_digest=digest).update(attach_digest=""):
        raise LookupError(UNKNOWN)
    return dyno


def _wait(parts: Parts, dyno: Dyno, stays: Callable[[], bool]) -> Guest:
    incarnation = f"{dyno.pk}.1.0"  # a one-off dyno starts once
    end, look_again = time.monotonic() + PATIENCE_SECONDS, time.monotonic()
    while (now := time.monotonic()) < end:
        streams = parts.driver.attach(incarnation)
        if streams is not None:
            # The CLI tells of columns only where a terminal is.
            is_person = dyno.attached == "tty" and "COLUMNS" in dyno.env
            return Guest(streams, lambda: parts.driver.stop(str(dyno.app_id), incarnation), stays, is_person)
        if now >= look_again:
            look_again = now + ROW_SECONDS
            dyno.refresh_from_db(fields=["state", "reason"])
            if dyno.state == Dyno.State.DOWN:
                raise LookupError(dyno.reason or UNKNOWN)
        time.sleep(LOOK_SECONDS)
    raise LookupError("The dyno did not start in time.")
