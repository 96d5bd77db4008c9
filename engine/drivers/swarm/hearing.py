"""Follows the log that the engine keeps of one dyno, and reads what who follows has missed."""

import socket
from collections.abc import Callable
from concurrent.futures import Executor

from core.errors import EngineError
from engine.drivers.loop import Loop
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.lines import MICRO, Frames
from engine.drivers.voice import Voice

SILENCE_SECONDS = 5.0  # a log that has neither gone on nor ended in that time, after its dyno did, is left


class Hearing:
    """What a dyno says. Methods belong to the loop's thread.

    `where` tells whose log it is: `("services", name)` or `("containers", id)`. `broke` is called when it ended while it was
    followed, `done` once the rest is read. A dyno that `is_over` is not listened to any more.
    """

    def __init__(
        self,
        dyno: str,
        *,
        client: Client,
        loop: Loop,
        pool: Executor,
        voice: Voice,
        where: Callable[[], tuple[str, str]],
        is_over: Callable[[], bool],
        broke: Callable[[], None],
        done: Callable[[], None],
    ) -> None:
        self.over = False  # nobody follows it
        self._dyno, self._client, self._loop, self._pool, self._voice = dyno, client, loop, pool, voice
        self._where, self._is_over, self._broke, self._done = where, is_over, broke, done
        self._frames = Frames(dyno)
        self._log: socket.socket | None = None
        self._rest_asked = False

    def know(self, at: float, count: int) -> None:
        """The lines up to `at`, in seconds since the epoch, are known; `count` have that very time."""
        self._frames = Frames(self._dyno, round(at * MICRO), count)

    def follow(self) -> None:
        """Hear it from where we are."""
        if self.over:
            self._frames, self.over = self._frames.again(), False
        self._pool.submit(self._open, True)

    def read_rest(self) -> None:
        """Who follows a log misses its last line at times; who reads it afterwards does not. Once."""
        if not self._rest_asked:
            self._rest_asked, self._frames = True, self._frames.again()
            self._pool.submit(self._open, False)

    def await_silence(
        self, after: Callable[[float, Callable[[], None]], None], then: Callable[[], None]
    ) -> None:
        """Call `then` once nothing more comes; `after` keeps the time. A log may be long, and the machine busy: it is waited
        for as long as something of it comes."""
        heard = self._frames.last, self._frames.known

        def look() -> None:
            if heard == (self._frames.last, self._frames.known):
                then()
            else:
                self.await_silence(after, then)

        after(SILENCE_SECONDS, look)

    def close(self) -> None:
        """Hear no more."""
        if self._log is not None:
            self._voice.finish()
            self._log.close()
            self._log = None

    def _open(self, follow: bool) -> None:  # in the pool
        ended = self._ended if follow else self._done
        try:
            connection = self._client.logs(*self._where(), self._frames.since, follow=follow)
        except EngineError:
            self._loop.post(ended)
        else:
            self._loop.post(lambda: self._hear(connection, ended))

    def _hear(self, connection: socket.socket, ended: Callable[[], None]) -> None:
        if self._is_over():
            return connection.close()
        connection.setblocking(False)
        self._log = connection
        self._voice.listen(connection.fileno(), self._frames, ended=ended)

    def _ended(self) -> None:
        self.over = True
        self.close()
        self._broke()
