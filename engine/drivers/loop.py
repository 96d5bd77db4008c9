"""The one thread that starts dynos, reads their output and watches them end."""

import contextlib
import heapq
import itertools
import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)
Call = Callable[[], None]


class Timer:
    """A call to come; `cancel` keeps it from coming."""

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        """Not any more. May be called twice."""
        self.call = None


class Loop:
    """Calls back on readable descriptors, after some time, or as soon as possible; always from its own thread."""

    def __init__(self, name: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._posted: deque[Call] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._stopping = False
        # Who posts last may be overtaken by the thread's end: nothing is written to a descriptor that is closed.
        self._open, self._ends = True, threading.Lock()
        self.watch(self._wake_out, lambda: None)
        # A daemon: a program that forgets to close the driver still ends, and its dynos with it.
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End the thread after what is posted already, and wait for it."""
        self.post(self._stop)
        self.thread.join()

    def post(self, call: Call) -> None:
        """Have `call` called soon; never, once the thread has ended. The only method for other threads."""
        self._posted.append(call)
        with self._ends:
            if self._open:
                with contextlib.suppress(BlockingIOError):  # full: it wakes up anyway
                    os.write(self._wake_in, b"\0")

    def after(self, seconds: float, call: Call) -> Timer:
        """Have `call` called in `seconds`."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def watch(self, fd: int, call: Call) -> None:
        """Have `call` called whenever `fd` is readable or at its end."""
        self._selector.register(fd, selectors.EVENT_READ, call)

    def unwatch(self, fd: int) -> None:
        """Not any more. `fd` may be unknown."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def _stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(self._wait()):
                self._call(key.data)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_out, 4096)
            for _ in range(len(self._posted)):
                self._call(self._posted.popleft())
            self._due()
        with self._ends:
            self._open = False
            self._selector.close()
            os.close(self._wake_out)
            os.close(self._wake_in)

    def _wait(self) -> float | None:
        if self._posted:
            return 0
        return max(self._timers[0][0] - time.monotonic(), 0) if self._timers else None

    def _due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                self._call(timer.call)

    def _call(self, call: Call) -> None:
        try:
            call()
        except Exception:  # one dyno's trouble must not end the thread that all live by
            log.exception("A step of the local driver failed")
