"""How much of a stream is kept beyond what the store keeps anyway: a file beside the stream's segments, so that every
process that writes to it knows."""

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

from engine.logstore.segment import Segment

_NAME = "keep.json"
_DAY = 86_400


@dataclass(frozen=True)
class Keep:
    """A segment stays while the stream has `size` bytes at most, and it was written to in the last `days`."""

    size: int
    days: int

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """What was asked for of the stream in `folder`; None when it is nothing."""
        try:
            told = json.loads((folder / _NAME).read_text())
            return cls(int(told["size"]), int(told["days"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Have it hold for the stream in `folder`. Call it alone."""
        fresh = folder / f"{_NAME}.new"
        with fresh.open("w") as file:
            file.write(json.dumps(asdict(self)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / _NAME)

    def spares(self, segment: Segment, total: int) -> bool:
        """Whether the oldest segment of a stream of `total` bytes stays."""
        try:
            return total <= self.size and segment.path.stat().st_mtime > time.time() - self.days * _DAY
        except FileNotFoundError:
            return False


def forget(folder: Path) -> None:
    """Have no more than usual kept of the stream in `folder`."""
    (folder / _NAME).unlink(missing_ok=True)


class Held(NamedTuple):
    """What a stream has: `size` bytes, from the line that came at the time `since` on; None without a line."""

    size: int
    since: float | None


def held(segments: Sequence[Segment]) -> Held:
    """What `segments` hold together."""
    since = None
    for segment in segments:
        with suppress(FileNotFoundError):  # outgrown a moment ago: the next one is the oldest
            since = segment.began()
            break
    return Held(sum(segment.size for segment in segments), since)
