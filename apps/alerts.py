"""Alerts: bounds that people draw for an app, and who is told when it goes beyond one.

Of the router's figures the last whole minutes are looked at, of the log the last minutes up to now. An alert comes on
once its minutes together are beyond its bound, and goes off once they are not: each is told once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from apps.metrics import quantile
from apps.models import Alert, App
from core import activity, changes, live
from core.changes import Change
from core.errors import Conflict, NotFound, Refusal

MOST = 20  # of an app
MINUTES = (1, 5, 10, 30, 60)
FEWEST = 10  # requests that say anything
BOUNDS = {Alert.Kind.RESPONSE: (1, 30_000), Alert.Kind.ERRORS: (0, 99), Alert.Kind.LOG: (1, 1000)}
WORDS = {
    Alert.Kind.RESPONSE: "The response time is between 1 and 30000 ms.",
    Alert.Kind.ERRORS: "The share of errors is between 0 and 99 %.",
    Alert.Kind.LOG: "The number of lines is between 1 and 1000.",
}
CAME_ON, WENT_OFF = "came on", "went off"  # the verbs of changes that nobody did


@dataclass(frozen=True)
class Count:
    """What the router counted of one minute."""

    minute: datetime
    requests: int
    errors: int
    spread: Sequence[int]


# --- what people ask for ----------------------------------------------------------------------------------------------


def add(app: App, kind: str, bound: int, *, text: str = "", minutes: int = 5, by: User) -> Alert:
    """Tell those who run `app` when it is beyond `bound` (milliseconds that 95 % of the answers keep to, percent of the
    requests that fail, or lines of the log with the words of `text`) for so many minutes. `Refusal` for what makes no
    sense, `Conflict` for the same again."""
    alert = Alert(
        app=app, kind=kind, bound=bound, text=text if kind == Alert.Kind.LOG else "", minutes=minutes
    )
    _check(alert)
    alert.by = by
    try:
        with transaction.atomic():
            App.objects.select_for_update().get(
                pk=app.pk
            )  # so that two do not come beyond the limit together
            if Alert.objects.filter(app=app).count() >= MOST:
                raise Refusal(f"An app has {MOST} alerts at most. Remove one that nobody needs.")
            alert.save(force_insert=True)
            activity.record(by, "added an alert to", app, alert=str(alert))
            live.show(app.topic)
    except IntegrityError as same:
        raise Conflict("There is such an alert already.") from same
    return alert


@transaction.atomic
def remove(app: App, alert_id: UUID, *, by: User) -> Alert:
    """Forget it; nobody is told of it any more. `NotFound` when there is none."""
    alert = Alert.objects.filter(app=app, pk=alert_id).first()
    if alert is None:
        raise NotFound("There is no such alert.")
    activity.record(by, "removed an alert of", app, alert=str(alert))
    alert.delete()
    live.show(app.topic)
    return alert


def _check(alert: Alert) -> None:
    if alert.kind not in Alert.Kind.values:
        _refuse("kind", f"Choose what to look at: {', '.join(Alert.Kind.values)}.")
    low, high = BOUNDS[Alert.Kind(alert.kind)]
    if not low <= alert.bound <= high:
        _refuse("bound", WORDS[Alert.Kind(alert.kind)])
    if alert.minutes not in MINUTES:
        _refuse("minutes", f"Choose one of {', '.join(map(str, MINUTES))} minutes.")
    if alert.kind == Alert.Kind.LOG and not alert.text.strip():
        _refuse("text", "Say which words to look for, as in a search of the log.")
    if len(alert.text) > 200:
        _refuse("text", "Of words, 200 characters at most.")


def _refuse(field: str, text: str) -> None:
    raise Refusal(text, fields={field: text})


# --- what the platform does -------------------------------------------------------------------------------------------


def first_minute(alert: Alert, now: datetime) -> datetime:
    """The first of the minutes that are looked at; the one of `now` is not over and not among them."""
    return now.replace(second=0, microsecond=0) - timedelta(minutes=alert.minutes)


def of_counts(alert: Alert, counts: Iterable[Count], now: datetime) -> str:
    """What is beyond the bound, in words; empty when nothing is. Of few requests nothing can be said."""
    first, end = first_minute(alert, now), now.replace(second=0, microsecond=0)
    spread: list[int] = []
    requests = errors = 0
    for count in counts:
        if first <= count.minute < end:
            requests, errors = requests + count.requests, errors + count.errors
            spread = [a + b for a, b in zip_longest(spread, count.spread, fillvalue=0)]
    if alert.kind == Alert.Kind.RESPONSE:
        took = round(quantile(spread, 0.95) or 0)
        return f"p95 {took} ms" if sum(spread) >= FEWEST and took > alert.bound else ""
    if requests >= FEWEST and errors * 100 > alert.bound * requests:
        return f"{errors * 100 / requests:.1f} % of {requests} requests failed"
    return ""


def of_lines(alert: Alert, number: int) -> str:
    """The same for the lines that were found, of which no more than the bound are counted."""
    return f"{number} or more" if number >= alert.bound else ""


def note(alert: Alert, found: str, *, now: datetime | None = None) -> bool:
    """Turn it on with what was found, or off with nothing; whether that is news. Of two who look, one tells."""
    now = now or timezone.now()
    if bool(found) == (alert.since is not None):
        return False
    same = Alert.objects.filter(pk=alert.pk, since=alert.since)
    with transaction.atomic():
        if not same.update(since=now if found else None, found=found[:100] if found else alert.found):
            return False
        alert.since, alert.found = (now, found[:100]) if found else (None, alert.found)
        verb = CAME_ON if found else WENT_OFF
        changes.note(Change(alert, verb, app_id=alert.app_id, details={"at": now.isoformat()}))
        live.show(alert.app.topic)
    return True
