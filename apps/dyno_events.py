"""What became of the dynos of a formation: kept for some days, and read as what each was at which time."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from apps.models import App, Dyno, DynoEvent
from core.changes import MOVED_ON, Change

KEPT = timedelta(days=8)
MOST = 500  # events that are read for one span
AGAIN = timedelta(hours=1)  # until the same warning of a dyno is worth another row
CAME, WENT = "appeared", "went"
R14 = "Error R14 (Memory quota exceeded)"

Key = tuple[str, int]  # a dyno's name and its release: two releases have dynos of one name during a switch


@dataclass(frozen=True)
class Stay:
    """That a dyno was in `state` from `start` to `end`."""

    state: str
    start: datetime
    end: datetime
    release: int
    reason: str = ""


@dataclass
class Life:
    """What one dyno was in a span of time, and what was noted of it, both oldest first."""

    dyno: str
    stays: list[Stay] = field(default_factory=list)
    events: list[DynoEvent] = field(default_factory=list)


def heard(change: Change) -> None:
    """Listens to `core.changes`: keep each change of a formation's dyno."""
    row = change.thing
    if not isinstance(row, Dyno) or row.one_off or change.verb not in (CAME, WENT, MOVED_ON):
        return
    before = "" if change.verb == CAME else change.details.get("state", row.state)
    state = "" if change.verb == WENT else row.state
    reason = row.reason if state == Dyno.State.CRASHED else ""
    _keep(row, before, state, reason, timezone.now())


def warn_of_memory(dynos: Collection[Dyno], now: datetime) -> None:
    """Keep that these dynos use more than their size allows; of each once an hour. One query for none new."""
    if not dynos:
        return
    recent = DynoEvent.objects.filter(
        app__in={row.app_id for row in dynos}, reason=R14, at__gt=now - AGAIN
    ).order_by()
    told = set(recent.values_list("app_id", "dyno"))
    for row in dynos:
        if (row.app_id, row.name) not in told:
            _keep(row, row.state, row.state, R14, now)


def lives(app: App, start: datetime, now: datetime) -> tuple[list[Life], datetime]:
    """Of each dyno what it was from `start` on, web first; and from when on that is known, which is later where there
    were too many events. Two queries."""
    found = list(DynoEvent.objects.filter(app=app, at__gte=start, at__lte=now)[: MOST + 1])
    if len(found) > MOST:
        found.pop()
        start = found[-1].at
    found.reverse()
    events: dict[Key, list[DynoEvent]] = defaultdict(list)
    for event in found:
        events[event.dyno, event.release_version].append(event)
    rows = {(row.name, row.release_version): row for row in Dyno.objects.filter(app=app, one_off=False)}
    by_name: dict[str, Life] = {}
    for key in sorted(events.keys() | rows.keys(), key=lambda key: key[1]):
        life = by_name.setdefault(key[0], Life(key[0]))
        life.stays += _stays(events[key], rows.get(key), key[1], start, now)
        life.events += events[key]
    for life in by_name.values():
        life.events.sort(key=lambda event: (event.at, event.pk))
    return sorted(by_name.values(), key=lambda life: _place(life.dyno)), start


def forget_old(app: App, now: datetime) -> None:
    """Delete what is older than it is kept, of one app."""
    DynoEvent.objects.filter(app=app, at__lt=now - KEPT).delete()


def _keep(row: Dyno, before: str, state: str, reason: str, at: datetime) -> None:
    DynoEvent.objects.create(
        app_id=row.app_id,
        release_version=row.release_version,
        dyno=row.name,
        before=before,
        state=state,
        reason=reason,
        at=at,
    )


def _stays(
    events: Sequence[DynoEvent], row: Dyno | None, release: int, start: datetime, now: datetime
) -> Iterator[Stay]:
    """The times between events. What was before the first one, that one says; without any the row does."""
    moves = [event for event in events if event.state != event.before]
    if not moves:
        if row is not None:
            yield Stay(row.state, min(max(start, row.state_at), now), now, release, row.reason)
        return
    if moves[0].before:
        yield Stay(moves[0].before, start, moves[0].at, release)
    ends = [event.at for event in moves[1:]] + [now]
    for event, end in zip(moves, ends, strict=True):
        if event.state and (row is not None or event is not moves[-1]):  # a row that is gone is nothing now
            yield Stay(event.state, event.at, end, release, event.reason)


def _place(dyno: str) -> tuple[bool, str, int]:
    type, _, number = dyno.rpartition(".")
    return type != "web", type, int(number)
