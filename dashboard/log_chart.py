"""Lines of the last half hour as bars of an SVG: positions are percentages, so nothing stretches."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps import logs
from engine.logstore import Bucket

MINUTES = 30
_GAP = 0.19  # of a bar's share that is left free


@dataclass(frozen=True)
class Bar:
    """One bar: where it is, and its parts from the bottom up as (class, y, height)."""

    at: datetime
    x: str
    hit: str
    bucket: Bucket
    parts: list[tuple[str, str, str]]


def chart(stream: str, line: int | None = None) -> dict[str, Any]:
    """The bars of the half hour before now, and the words beside them; `line` is marked."""
    found = logs.store().histogram(stream, until=time.time(), buckets=MINUTES * 2)
    share = 100 / len(found.buckets)
    peak = max((bucket.lines for bucket in found.buckets), default=0)
    bars = [_bar(i, share, bucket, peak) for i, bucket in enumerate(found.buckets) if bucket.lines]
    errors = sum(bucket.errors for bucket in found.buckets)
    marked = [bar for bar in bars if line and bar.bucket.first <= line]
    return {
        "bars": bars,
        "width": f"{share * (1 - _GAP):.2f}%",
        "share": f"{share:.2f}%",
        "words": _words(found.lines, errors),
        "minutes": MINUTES,
        "busiest": max(bars, key=lambda bar: bar.bucket.lines, default=None),
        "marked": marked[-1] if marked else None,
        "ticks": [_utc(found.buckets[0].at + i * MINUTES * 60 / 5) for i in range(6)],
        "since": None if found.complete else _utc(found.since),
    }


def _bar(i: int, share: float, bucket: Bucket, peak: int) -> Bar:
    counts = (
        ("bar", bucket.lines - bucket.warnings - bucket.errors),
        ("bar bar--warn", bucket.warnings),
        ("bar bar--bad", bucket.errors),
    )
    parts, top = [], 100.0
    for kind, count in counts:
        height = count * 100 / peak
        top -= height
        if count:
            parts.append((kind, f"{top:.1f}%", f"{max(height, 0.8):.1f}%"))
    return Bar(_utc(bucket.at), f"{share * (i + _GAP / 2):.2f}%", f"{share * i:.2f}%", bucket, parts)


def _words(lines: int, errors: int) -> str:
    said = f"{lines:,} line{'s' * (lines != 1)}" if lines else "No line"
    said += f", {errors:,} error{'s' * (errors != 1)}" if errors else ""
    return f"{said} in {MINUTES} minutes"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
