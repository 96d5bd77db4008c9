"""How an app did over a span of time, point by point: what its router counted minute by minute, added up to be drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

from apps.models import App, Traffic
from engine.tally import BOUNDS

MINUTE = timedelta(minutes=1)
BAD = 5.0  # percent of the answers that are errors, from which on it is trouble
FEW = 5  # errors of a point that say nothing yet


@dataclass(frozen=True)
class Span:
    """A time to look back on, up to now, in steps that are one point each."""

    key: str
    words: str
    length: timedelta
    step: timedelta


SPANS = {
    span.key: span
    for span in (
        Span("1h", "1 h", timedelta(hours=1), timedelta(minutes=1)),
        Span("12h", "12 h", timedelta(hours=12), timedelta(minutes=10)),
        Span("24h", "24 h", timedelta(hours=24), timedelta(minutes=20)),
        Span("7d", "7 d", timedelta(days=7), timedelta(hours=2)),
    )
}


@dataclass
class Point:
    """What was counted from `at` on, for `minutes`."""

    at: datetime
    minutes: int
    requests: int = 0
    errors: int = 0
    spread: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a minute."""
        return self.requests / self.minutes

    @property
    def error_rate(self) -> float:
        """Percent of the answers that were 5xx; 0 without requests."""
        return 100 * self.errors / self.requests if self.requests else 0.0

    def quantile(self, share: float) -> float | None:
        """Milliseconds that this share of the answers kept to; None without answers."""
        return quantile(self.spread, share)


@dataclass(frozen=True)
class Trouble:
    """Points in a row in which far too many answers were errors."""

    since: datetime
    minutes: int
    errors: int
    requests: int


def points(app: App, span: Span, now: datetime) -> list[Point]:
    """The points of `span`, oldest first, those without requests too. The last one ends with the minute before that of
    `now`, whose requests are still being counted. One query."""
    end = now.astimezone(UTC).replace(second=0, microsecond=0)
    step = int(span.step.total_seconds())
    last = datetime.fromtimestamp((end - MINUTE).timestamp() // step * step, UTC)
    count = span.length // span.step
    found = [Point(last - span.step * (count - 1 - place), step // 60) for place in range(count)]
    found[-1].minutes = (end - last) // MINUTE
    rows = Traffic.objects.filter(app=app, minute__gte=found[0].at, minute__lt=end).order_by()
    for minute, requests, errors, spread in rows.values_list(
        "minute", "requests", "errors", "spread"
    ).iterator():
        point = found[(minute - found[0].at) // span.step]
        point.requests += requests
        point.errors += errors
        point.spread = [a + b for a, b in zip_longest(point.spread, spread, fillvalue=0)]
    return found


def total(found: Sequence[Point]) -> Point:
    """All of them as one."""
    spread: list[int] = []
    for point in found:
        spread = [a + b for a, b in zip_longest(spread, point.spread, fillvalue=0)]
    return Point(
        found[0].at,
        sum(point.minutes for point in found),
        sum(point.requests for point in found),
        sum(point.errors for point in found),
        spread,
    )


def quantile(spread: Sequence[int], share: float) -> float | None:
    """Milliseconds that this share (0 to 1) of the answers kept to, None where there are none. The router counts them
    by bounds; between two it is as if they came evenly, and what lies beyond the last bound is told as that."""
    counted, so_far = sum(spread), 0
    if not counted:
        return None
    wanted = share * counted
    for place, count in enumerate(spread[: len(BOUNDS)]):
        if count and so_far + count >= wanted:
            low = BOUNDS[place - 1] if place else 0
            return low + (BOUNDS[place] - low) * (wanted - so_far) / count
        so_far += count
    return BOUNDS[-1]


def worst(found: Iterable[Point]) -> Trouble | None:
    """Of the times in which many answers were errors (`BAD` percent, more than `FEW`), the one with the most; None where
    there was none."""
    runs: list[list[Point]] = [[]]
    for point in found:
        if point.error_rate >= BAD and point.errors > FEW:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    troubles = [
        Trouble(
            run[0].at,
            sum(point.minutes for point in run),
            sum(point.errors for point in run),
            sum(point.requests for point in run),
        )
        for run in runs
        if run
    ]
    return max(troubles, key=lambda one: one.errors, default=None)
