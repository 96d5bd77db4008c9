"""Finding lines, newest first, without an index: a scan in C through whole segments is fast enough."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.logstore.records import Entry, decode
from engine.logstore.segment import Segment

_WINDOW = 64 * 1024
# What a line of a level is recognised by. Compared byte by byte: a search that ignores case takes ten times as long.
LEVELS = {
    "error": (
        b"rror",
        b"RROR",
        b"FATAL",
        b"atal",
        b"CRITICAL",
        b"panic",
        b"Traceback",
        b"xception",
        b"status=5",
    ),
    "warning": (b"WARN", b"arning", b"warn", b"status=4"),
}


@dataclass(frozen=True)
class Query:
    """What is looked for: all that is given must hold. `dyno` is a dyno's name or a process type."""

    text: bytes = b""
    level: str = ""
    source: bytes = b""
    dyno: bytes = b""

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Byte strings of which at least one is in every matching record; empty when there is no such thing."""
        if self.text:
            return (self.text,)
        if self.level:
            return LEVELS[self.level]
        if self.source and self.dyno:
            return (b" %s %s" % (self.source, self.dyno),)
        return (b" %s" % (self.dyno or self.source),) if self.dyno or self.source else ()

    def matches(self, record: bytes) -> bool:
        """Whether a record, without its newline, is what is looked for."""
        _, _, source, dyno, text = record.split(b" ", 4)
        return (
            (not self.source or source == self.source)
            and (not self.dyno or dyno == self.dyno or dyno.startswith(self.dyno + b"."))
            and (not self.text or self.text in text)
            and (not self.level or any(needle in text for needle in LEVELS[self.level]))
        )


def newest(segments: list[Segment], query: Query, *, before: int | None, limit: int) -> list[Entry]:
    """The last `limit` entries that match and have a number below `before`, oldest first."""
    found: list[Entry] = []
    for segment in reversed(segments):
        if before is not None and segment.first >= before:
            continue
        for offset, record in _backwards(segment, query):
            if (before is None or offset < before) and query.matches(record):
                found.append(Entry(offset, decode(record)))
                if len(found) >= limit:
                    return found[::-1]
    return found[::-1]


def _backwards(segment: Segment, query: Query) -> Iterator[tuple[int, bytes]]:
    """The records that may match, newest first, with their numbers."""
    needles, only_level = query.needles, query.level if not query.text else ""
    if only_level and only_level in segment.lacks:
        return
    try:
        data = segment.bytes()
    except FileNotFoundError:  # outgrown a moment ago
        return
    end, count = len(data), -1
    while end:
        start = data.rfind(b"\n", 0, max(0, end - _WINDOW)) + 1
        if not needles or any(data.find(needle, start, end) >= 0 for needle in needles):
            if count < 0:
                count = data.count(b"\n", 0, end)
            records = data[start : end - 1].split(b"\n")
            for i in range(len(records) - 1, -1, -1):
                yield segment.first + count - len(records) + i, records[i]
            count -= len(records)
        elif count >= 0:
            count -= data.count(b"\n", start, end)
        end = start
    if only_level and count < 0 and not segment.is_current():
        segment.lacks.add(only_level)
