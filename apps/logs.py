"""The log store of this process, and the nudges that tell open pages of new lines."""

import time
from functools import cache
from threading import Event, Lock, Thread

from django.conf import settings

from core import failpoints, live
from engine.logstore import LogStore

NUDGE_SECONDS = 0.05  # between two nudges about one stream; the first line of a quiet spell goes at once


@cache
def store() -> LogStore:
    """The one log store of this process."""
    logs = LogStore(
        settings.DATA / "logs",
        bytes_per_stream=settings.LOG_BYTES,
        lines_per_second=settings.LOG_LINES_PER_SECOND,
        reach=failpoints.reach,
    )
    logs.on_append(_Bell().ring)
    return logs


def topic(stream: str) -> str:
    """What a viewer of `stream` watches."""
    return f"log:{stream}"


class _Bell:
    """Nudges viewers from a thread of its own: appending costs no more than a dictionary entry, however many lines
    come in, and a nudge that takes long holds no dyno up."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}  # stream: its last line
        self._rung: dict[str, float] = {}  # stream: when; only those of the last moments
        self._lock = Lock()
        self._wake = Event()
        self._thread: Thread | None = None

    def ring(self, stream: str, last: int) -> None:
        """Have viewers of `stream` told that it goes to `last` now. From any thread."""
        self._due[stream] = last
        if not self._wake.is_set():
            self._start()
            self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="log-nudges", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._due:
                wait = self._ring_those_due()
                if wait and self._due:
                    time.sleep(wait)

    def _ring_those_due(self) -> float:
        """Nudge about each stream whose turn it is; returns the seconds until the next one's."""
        now, wait = time.monotonic(), NUDGE_SECONDS
        self._rung = {stream: at for stream, at in self._rung.items() if now - at < NUDGE_SECONDS}
        for stream in tuple(self._due):
            ago = now - self._rung.get(stream, 0.0)
            if ago < NUDGE_SECONDS:
                wait = min(wait, NUDGE_SECONDS - ago)
            else:
                self._rung[stream] = now
                live.tell_now(topic(stream), self._due.pop(stream))
        return wait
