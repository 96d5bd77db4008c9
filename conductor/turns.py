"""Threads that take turns: work of one key never runs twice at a time."""

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from django.db import connections

from core import space

log = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)


_here = threading.local()


def is_ours() -> bool:
    """Whether this thread is one of the conductor's: what it does, it has seen to already."""
    return getattr(_here, "ours", False)


def mark_ours() -> None:
    """Say that this thread is one of the conductor's."""
    _here.ours = True


def refresh_connections() -> None:
    """Drop database connections that failed or have become too old. SQLite's stay open: they can't go stale."""
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred or connection.vendor != "sqlite":
            connection.close_if_unusable_or_obsolete()


def release_connections() -> None:
    """Give database connections back while this thread waits for somebody outside. SQLite's cost nothing and stay, and
    so does one with a transaction under way."""
    for connection in connections.all(initialized_only=True):
        if connection.vendor != "sqlite" and not connection.in_atomic_block:
            connection.close()


class Turns(Generic[K]):
    """Runs `work(key)` in threads. Asked for a key that is being worked on, it runs that once more afterwards."""

    def __init__(self, work: Callable[[K], None], *, threads: int, name: str) -> None:
        self._work = work
        self._queue: queue.SimpleQueue[K | None] = queue.SimpleQueue()
        self._lock = threading.Condition()
        self._taken: set[K] = set()
        self._again: set[K] = set()
        self._timers: list[tuple[float, int, K]] = []
        self._numbers = itertools.count()
        self._closed = False
        self._workers = [
            threading.Thread(target=self._loop, name=f"{name}-{n + 1}", daemon=True) for n in range(threads)
        ]
        self._clock = threading.Thread(target=self._tick, name=f"{name}-clock", daemon=True)

    def start(self) -> None:
        """Begin. What was asked for earlier has waited."""
        for thread in (*self._workers, self._clock):
            thread.start()

    def stop(self, seconds: float = 10) -> None:
        """Take no more and wait for what runs, `seconds` in all at most."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for _ in self._workers:
            self._queue.put(None)
        deadline = time.monotonic() + seconds
        for thread in (*self._workers, self._clock):
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def ask(self, key: K) -> None:
        """Have `key` worked on soon. Never blocks."""
        with self._lock:
            if self._closed:
                return
            if key in self._taken:
                self._again.add(key)
                return
            self._taken.add(key)
        self._queue.put(key)

    def ask_in(self, key: K, seconds: float) -> None:
        """Have `key` worked on in `seconds`."""
        with self._lock:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), key))
            self._lock.notify_all()

    def _loop(self) -> None:
        mark_ours()
        while (key := self._queue.get()) is not None:
            refresh_connections()
            try:
                self._work(key)
            except Exception as error:
                if not space.note(f"work on {key}", error):
                    log.exception("Work on %s failed", key)
            self._done(key)
        connections.close_all()

    def _done(self, key: K) -> None:
        with self._lock:
            repeat = key in self._again and not self._closed
            self._again.discard(key)
            if not repeat:
                self._taken.discard(key)
        if repeat:
            self._queue.put(key)

    def _tick(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                if not self._timers:
                    self._lock.wait()
                    continue
                pause = self._timers[0][0] - time.monotonic()
                if pause > 0:
                    self._lock.wait(pause)
                    continue
                key = heapq.heappop(self._timers)[2]
            self.ask(key)
