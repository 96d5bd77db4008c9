"""Who attaches to a one-off dyno: from the secret to its streams."""

import time

from django.db import connection

from apps.models import Dyno
from conductor.parts import Parts
from core import secrets
from engine.rendezvous import Guest

LOOK_SECONDS, ROW_SECONDS, PATIENCE_SECONDS = 0.005, 0.5, 120.0
UNKNOWN = "This dyno can't be attached to: it was before, or has ended. Run the command again."


def find(parts: Parts, secret: str) -> Guest:
    """The dyno with this secret, which works once; waits until it has started. `LookupError` says why there is none."""
    try:
        return _wait(parts, _dyno(secret))
    finally:
        connection.close()


def _dyno(secret: str) -> Dyno:
    digest = secrets.digest(secret)
    dyno = Dyno.objects.filter(attach_digest=digest).first()
    if dyno is None or not Dyno.objects.filter(pk=dyno.pk, attach_digest=digest).update(attach_digest=""):
        raise LookupError(UNKNOWN)
    return dyno


def _wait(parts: Parts, dyno: Dyno) -> Guest:
    incarnation = f"{dyno.pk}.1.0"  # a one-off dyno starts once
    end, look_again = time.monotonic() + PATIENCE_SECONDS, time.monotonic()
    while (now := time.monotonic()) < end:
        streams = parts.driver.attach(incarnation)
        if streams is not None:
            return Guest(streams, lambda: parts.driver.stop(str(dyno.app_id), incarnation))
        if now >= look_again:
            look_again = now + ROW_SECONDS
            dyno.refresh_from_db(fields=["state", "reason"])
            if dyno.state == Dyno.State.DOWN:
                raise LookupError(dyno.reason or UNKNOWN)
        time.sleep(LOOK_SECONDS)
    raise LookupError("The dyno did not start in time.")
