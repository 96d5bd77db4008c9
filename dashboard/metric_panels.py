"""The metrics of an app: what its router counted, as charts, with the releases and crashes of that time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps import memory, metrics
from apps.memory import Use
from apps.metrics import SPANS, Point, Span
from apps.models import App, Crash, Formation
from dashboard import charts, lanes
from dashboard.charts import Chart, Spark, spark
from engine.spec import MB, SIZES
from releases.models import Release

MARKS = 30  # releases that are marked in one chart
APART = 6.0  # percent of the width that a name of one needs
CRASHES = 20  # that are listed
LABELS = 5  # under a chart
LAST_HOUR = Span("", "the last hour", timedelta(hours=1), timedelta(minutes=5))
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Releases = Sequence[tuple[int, datetime]]


@dataclass(frozen=True)
class Mark:
    """A release in a chart: `x` percent from the left. The name of one that stands too near the next is left out."""

    x: float
    name: str


@dataclass(frozen=True)
class Memory:
    """The chart of one process type, with the most that one of its dynos used, of how much."""

    type: str
    chart: Chart
    highest: str
    quota: str
    marks: Sequence[Mark]
    ticks: Sequence[datetime]


def context(app: App, key: str, now: datetime | None = None) -> dict[str, Any]:
    """The charts of one span, and what is told beside them. Seven queries."""
    now = now or timezone.now()
    span = SPANS.get(key, SPANS["12h"])
    points = metrics.points(app, span, now)
    crashes = list(Crash.objects.filter(app=app, at__gte=points[0].at)[: CRASHES + 1])
    releases = _releases(app, points[0].at)
    whole = metrics.total(points)
    start = points[0].at
    return {
        "span": span,
        "spans": SPANS.values(),
        "whole": whole,
        "per_minute": _number(whole.rate),
        "figures": [(name, milliseconds(whole.quantile(share))) for name, share in SHARES.items()],
        "times": _times(points, span),
        "throughput": _throughput(points, span),
        "errors": _errors(points, span),
        "marks": _marks(releases, start, points[-1].at),
        "dynos": lanes.lanes(app, start, now),
        "dyno_marks": _marks(releases, start, now),
        "dyno_ticks": [start + (now - start) * place / (LABELS - 1) for place in range(LABELS)],
        "memory": list(_memory(app, span, now, releases)),
        "trouble": metrics.worst(points),
        "bad": metrics.BAD,
        "crashes": crashes[:CRASHES],
        "more_crashes": len(crashes) > CRASHES,
        "ticks": _ticks(points),
        "ticks_as": "j M" if span.length.days > 1 else "H:i",
    }


@dataclass(frozen=True)
class Figure:
    """One figure of the last hour, as its overview shows it."""

    title: str
    value: str
    unit: str
    note: str
    chart: Spark | None
    bad: bool = False


def last_hour(app: App, now: datetime | None = None) -> list[Figure]:
    """Response time, throughput and errors; nothing when no request came. One query."""
    now = now or timezone.now()
    points = metrics.points(app, LAST_HOUR, now)
    whole = metrics.total(points)
    if not whole.requests:
        return []
    p95 = milliseconds(whole.quantile(0.95)).split()
    return [
        Figure(
            "Response time, p95",
            p95[0],
            p95[1],
            f"p50 {milliseconds(whole.quantile(0.5))}",
            spark([point.quantile(0.95) or 0 for point in points]),
        ),
        Figure(
            "Throughput",
            _number(whole.rate),
            "requests a minute",
            f"{whole.requests:,} in the last hour",
            spark([point.rate for point in points]),
        ),
        Figure(
            "Errors",
            f"{whole.error_rate:.2f}".rstrip("0").rstrip("."),
            "%",
            f"{whole.errors:,} of {whole.requests:,} requests",
            spark([point.error_rate for point in points]),
            whole.error_rate >= metrics.BAD,
        ),
    ]


def milliseconds(value: float | None) -> str:
    """A response time as people read it: “84 ms”, “1.2 s”."""
    if value is None:
        return "–"
    if value < 999.5:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f}".removesuffix(".0") + " s"


def _times(points: Sequence[Point], span: Span) -> Chart:
    p50, p95, p99 = ([point.quantile(share) for point in points] for share in SHARES.values())
    top = charts.ceiling(max((value for value in p99 if value is not None), default=0), 100)
    said = [
        f"{_at(point, span)}: "
        + ", ".join(f"{name} {milliseconds(value)}" for name, value in zip(SHARES, row, strict=True))
        if point.requests
        else f"{_at(point, span)}: no requests"
        for point, *row in zip(points, p50, p95, p99, strict=True)
    ]
    slowest = max(
        ((value, point) for value, point in zip(p95, points, strict=True) if value is not None),
        key=lambda pair: pair[0],
        default=None,
    )
    words = f"Response time over {span.words}. " + (
        f"p95 was highest at {_at(slowest[1], span)}: {milliseconds(slowest[0])}."
        if slowest
        else "No requests."
    )
    return Chart(
        words,
        _scale(top, milliseconds),
        charts.apart(
            [
                charts.line(p99, top, "c3", "p99"),
                charts.line(p95, top, "c2", "p95"),
                charts.line(p50, top, "c1", "p50"),
            ],
            "md",
        ),
        [charts.fill(p95, top, "c2f")],
        charts.hints(said),
        "md",
    )


def _throughput(points: Sequence[Point], span: Span) -> Chart:
    rates = [point.rate for point in points]
    top = charts.ceiling(max(rates), 10)
    busiest = max(points, key=lambda point: point.rate)
    return Chart(
        f"Requests a minute over {span.words}. Most came at {_at(busiest, span)}: {_number(busiest.rate)} a minute.",
        _scale(top, _number),
        [charts.line(rates, top, "c2")],
        [charts.fill(rates, top, "")],
        charts.hints([f"{_at(point, span)}: {_number(point.rate)} a minute" for point in points]),
    )


def _errors(points: Sequence[Point], span: Span) -> Chart:
    rates = [point.error_rate for point in points]
    top = min(charts.ceiling(max(rates), 1), 100)
    worst = max(points, key=lambda point: point.error_rate)
    words = f"Share of requests that were answered with 5xx, over {span.words}. "
    words += f"Most at {_at(worst, span)}: {_percent(worst.error_rate)}." if worst.errors else "None was."
    return Chart(
        words,
        _scale(top, _percent),
        [charts.line(rates, top, "c-bad")],
        [charts.fill(rates, top, "bad-fill")],
        charts.hints(
            [
                f"{_at(point, span)}: {_percent(point.error_rate)}, {point.errors:,} of {point.requests:,}"
                for point in points
            ]
        ),
    )


def _memory(app: App, span: Span, now: datetime, releases: Releases) -> Iterator[Memory]:
    """One chart for each process type that ran, against what its size allows now."""
    sizes = dict(Formation.objects.filter(app=app).values_list("type", "size"))
    for type, uses in memory.uses(app, span, now).items():
        size = SIZES.get(sizes.get(type, ""))
        quota = size.memory if size else 0
        highest = max(use.highest for use in uses)
        top = float(quota if quota > highest else 2 * max(quota, highest / 2))
        said = [
            f"{_at(use, span)}: at most {_bytes(use.highest)}, {_bytes(use.mean)} in the mean"
            if use.highest
            else f"{_at(use, span)}: none was up"
            for use in uses
        ]
        lines = [
            charts.line([use.highest or None for use in uses], top, "c2", "max"),
            charts.line([use.mean or None for use in uses], top, "c1", "mean"),
        ]
        chart = Chart(
            f"Memory of {type} dynos over {span.words}. At most {_bytes(highest)} of {_bytes(quota)}.",
            _scale(top, _bytes),
            charts.apart(lines),
            [charts.fill([use.highest or None for use in uses], top, "c2f")],
            charts.hints(said),
            limit=round(100 - quota / top * 100, 1) if quota else None,
        )
        yield Memory(
            type,
            chart,
            _bytes(highest),
            _bytes(quota) if quota else "",
            _marks(releases, uses[0].at, uses[-1].at),
            _ticks(uses),
        )


def _releases(app: App, start: datetime) -> Releases:
    """Version and end of the releases that ended well since then, the newest `MARKS` of them first."""
    rows = Release.objects.filter(app=app, status=Release.Status.SUCCEEDED, finished_at__gte=start)
    return list(rows.order_by("-finished_at").values_list("version", "finished_at")[:MARKS])


def _marks(releases: Releases, start: datetime, end: datetime) -> list[Mark]:
    """Where they stand in a chart whose first point is at `start` and whose last is at `end`."""
    found: list[Mark] = []
    free = 100.0  # where the name of the next newer one begins
    for version, at in releases:
        x = round(min(max((at - start) / (end - start) * 100, 0), 100), 2)
        named = x + APART <= free
        found.append(Mark(x, f"v{version}" if named else ""))
        free = x if named else free
    return found


def _bytes(count: float) -> str:
    if count >= 1024 * MB:
        return f"{count / MB / 1024:.1f}".removesuffix(".0") + " GB"
    return f"{count / MB:.0f} MB"


def _scale(top: float, words: Any) -> list[tuple[int, str]]:
    return [(0, words(top)), (50, words(top / 2)), (100, "")]


def _ticks(points: Sequence[Point | Use]) -> list[datetime]:
    """What is told under a chart: as many times as have room."""
    return [points[place * (len(points) - 1) // (LABELS - 1)].at for place in range(LABELS)]


def _at(point: Point | Use, span: Span) -> str:
    return f"{point.at:%-d %b, %H:%M}" if span.length.days > 1 else f"{point.at:%H:%M}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _percent(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") + " %"
