"""Counting the lines of a segment by time, a chunk at a time."""

from collections.abc import Sequence
from threading import Lock

from engine.logstore.levels import LEVELS

SPAN = 30  # seconds of one count


class Tally:
    """Counts of a segment's records up to `size` bytes (`count` records). `spans` maps the number of a span since 1970
    to [number of its first record in the segment, lines, warnings, errors]; an error is no warning as well. `oldest` is
    the first span that there ever was."""

    def __init__(self) -> None:
        self.size = 0
        self.count = 0
        self.oldest: int | None = None
        self.spans: dict[int, list[int]] = {}
        self.lock = Lock()

    def add(self, records: Sequence[bytes], data: bytes) -> None:
        """Count `records`, which are what `data` holds."""
        places = self._count(records)
        errors = _with(data, LEVELS["error"])
        warnings = _with(data, LEVELS["warning"]) - errors
        for column, found in ((3, errors), (2, warnings)):
            for i in found:
                places[i][column] += 1
        self.count += len(records)
        self.size += len(data)
        self.oldest = min(self.spans, default=self.oldest) if self.oldest is None else self.oldest

    def _count(self, records: Sequence[bytes]) -> list[list[int]]:
        """The span of each record, with its lines counted."""
        places, known, row = [], b"", [0, 0, 0, 0]
        for i, record in enumerate(records):
            second = record[9:19]  # most often that of the line before
            if second != known:
                known = second
                span = int(record[9 : record.index(b" ", 9)]) // (SPAN * 1_000_000)
                row = self.spans.setdefault(span, [self.count + i, 0, 0, 0])
            row[1] += 1
            places.append(row)
        return places

    def forget_before(self, span: int) -> None:
        """Let go of what is too old to be shown."""
        for old in [number for number in self.spans if number < span]:
            del self.spans[old]


def _with(data: bytes, needles: Sequence[bytes]) -> set[int]:
    """The places of the records in `data` that hold one of `needles`."""
    found = set()
    for needle in needles:
        at, place, counted = data.find(needle), 0, 0
        while at >= 0:
            place += data.count(b"\n", counted, at)
            found.add(place)
            counted = at
            at = data.find(needle, data.index(b"\n", at))
    return found
