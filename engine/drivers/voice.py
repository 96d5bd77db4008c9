"""What a dyno says, and what the platform says of it."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from engine.drivers.loop import Loop
from engine.drivers.output import LINE_BYTES, Lines, Outlet
from engine.spec import Line

PIPE_BYTES = 256 * 1024
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 5.0
LAST_READS = 4  # more than a pipe holds; somebody who goes on writing is not waited for


class Decoder(Protocol):
    """Makes lines of bytes, in order."""

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        ...

    def flush(self) -> list[Line]:
        """What is left without an end."""
        ...


class Plain:
    """The lines of a pipe, now."""

    def __init__(self, dyno: str) -> None:
        self._dyno = dyno
        self._lines = Lines()

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        return self._now(self._lines.feed(data))

    def flush(self) -> list[Line]:
        """What is left without a newline at the end."""
        return self._now(self._lines.flush())

    def _now(self, texts: list[bytes]) -> list[Line]:
        now = time.time()
        return [Line("app", self._dyno, text, now) for text in texts]


def _nothing() -> None:
    pass


class Voice:
    """The lines of one dyno. Of use in the loop's thread only."""

    def __init__(self, stream: str, dyno: str, loop: Loop, outlet: Outlet) -> None:
        self._stream, self._dyno = stream, dyno
        self._loop, self._outlet = loop, outlet
        self._decoder: Decoder = Plain(dyno)
        self._ended: Callable[[], None] = _nothing
        self._fd: int | None = None

    def say(self, text: str) -> None:
        """A line of the platform about the dyno."""
        line = text.replace("\n", " ").encode("utf-8", "replace")[:LINE_BYTES]
        self._put([Line("heroku", self._dyno, line, time.time())])

    def listen(
        self, fd: int, decoder: Decoder | None = None, *, ended: Callable[[], None] = _nothing
    ) -> None:
        """Pass on what comes through the pipe or socket `fd` from now on; `ended` is called at its end."""
        self._fd, self._ended = fd, ended
        self._decoder = decoder or self._decoder
        self._loop.watch(fd, self._read)

    def finish(self) -> None:
        """Pass on what is still in the pipe. Later bytes are nobody's."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        self._loop.unwatch(fd)
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(LAST_READS):
                self._put(self._decoder.feed(os.read(fd, PIPE_BYTES)))
        self._put(self._decoder.flush())

    def _read(self) -> None:
        if self._fd is None:
            return
        try:
            data = os.read(self._fd, PIPE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:  # of a socket, whose other end is gone
            data = b""
        if not data:
            self._loop.unwatch(self._fd)
            return self._ended()
        self._put(self._decoder.feed(data))
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

    def _put(self, lines: list[Line]) -> None:
        if lines:
            self._outlet.put(self._stream, lines)
