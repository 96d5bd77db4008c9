"""One file of a stream: its records from `first` on, and a sparse index of where they are."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from engine.logstore.records import is_whole
from engine.logstore.tally import Tally

STRIDE = 64 * 1024  # bytes between two points of the index
CHUNK = 256 * 1024
_WRITABLE = 0o200


class Segment:
    """A file of records. `count` and `size` tell of whole records only; a torn one at the end is not seen.

    A full segment is sealed by taking away its write permission, which every process that has it open can see.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first = int(path.stem)
        self.count = 0
        self.size = 0
        self.lacks: set[str] = set()  # levels of which a sealed segment is known to have no line
        self.tally = Tally()
        self._points: list[tuple[int, int]] = [(0, 0)]  # (records before, bytes before)
        self._began: float | None = None

    @property
    def last(self) -> int:
        """The number of its last record; `first - 1` while it is empty."""
        return self.first + self.count - 1

    def is_current(self) -> bool:
        """Whether lines may still be added to it; False too when it is gone."""
        try:
            return bool(self.path.stat().st_mode & _WRITABLE)
        except FileNotFoundError:
            return False

    def sealed_at(self, last: int) -> None:
        """Note that it is sealed and ends with number `last`; it is looked into only when it is read."""
        if self.last != last:
            self.count = last - self.first + 1
            self.size = self.path.stat().st_size
            self._points = []

    def began(self) -> float | None:
        """When its first line came, in seconds since 1970; None while it has none. `FileNotFoundError` when it is gone."""
        if self._began is None and self.size:
            with self.path.open("rb", buffering=0) as file:
                self._began = int(os.pread(file.fileno(), 64, 0).split(b" ", 2)[1]) / 1e6
        return self._began

    def refresh(self) -> None:
        """Take notice of what was appended, by whichever process, since the last look."""
        with self.path.open("rb", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            if end < self.size:  # someone took back what could not be written whole
                self._reset()
            while self.size < end:
                data = os.pread(file.fileno(), CHUNK, self.size)
                whole = data.rfind(b"\n") + 1
                if not whole:
                    return
                self.grow(data.count(b"\n"), whole)

    def grow(self, records: int, size: int) -> None:
        """Note that `records` more, `size` bytes in all, stand at its end."""
        self.count += records
        self.size += size
        if self.size - self._points[-1][1] >= STRIDE:
            self._points.append((self.count, self.size))

    def check(self) -> int:
        """How many bytes from the start hold undamaged records (after a power cut it may be fewer than all)."""
        good = 0
        for record in self.bytes().split(b"\n")[:-1]:
            if not is_whole(record):
                return good
            good += len(record) + 1
        return good

    def read(self, offset: int) -> Iterator[list[bytes]]:
        """Its records from number `offset` on, without newlines, in lists of at most `CHUNK` bytes or so."""
        skip = max(0, offset - self.first)
        before, position = self._point(skip)
        skip -= before
        size = self.size
        with self.path.open("rb", buffering=0) as file:
            while position < size:
                data = os.pread(file.fileno(), min(CHUNK, size - position), position)
                whole = data.rfind(b"\n")
                if whole < 0:
                    return
                position += whole + 1
                records = data[:whole].split(b"\n")
                if skip < len(records):
                    yield records[skip:] if skip else records
                skip = max(0, skip - len(records))

    def tally_up(self, tally: Tally) -> None:
        """Count what `tally` lacks."""
        size = self.size
        with self.path.open("rb", buffering=0) as file:
            while tally.size < size:
                data = os.pread(file.fileno(), min(CHUNK, size - tally.size), tally.size)
                whole = data.rfind(b"\n") + 1
                if not whole:
                    return
                data = data[:whole]
                tally.add(data[:-1].split(b"\n"), data)

    def place(self, offset: int, data: bytes) -> int:
        """Where in `data`, all of its whole records, record number `offset` begins."""
        skip = offset - self.first
        before, position = self._point(skip)
        for _ in range(skip - before):
            position = data.index(b"\n", position) + 1
        return position

    def bytes(self) -> bytes:
        """All of its whole records."""
        return self.path.read_bytes()[: self.size]

    def _point(self, records: int) -> tuple[int, int]:
        """The last point of the index with at most so many records before it."""
        points = self._points or self._index()
        return points[bisect_right(points, (records, 1 << 62)) - 1]

    def _index(self) -> list[tuple[int, int]]:
        """Make the index of a sealed segment. Several threads may do so at once; they come to the same."""
        indexed = Segment(self.path)
        indexed.refresh()
        self._points = indexed._points
        return self._points

    def _reset(self) -> None:
        self.count, self.size, self._points = 0, 0, [(0, 0)]
