"""How many lines came when: the counts that a page draws as bars."""

import time
from contextlib import suppress
from dataclasses import dataclass

from engine.logstore.segment import Segment
from engine.logstore.tally import SPAN, Tally


@dataclass(frozen=True)
class Bucket:
    """One bar: lines in the `SPAN` seconds from `at` on. `first` is the number of its first line, 0 without lines."""

    at: float
    lines: int
    warnings: int
    errors: int
    first: int


@dataclass(frozen=True)
class Histogram:
    """Bars, oldest first; those before `since` are not counted yet."""

    buckets: list[Bucket]
    since: float

    @property
    def lines(self) -> int:
        return sum(bucket.lines for bucket in self.buckets)

    @property
    def complete(self) -> bool:
        """Whether every bar is counted."""
        return not self.buckets or self.since <= self.buckets[0].at


def count(segments: list[Segment], *, until: float, buckets: int, budget: float) -> Histogram:
    """The last `buckets` spans before `until`, counted from the newest segment back, for `budget` seconds at most."""
    last = int(until) // SPAN
    first = last - buckets + 1
    rows: dict[int, list[int]] = {}
    stop, since = time.monotonic() + budget, first
    for segment in reversed(segments):
        if time.monotonic() > stop:
            since = min(rows, default=last) + 1
            break
        tally = _counted(segment, first)
        for span, row in tally.spans.items():
            if span >= first:
                rows[span] = _sum(rows.get(span), [segment.first + row[0], *row[1:]])
        if tally.oldest is not None and tally.oldest < first:
            break
    return Histogram(
        [_bucket(span, rows.get(span, [0, 0, 0, 0])) for span in range(first, last + 1)], float(since * SPAN)
    )


def _counted(segment: Segment, first: int) -> Tally:
    """The segment's tally, with what was appended since the last look counted."""
    tally = segment.tally
    with tally.lock:
        with suppress(FileNotFoundError):  # outgrown a moment ago
            segment.tally_up(tally)
        tally.forget_before(first)
    return tally


def _sum(newer: list[int] | None, older: list[int]) -> list[int]:
    if newer is None:
        return older
    return [older[0], *(a + b for a, b in zip(newer[1:], older[1:], strict=True))]


def _bucket(span: int, row: list[int]) -> Bucket:
    first, lines, warnings, errors = row
    return Bucket(float(span * SPAN), lines, warnings, errors, first)
