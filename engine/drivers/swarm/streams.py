"""The streams of a one-off dyno that somebody sits at, carried between the engine's connection and two descriptors."""

import contextlib
import socket
import threading
from collections.abc import Callable

from engine.drivers.streams import Ours
from engine.spec import Attach

CHUNK = 64 * 1024
HEAD = 8


class Carried:
    """Both ends, until each is where it belongs. For any thread.

    With a terminal the engine's connection carries its bytes as they are; without one, output comes in frames.
    `hung_up` is called when who sat at a terminal is gone, `silenced` when the dyno will write no more,
    and `resize` has the terminal's new size told to the engine.
    """

    def __init__(
        self,
        attach: Attach,
        connection: socket.socket,
        *,
        hung_up: Callable[[], None],
        silenced: Callable[[], None] | None = None,
        resize: Callable[[int, int], None] | None = None,
    ) -> None:
        self.taken = False
        self.silent = False  # the dyno will write no more
        self._silenced = silenced
        self._tty, self._engine, self._hung_up = attach.tty, connection, hung_up
        self._started = False
        self._lock = threading.Lock()
        if attach.tty:
            ours, theirs = socket.socketpair()
            self._reads, self._writes = theirs, theirs.dup()
            fd = ours.detach()
            self._ours = Ours(fd, fd, resize or (lambda columns, lines: None))
        else:
            (their_in, our_in), (our_out, their_out) = socket.socketpair(), socket.socketpair()
            self._reads, self._writes = their_in, their_out
            self._ours = Ours(our_out.detach(), our_in.detach())
        for call, name in ((self._out, "out"), (self._in, "in")):
            threading.Thread(target=call, name=f"swarm-driver-attached-{name}", daemon=True).start()

    def started(self) -> None:
        """The dyno runs."""
        with self._lock:
            self._started = True

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
            if not self.taken:
                self.taken = True
                self._ours.close()

    def _out(self) -> None:
        """From the dyno to us, until it ends. What nobody reads any more is thrown away."""
        with self._engine, self._writes:
            listening = True
            with contextlib.suppress(OSError):
                while data := self._next():
                    if listening:
                        try:
                            self._writes.sendall(data)
                        except OSError:
                            listening = False
            with contextlib.suppress(OSError):
                self._writes.shutdown(socket.SHUT_WR)
        self.silent = True
        if self._silenced:
            self._silenced()

    def _next(self) -> bytes:
        if self._tty:
            return self._engine.recv(CHUNK)
        head = self._exactly(HEAD)
        return self._exactly(int.from_bytes(head[4:], "big")) if head else b""

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._engine.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data

    def _in(self) -> None:
        """From us to the dyno, until we end."""
        with self._reads:
            with contextlib.suppress(OSError):
                while data := self._reads.recv(CHUNK):
                    self._engine.sendall(data)
            if self._tty:
                self._hung_up()
            with contextlib.suppress(OSError):
                self._engine.shutdown(socket.SHUT_WR)
