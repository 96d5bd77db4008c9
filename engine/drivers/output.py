"""From bytes out of a pipe to lines in the log store."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

from core import space
from engine.spec import Line, LineSink

log = logging.getLogger(__name__)
LINE_BYTES = 10_000
FULL_BYTES = 4 * 1024 * 1024  # waiting for the sink: time to stop reading
MOST_BYTES = 2 * FULL_BYTES  # what waits longest is dropped past this, and said so
LINES_A_CALL = 5_000  # so that one flood does not keep other streams waiting
RETRY_SECONDS = 0.5


class Lines:
    """Cuts a stream of bytes into lines of 10,000 bytes at most; a longer one becomes several."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        if len(self._rest) > LINE_BYTES:
            *full, self._rest = _cut(self._rest)
            pieces.extend(full)
        if max(map(len, pieces), default=0) > LINE_BYTES:
            pieces = [part for piece in pieces for part in _cut(piece)]
        return pieces

    def flush(self) -> list[bytes]:
        """What is left without a newline at the end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + LINE_BYTES] for at in range(0, len(line), LINE_BYTES)] or [line]


class _Waiting:
    """Lines of one stream that the sink has not taken yet."""

    def __init__(self) -> None:
        self.batches: deque[tuple[list[Line], int]] = deque()
        self.bytes = 0
        self.dropped = 0
        self.dropped_since = 0.0

    def add(self, lines: list[Line]) -> None:
        size = sum(len(line.text) + 60 for line in lines)
        self.batches.append((lines, size))
        self.bytes += size
        while self.bytes > MOST_BYTES and len(self.batches) > 1:
            gone, size = self.batches.popleft()
            self.bytes -= size
            self.dropped_since = self.dropped_since or gone[0].at
            self.dropped += len(gone)

    def take(self) -> list[Line]:
        taken: list[Line] = self._notice()
        while self.batches and (not taken or len(taken) + len(self.batches[0][0]) <= LINES_A_CALL):
            lines, size = self.batches.popleft()
            self.bytes -= size
            taken.extend(lines)
        return taken

    def _notice(self) -> list[Line]:
        if not self.dropped:
            return []
        since = datetime.fromtimestamp(self.dropped_since, UTC).isoformat(timespec="milliseconds")
        text = f"Error L10 (output buffer overflow): {self.dropped} messages dropped since {since}."
        self.dropped, self.dropped_since = 0, 0.0
        return [Line("heroku", "logplex", text.encode(), time.time())]


class Outlet:
    """Gives lines to the sink from a thread of its own, in order per stream; a slow or failing sink delays nobody."""

    def __init__(self, sink: LineSink, name: str) -> None:
        self._sink = sink
        self._streams: dict[str, _Waiting] = {}
        self._some = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, stream: str, lines: list[Line]) -> None:
        """Queue `lines`; the oldest are dropped, with a notice, when too much waits."""
        with self._some:
            self._streams.setdefault(stream, _Waiting()).add(lines)
            self._some.notify()

    def full(self, stream: str) -> bool:
        """Whether so much waits that reading should pause."""
        waiting = self._streams.get(stream)
        return waiting is not None and waiting.bytes > FULL_BYTES

    def close(self, seconds: float = 5) -> None:
        """Deliver what waits, `seconds` at most, and end."""
        with self._some:
            self._closing = True
            self._some.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._streams and not self._closing:
                    self._some.wait()
                if not self._streams:
                    return
                streams = list(self._streams)
            for stream in streams:
                self._deliver(stream)

    def _deliver(self, stream: str) -> None:
        with self._some:
            waiting = self._streams[stream]
            lines = waiting.take()
            if not waiting.batches:
                del self._streams[stream]
        while not self._given(stream, lines):
            if self._closing:
                return
            time.sleep(RETRY_SECONDS)

    def _given(self, stream: str, lines: Sequence[Line]) -> bool:
        try:
            self._sink(stream, lines)
            return True
        except Exception as error:  # a full disk, most likely: the lines wait until there is room
            if not space.note(f"log of {stream}", error):
                log.exception("The log sink failed on %s; trying again", stream)
            return False
