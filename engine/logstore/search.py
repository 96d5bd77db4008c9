"""Finding lines, newest first, without an index: a scan in C through whole segments is fast enough."""

import re
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from engine.logstore.levels import LEVELS
from engine.logstore.records import Entry, decode
from engine.logstore.segment import Segment

_WINDOW = 64 * 1024
_WORD = re.compile(rb'(-?)(?:"([^"]+)"?|(\S+))')
# Where a line comes from, as people tell it apart: the router is one of the platform's processes.
KINDS = ("app", "router", "platform")
LATE = 600.0  # seconds that a line may come in after one with a later time, and still be found by its time


@dataclass(frozen=True)
class Query:
    """What is looked for: all that is given must hold.

    Of `text` every word must be in the line, in whatever case; `-word` must not, and quotes keep words together.
    `dyno` is a dyno's name or a process type; `kinds` are some of `KINDS`. `since` and `until` are seconds since 1970,
    the second of `until` included; 0 is open.
    """

    text: bytes = b""
    level: str = ""
    source: bytes = b""
    dyno: bytes = b""
    kinds: tuple[str, ...] = ()
    since: float = 0.0
    until: float = 0.0

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """What must be in the text, the longest first."""
        found = (quoted or word for minus, quoted, word in _WORD.findall(self.text.lower()) if not minus)
        return tuple(sorted(found, key=len, reverse=True))

    @cached_property
    def without(self) -> tuple[bytes, ...]:
        """What must not be in the text."""
        return tuple(quoted or word for minus, quoted, word in _WORD.findall(self.text.lower()) if minus)

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Byte strings of which at least one is in every record that matches but for its words; empty when there is no
        such thing."""
        if self.level:
            return LEVELS[self.level]
        if self.source and self.dyno:
            return (b" %s %s" % (self.source, self.dyno),)
        if self.dyno or self.source:
            return (b" %s" % (self.dyno or self.source),)
        return (b" heroku router ",) if self.kinds == ("router",) else ()

    def may_be_in(self, data: bytes, start: int, end: int) -> bool:
        """Whether some record in that part of `data` may match; quick, and never wrong with a no."""
        if self.words:
            part = data[start:end].lower()
            if not all(word in part for word in self.words):
                return False
        needles = self.needles
        return not needles or any(data.find(needle, start, end) >= 0 for needle in needles)

    def matches(self, record: bytes) -> bool:
        """Whether a record, without its newline, is what is looked for."""
        _, at, source, dyno, text = record.split(b" ", 4)
        return (
            (not self.since or int(at) >= self.since * 1e6)
            and (not self.until or int(at) < (self.until + 1) * 1e6)
            and (not self.source or source == self.source)
            and (not self.dyno or dyno == self.dyno or dyno.startswith(self.dyno + b"."))
            and (not self.kinds or _kind(source, dyno) in self.kinds)
            and (not self.text or self._says(text.lower()))
            and (not self.level or any(needle in text for needle in LEVELS[self.level]))
        )

    def _says(self, text: bytes) -> bool:
        return all(word in text for word in self.words) and not any(word in text for word in self.without)


class Found(NamedTuple):
    """What a search found, oldest first. Lines with numbers below `since` were not looked at: the time was up, or
    there were enough."""

    entries: list[Entry]
    since: int


def newest(
    segments: list[Segment], query: Query, *, before: int | None, limit: int, seconds: float | None = None
) -> Found:
    """The last `limit` entries that match and have a number below `before`, as far as `seconds` of looking get."""
    found: list[Entry] = []
    until = time.monotonic() + seconds if seconds else None
    for segment in reversed(_of_its_time(segments, query)):
        if before is not None and segment.first >= before:
            continue
        for first, records in _backwards(segment, query, before, until):
            for i in range(len(records) - 1, -1, -1):
                if query.matches(records[i]):
                    found.append(Entry(first + i, decode(records[i])))
                    if len(found) >= limit:
                        return Found(found[::-1], first + i)
            if until is not None and time.monotonic() > until:
                return Found(found[::-1], first)
    return Found(found[::-1], segments[0].first if segments else 1)


def _of_its_time(segments: list[Segment], query: Query) -> list[Segment]:
    """Those that may have lines of the time that is asked for."""
    first, last = 0, len(segments)
    if query.until:
        last = bisect_right(segments, query.until + LATE, key=_began)
    if query.since:
        first = max(bisect_right(segments, query.since - LATE, key=_began) - 1, 0)
    return segments[first:last]


def _began(segment: Segment) -> float:
    try:
        began = segment.began()
    except FileNotFoundError:  # outgrown a moment ago, so it is older than the others
        return 0.0
    return float("inf") if began is None else began


def _backwards(
    segment: Segment, query: Query, before: int | None, until: float | None
) -> Iterator[tuple[int, list[bytes]]]:
    """The records with numbers below `before` that may match, newest first, in lists with the number of the first of each. Once the time is up
    it looks no more, and gives what comes next, so that its reader can stop there."""
    only_level = query.level if not query.words else ""
    if only_level and only_level in segment.lacks:
        return
    try:
        data = segment.bytes()
    except FileNotFoundError:  # outgrown a moment ago
        return
    end, count = len(data), -1
    if before is not None and before <= segment.last:
        end, count = segment.place(before, data), before - segment.first
    while end:
        start = data.rfind(b"\n", 0, max(0, end - _WINDOW)) + 1
        late = until is not None and time.monotonic() > until
        if late or query.may_be_in(data, start, end):
            if count < 0:
                count = data.count(b"\n", 0, end)
            records = data[start : end - 1].split(b"\n")
            count -= len(records)
            yield segment.first + count, records
        elif count >= 0:
            count -= data.count(b"\n", start, end)
        end = start
    if only_level and count < 0 and not segment.is_current():
        segment.lacks.add(only_level)


def _kind(source: bytes, dyno: bytes) -> str:
    if source != b"heroku":
        return "app"
    return "router" if dyno == b"router" else "platform"
