"""Apps that sleep: without a request for some time their dynos stop, and the next request starts them again.

An app asleep keeps its formation; its dynos are rows in the state idle, which the conductor does not run. Its requests
wait at the router, which has it woken. One-off dynos and releases go their way meanwhile; a release that succeeds wakes
it.
"""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.access import demand_not_suspended
from accounts.models import User
from apps.models import App, Dyno
from core import activity, changes, live
from core.changes import Change
from core.errors import Refusal

MOST_MINUTES = 7 * 24 * 60
SLEPT, WOKE = "put to sleep", "woke"


@transaction.atomic
def set_sleep(app: App, minutes: int, *, by: User | None) -> App:
    """Have the app sleep after so many minutes without a request; 0: never, and it wakes if it sleeps now."""
    if not 0 <= minutes <= MOST_MINUTES:
        text = f"Give minutes between 1 and {MOST_MINUTES}, or 0 for never."
        raise Refusal(text, fields={"minutes": text})
    before, app.sleep_minutes = app.sleep_minutes, minutes
    App.objects.filter(pk=app.pk).update(sleep_minutes=minutes)
    if before != minutes:
        activity.record(by, "set the sleep of", app, before=_words(before), after=_words(minutes))
    if not minutes:
        wake(app, by=by)
    live.tell(app.topic)
    return app


@transaction.atomic
def put_to_sleep(app: App, *, by: User | None) -> bool:
    """Stop its dynos until somebody comes. False when it sleeps already, or is suspended or destroyed. `by` is None for
    the platform, which makes no entry in the history of the app."""
    now = timezone.now()
    awake = App.objects.alive().filter(pk=app.pk, asleep_since=None, suspended_at=None)
    if not awake.update(asleep_since=now, woken_at=None):
        return False
    app.asleep_since, app.woken_at = now, None
    rows = list(Dyno.objects.filter(app=app, one_off=False))
    Dyno.objects.filter(pk__in=[row.pk for row in rows]).update(
        generation=F("generation") + 1,
        crashes=0,
        start_after=None,
        state=Dyno.State.IDLE,
        state_at=now,
        port=None,
    )
    _told(app, rows, Dyno.State.IDLE, SLEPT, by)
    return True


@transaction.atomic
def wake(app: App, *, by: User | None) -> bool:
    """Start its dynos again; False when it is awake. `by` is None for a visitor's request."""
    if by is not None:
        demand_not_suspended(app)
    now = timezone.now()
    if not App.objects.filter(pk=app.pk, asleep_since__isnull=False).update(asleep_since=None, woken_at=now):
        return False
    app.asleep_since, app.woken_at = None, now
    rows = list(Dyno.objects.filter(app=app, one_off=False, state=Dyno.State.IDLE))
    Dyno.objects.filter(pk__in=[row.pk for row in rows]).update(state=Dyno.State.STARTING, state_at=now)
    _told(app, rows, Dyno.State.STARTING, WOKE, by)
    return True


def _words(minutes: int) -> str:
    return f"after {minutes} min" if minutes else "never"


def _told(app: App, rows: list[Dyno], state: str, verb: str, by: User | None) -> None:
    for row in rows:
        before, row.state = row.state, state
        changes.note(Change(row, by=by, app_id=app.pk, details={"state": before}))
    if by is None:
        changes.note(Change(app, verb, app_id=app.pk))
    else:
        activity.record(by, verb, app)
    live.tell(app.topic)
    live.wake_conductor()
