"""The streams of a one-off dyno that somebody sits at: a pseudo terminal, or two pipes."""

import fcntl
import os
import struct
import termios
import threading
from collections.abc import Callable

from engine.spec import Attach

END_OF_INPUT = b"\x04"  # what a terminal turns into the end of input


def set_size(terminal: int, columns: int, lines: int) -> None:
    """Give a terminal a size, in characters."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


class Ours:
    """The platform's ends; see `engine.spec.Attached`. `resize` says a terminal's new size to where it is, if not here."""

    def __init__(self, reader: int, writer: int, resize: Callable[[int, int], None] | None = None) -> None:
        self.reader, self.writer = reader, writer
        self._resize = resize
        self._terminal = reader == writer
        for fd in (reader, writer):
            os.set_blocking(fd, False)

    def end_input(self) -> None:
        """Tell it that no more input comes. May be called twice."""
        if self._terminal:
            os.write(self.writer, END_OF_INPUT)
        elif self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def resize(self, columns: int, lines: int) -> None:
        """Tell a terminal that it has another size."""
        if self._resize:
            self._resize(columns, lines)
        elif self._terminal and self.reader >= 0:
            set_size(self.reader, columns, lines)

    def close(self) -> None:
        """Let go of both ends. May be called twice."""
        for fd in {self.reader, self.writer} - {-1}:
            os.close(fd)
        self.reader = self.writer = -1


class Streams:
    """Both ends, until each is where it belongs. For any thread."""

    def __init__(self, attach: Attach) -> None:
        self.theirs: tuple[int, ...]  # standard input and output of the dyno
        if attach.tty:
            ours, their = os.openpty()
            set_size(ours, attach.columns, attach.lines)
            self.theirs, self._ours = (their, their), Ours(ours, ours)
        else:
            (their_in, our_in), (our_out, their_out) = os.pipe(), os.pipe()
            self.theirs, self._ours = (their_in, their_out), Ours(our_out, our_in)
        self.taken = False
        self._started = False
        self._lock = threading.Lock()

    def started(self) -> None:
        """The dyno has its ends."""
        with self._lock:
            self._started = True
            self._close_theirs()

    def take(self) -> Ours | None:
        """Our ends, to the first who asks after the start; whoever has them closes them."""
        with self._lock:
            if self.taken or not self._started:
                return None
            self.taken = True
            return self._ours

    def free(self) -> None:
        """Nobody will come any more. May be called twice."""
        with self._lock:
            self._close_theirs()
            if not self.taken:
                self.taken = True
                self._ours.close()

    def _close_theirs(self) -> None:
        for fd in set(self.theirs):
            os.close(fd)
        self.theirs = ()
