"""What a dyno says, and what the platform says of it."""

import os
import time
from contextlib import suppress

from engine.drivers.loop import Loop
from engine.drivers.output import LINE_BYTES, Lines, Outlet
from engine.spec import Line

PIPE_BYTES = 256 * 1024
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 5.0
LAST_READS = 4  # more than a pipe holds; somebody who goes on writing is not waited for


class Voice:
    """The lines of one dyno. Of use in the loop's thread only."""

    def __init__(self, stream: str, dyno: str, loop: Loop, outlet: Outlet) -> None:
        self._stream, self._dyno = stream, dyno
        self._loop, self._outlet = loop, outlet
        self._lines = Lines()
        self._fd: int | None = None

    def say(self, text: str) -> None:
        """A line of the platform about the dyno."""
        self._put([text.replace("\n", " ").encode("utf-8", "replace")[:LINE_BYTES]], "heroku")

    def listen(self, fd: int) -> None:
        """Pass on what comes through the pipe `fd` from now on."""
        self._fd = fd
        self._loop.watch(fd, self._read)

    def finish(self) -> None:
        """Pass on what is still in the pipe. Later bytes are nobody's."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        self._loop.unwatch(fd)
        with suppress(BlockingIOError):
            for _ in range(LAST_READS):
                self._put(self._lines.feed(os.read(fd, PIPE_BYTES)))
        self._put(self._lines.flush())

    def _read(self) -> None:
        if self._fd is None:
            return
        try:
            data = os.read(self._fd, PIPE_BYTES)
        except BlockingIOError:
            return
        if not data:
            return self._loop.unwatch(self._fd)
        self._put(self._lines.feed(data))
        if self._outlet.full(self._stream):
            self._loop.unwatch(self._fd)
            self._resume(time.monotonic() + LONGEST_PAUSE_SECONDS)

    def _resume(self, deadline: float) -> None:
        """Read on once the sink has caught up. It is not waited for longer than a few seconds: the dyno would wait too."""
        if self._fd is None:
            return
        if self._outlet.full(self._stream) and time.monotonic() < deadline:
            self._loop.after(PAUSE_SECONDS, lambda: self._resume(deadline))
        else:
            self._loop.watch(self._fd, self._read)

    def _put(self, texts: list[bytes], source: str = "app") -> None:
        if texts:
            now = time.time()
            self._outlet.put(self._stream, [Line(source, self._dyno, text, now) for text in texts])
