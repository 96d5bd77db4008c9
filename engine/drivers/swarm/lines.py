"""From the engine's log stream to lines, each with the time at which the engine read it.

The stream is frames: 8 bytes of head (stream, size), the time, a space, and one line or a part of one. The last part of
a long line comes without its newline; it is known by being shorter than the others. What a dyno writes is inside a
frame and so can't look like one. The times are also how a stream that broke is taken up again:
`since` asks for what came from the last line on, and the lines of that very microsecond that are known are left out.
"""

import calendar
import time
from functools import lru_cache

from engine.drivers.output import Lines
from engine.spec import Line

HEAD = 8
TIME = 30  # 2026-01-01T00:00:00.000000000Z
PART = 16 * 1024  # bytes of a long line in one frame
MICRO = 1_000_000


class Frames:
    """Takes the stream of one dyno apart. `last` is the time of the last line that is known already, in microseconds
    since the epoch, and `known` how many lines have that time."""

    def __init__(self, dyno: str, last: int = 0, known: int = 0) -> None:
        self.last, self.known = last, known
        self._dyno = dyno
        self._data = b""
        self._lines = Lines()
        self._at = last
        self._skip_at, self._skip = last, known

    @property
    def since(self) -> float:
        """What to ask the engine for: seconds since the epoch."""
        return self.last / MICRO

    def again(self) -> "Frames":
        """For the same dyno's next stream, after this one broke."""
        return Frames(self._dyno, self.last, self.known)

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        data, at, found = self._data + data, 0, []
        while len(data) >= at + HEAD:
            end = at + HEAD + int.from_bytes(data[at + 4 : at + HEAD], "big")
            if len(data) < end:
                break
            found += self._record(data[at + HEAD : end])
            at = end
        self._data = data[at:]
        return found

    def flush(self) -> list[Line]:
        """What is left without a newline at the end."""
        return self._timed(self._lines.flush())

    def _record(self, record: bytes) -> list[Line]:
        self._at, text = micro(record[:TIME]), record[TIME + 1 :]
        if len(text) < PART and not text.endswith(b"\n"):
            text += b"\n"
        return self._timed(self._lines.feed(text))

    def _timed(self, texts: list[bytes]) -> list[Line]:
        if not texts:
            return []
        if self._at < self._skip_at:
            return []
        if self._at == self._skip_at and self._skip:
            known, self._skip = texts[: self._skip], self._skip - min(self._skip, len(texts))
            texts = texts[len(known) :]
        if self._at != self.last:
            self.last, self.known = self._at, 0
        self.known += len(texts)
        at = self._at / MICRO
        return [Line("app", self._dyno, text, at) for text in texts]


def micro(text: bytes) -> int:
    """A time in microseconds since the epoch, as the log store keeps it; now, if it can't be read."""
    try:
        return _second(text[:19]) * MICRO + round(int(text[20:29]) / 1000)
    except ValueError:
        return int(time.time() * MICRO)


@lru_cache(maxsize=64)
def _second(text: bytes) -> int:
    return calendar.timegm(time.strptime(text.decode(), "%Y-%m-%dT%H:%M:%S"))
