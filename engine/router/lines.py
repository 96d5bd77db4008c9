"""The router's log lines: one for each request, in the form that Heroku's users and their tools know.

Lines are gathered for 20 ms and written by a thread of their own, so that a slow disk never holds up a request.
What can't be written in time is dropped and counted, and a line says so (promise I-23).
"""

import asyncio
import logging
import queue
import re
import threading
import time
from datetime import UTC, datetime

from engine.spec import Line, LineSink

GATHER_SECONDS = 0.02
MAX_WAITING = 200_000  # lines
MAX_VALUE = 4000  # bytes of a path or of the list of forwarders
_UNSAFE = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')


def quoted(value: bytes) -> bytes:
    """`value` between double quotes, so that nothing in it can end them, the line, or look like a field."""
    if _UNSAFE.search(value):
        value = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], value)
    return b'"%b"' % value[:MAX_VALUE]


class RouterLines:
    """Takes lines on the loop, hands them to the sink in batches."""

    def __init__(self, sink: LineSink) -> None:
        self.sink = sink
        self._batch: dict[str, list[Line]] = {}
        self._flushing = False
        self._queue: queue.SimpleQueue[dict[str, list[Line]] | None] = queue.SimpleQueue()
        self._waiting = 0  # written to on the loop (+) and in the thread (-): a rough figure is enough
        self._dropped: dict[str, tuple[int, float]] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread = threading.Thread(target=self._write_all, name="router-lines", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what there is and end the thread; waits 5 s at most."""
        self.flush()
        self._queue.put(None)
        if self._thread:
            self._thread.join(5)

    def add(self, stream: str, text: bytes) -> None:
        """Take one line. On the loop only."""
        at = time.time()
        if self._waiting > MAX_WAITING:
            count, since = self._dropped.get(stream, (0, at))
            self._dropped[stream] = (count + 1, since)
            return
        line = Line("heroku", "router", text, at)
        batch = self._batch.get(stream)
        if batch is None:
            self._batch[stream] = [line]
        else:
            batch.append(line)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Hand over what was gathered."""
        self._flushing = False
        batch, self._batch = self._batch, {}
        if self._waiting <= MAX_WAITING:
            for stream, (count, since) in self._dropped.items():
                batch.setdefault(stream, []).insert(0, _overflow(count, since))
            self._dropped = {}
        if batch:
            self._waiting += sum(map(len, batch.values()))
            self._queue.put(batch)

    def _write_all(self) -> None:
        while (batch := self._queue.get()) is not None:
            for stream, lines in batch.items():
                try:
                    self.sink(stream, lines)
                except Exception:  # whatever ails the log, requests go on, and so do the other apps' lines
                    logging.getLogger(__name__).exception("%d router lines lost for %s", len(lines), stream)
                self._waiting -= len(lines)


def _overflow(count: int, since: float) -> Line:
    when = datetime.fromtimestamp(since, UTC).isoformat(timespec="milliseconds")
    text = f"Error L10 (output buffer overflow): {count} messages dropped since {when}."
    return Line("heroku", "router", text.encode(), time.time())
