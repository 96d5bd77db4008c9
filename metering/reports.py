"""What was used and what it costs: this month so far, a month gone by, and what this one will come to.

A report is of a *scope*: what one team or person owns, one pipeline, or one app. It adds up the ledger's entries of one
month and, for the month that runs, what the meters have counted since.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone

from accounts.models import Team, User
from apps.models import App
from metering.meters import micros, next_month
from metering.models import MICROS, Budget, Entry, Meter, Usage
from pipelines.models import Pipeline

Thing = Team | User | Pipeline | App
# What one line of a report is about, in the order of the fields of `Line`.
GROUP = ("app_id", "app_name", "pipeline_name", "stage_name", "kind", "item", "what", "cents_per_month")
COLUMNS = ("month", "pipeline", "stage", "app", "kind", "item", "what", "hours", "price a month", "cost")


@dataclass(frozen=True)
class Scope:
    """What a report is about."""

    thing: Thing
    rows: Q  # chooses meters and entries


@dataclass
class Line:
    """What one dyno or add-on used in the month."""

    app_id: Any
    app: str
    pipeline: str
    stage: str
    kind: str
    item: str
    what: str
    cents_per_month: int
    micros: int = 0
    seconds: float = 0.0
    runs: bool = False  # it counts on
    to_come: int = 0  # micros until the end of the month, if nothing changes

    @property
    def hours(self) -> float:
        """How long it ran."""
        return self.seconds / 3600

    @property
    def cents(self) -> float:
        """What it cost."""
        return self.micros / MICROS


@dataclass
class Report:
    """A month of a scope."""

    scope: Scope
    month: date  # its first day
    lines: list[Line]
    is_now: bool
    budget: Budget | None = None

    @property
    def micros(self) -> int:
        """What all of it cost so far."""
        return sum(line.micros for line in self.lines)

    @property
    def forecast(self) -> int:
        """What the month will come to, in micros, if all that runs now runs on."""
        return self.micros + sum(line.to_come for line in self.lines)

    @property
    def dynos(self) -> int:
        """What dynos cost, in micros."""
        return sum(line.micros for line in self.lines if line.kind == Usage.Kind.DYNO)

    @property
    def addons(self) -> int:
        """What add-ons cost, in micros."""
        return sum(line.micros for line in self.lines if line.kind == Usage.Kind.ADDON)

    @property
    def of_budget(self) -> int | None:
        """Whole percent of the budget that are spent; None without one."""
        if self.budget is None:
            return None
        return int(100 * self.micros // max(1, self.budget.cents * MICROS))

    def by(self, name: str) -> list[tuple[str, int, int]]:
        """(word, micros, forecast) per app, stage or pipeline, the dearest first."""
        sums: dict[str, tuple[int, int]] = {}
        for line in self.lines:
            word = getattr(line, name)
            spent, coming = sums.get(word, (0, 0))
            sums[word] = (spent + line.micros, coming + line.to_come)
        found = [(word, spent, spent + coming) for word, (spent, coming) in sums.items()]
        return sorted(found, key=lambda row: (-row[2], row[0]))


def scope_of(thing: Thing) -> Scope:
    """What belongs to `thing`."""
    if isinstance(thing, Team):
        return Scope(thing, Q(team=thing))
    if isinstance(thing, User):
        return Scope(thing, Q(user=thing))
    if isinstance(thing, Pipeline):
        return Scope(thing, Q(pipeline_id=thing.pk))
    return Scope(thing, Q(app_id=thing.pk))


def narrowed(scope: Scope, rows: Q) -> Scope:
    """The same scope, of these rows only: what a viewer may see of it."""
    return Scope(scope.thing, scope.rows & rows)


def report(scope: Scope, month: date | None = None, now: datetime | None = None) -> Report:
    """The report of the month that `month` is in; without one of the month that runs. Four queries."""
    now = now or timezone.now()
    first = _first(month or now.astimezone(UTC).date())
    start = datetime(first.year, first.month, 1, tzinfo=UTC)
    lines = {_key(row): _line(row) for row in _summed(scope, start)}
    is_now = start <= now < next_month(start)
    if is_now:
        _add_meters(lines, scope, start, now)
    ordered = sorted(
        lines.values(), key=lambda line: (line.pipeline, line.app, line.kind != "dyno", line.item)
    )
    budget = Budget.objects.filter(**{name_of(scope.thing): scope.thing}).first()
    return Report(scope, first, ordered, is_now, budget)


def months(scope: Scope, count: int = 6, now: datetime | None = None) -> list[tuple[date, int]]:
    """(first day, micros) of the last `count` months, oldest first, the one that runs without what its meters count."""
    first = _first((now or timezone.now()).astimezone(UTC).date())
    firsts = [first]
    while len(firsts) < count:
        firsts.append(_first(firsts[-1] - timedelta(days=1)))
    since = datetime(firsts[-1].year, firsts[-1].month, 1, tzinfo=UTC)
    rows = Entry.objects.filter(scope.rows, started_at__gte=since).order_by()
    sums = rows.values(month=TruncMonth("started_at", tzinfo=UTC)).annotate(spent=Sum("micros"))
    spent = {row["month"].date(): row["spent"] for row in sums}
    return [(day, spent.get(day, 0)) for day in reversed(firsts)]


def as_csv(found: Report) -> Iterator[str]:
    """The report's lines as CSV, costs in units of money; text that a spreadsheet would run is made plain."""
    yield _csv([COLUMNS])
    for line in found.lines:
        yield _csv(
            [
                [
                    f"{found.month:%Y-%m}",
                    *(_plain(text) for text in (line.pipeline, line.stage, line.app)),
                    line.kind,
                    *(_plain(text) for text in (line.item, line.what)),
                    f"{line.hours:.4f}",
                    f"{line.cents_per_month / 100:.2f}",
                    f"{line.cents / 100:.6f}",
                ]
            ]
        )


def month_of(text: str | None) -> date | None:
    """The month that `text` names as 2026-11; None when it names none."""
    try:
        return datetime.strptime(text or "", "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        return None


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _first(day: date) -> date:
    return day.replace(day=1)


def name_of(thing: Thing) -> str:
    """The field of a budget that holds `thing`."""
    return str(thing._meta.model_name)


def _of_month(scope: Scope, start: datetime) -> QuerySet[Entry]:
    return Entry.objects.filter(scope.rows, started_at__gte=start, ended_at__lte=next_month(start))


def _summed(scope: Scope, start: datetime) -> Iterable[dict[str, Any]]:
    """The month's entries, those of one thing in one place at one price together."""
    rows = _of_month(scope, start).order_by().values(*GROUP)
    return rows.annotate(spent=Sum("micros"), ran=Sum("microseconds"))


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in GROUP)


def _line(row: dict[str, Any]) -> Line:
    line = Line(*_key(row))
    line.micros, line.seconds = row.get("spent", 0), row.get("ran", 0) / 1e6
    return line


def _add_meters(lines: dict[Any, Line], scope: Scope, start: datetime, now: datetime) -> None:
    """What runs, from where the ledger ends until now, and what it will make until the end of the month."""
    end = next_month(start)
    for meter in Meter.objects.filter(scope.rows):
        row = {name: getattr(meter, name) for name in GROUP}
        line = lines.setdefault(_key(row), _line(row))
        since = min(now, max(meter.since, start))
        line.micros += micros(meter.cents_per_month, since, now)
        line.seconds += (now - since).total_seconds()
        line.to_come += micros(meter.cents_per_month, now, end)
        line.runs = True
