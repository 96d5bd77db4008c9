"""What HAProxy wants of a conductor: somebody who takes the records of requests and the guests of `heroku run`. One
conductor does at a time; the next one takes over when it ends. Until then records wait in HAProxy's memory."""

import asyncio
import fcntl
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from core.errors import EngineError
from engine.proxy import records
from engine.proxy.router import ProxyRouter
from engine.rendezvous import PREFIX, Find, Meeting
from engine.router import LocalRouter
from engine.spec import Line, LineSink
from engine.tally import TURNED_AWAY, Tally

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
CHUNK = 256 * 1024


class Keeper:
    """Serves the HAProxy of `router` from threads of its own and the running loop, while `serves` says that it is ours
    to do so and nobody else does. Requests of apps are counted in `tally`. Those for apps that sleep wait in a router that
    `make_waking` makes; HAProxy says that they don't answer where there is none."""

    def __init__(
        self,
        router: ProxyRouter,
        *,
        sink: LineSink,
        find_guest: Find,
        serves: Callable[[], bool] = lambda: True,
        tally: Tally | None = None,
        make_waking: Callable[[], LocalRouter] | None = None,
    ) -> None:
        self._router = router
        self._folder = router.folder
        self._sink = sink
        self._tally = tally or Tally()
        self._counting = threading.Lock()
        self._make_waking = make_waking
        self._waking: LocalRouter | None = None
        self._find_guest = find_guest
        self._serves = serves
        self._stopping = threading.Event()
        self._over = threading.Event()  # our turn is
        self._meetings: set[Meeting] = set()
        self._guests: asyncio.Server | None = None
        self._turn: TextIO | None = None
        self._thread = threading.Thread(target=self._keep, name="proxy-keeper", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        """Begin; on the loop that is to serve the guests."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Let somebody else do it."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 10)
        self._end_turn()
        await self._send_away()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            if self._turn is None and self._serves():
                self._take_turn()
            elif self._turn is not None and not self._serves():
                self._end_turn()
                asyncio.run_coroutine_threadsafe(self._send_away(), self._loop)
            try:
                self._router.tick()
            except (EngineError, OSError) as error:
                log.debug("HAProxy is away: %s", error)
            self._stopping.wait(LOOK_SECONDS)

    def _take_turn(self) -> None:
        turn = (self._folder.root / ".turn").open("w")
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            turn.close()
            return
        self._turn, self._over = turn, threading.Event()
        self._folder.lines.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._folder.lines))
        self._folder.lines.chmod(0o600)
        listener.listen(16)
        listener.settimeout(0.2)
        threading.Thread(target=self._listen, args=(listener, self._over), name="proxy-lines").start()
        asyncio.run_coroutine_threadsafe(self._welcome_guests(), self._loop)

    def _end_turn(self) -> None:
        self._over.set()
        turn, self._turn = self._turn, None
        if turn:
            turn.close()

    async def _send_away(self) -> None:
        guests, self._guests = self._guests, None
        if guests:
            guests.close()
        for meeting in list(self._meetings):
            meeting.close()
        waking, self._waking = self._waking, None
        self._router.wake_no_more()
        if waking is not None:
            await waking.stop()

    # --- records ------------------------------------------------------------------------------------------------

    def _listen(self, listener: socket.socket, over: threading.Event) -> None:
        with listener:
            while not over.is_set():
                with suppress(TimeoutError):
                    sock, _ = listener.accept()
                    threading.Thread(target=self._read, args=(sock, over), name="proxy-lines").start()

    def _read(self, sock: socket.socket, over: threading.Event) -> None:
        buffer = bytearray()
        with sock:
            sock.settimeout(0.2)
            while not over.is_set():
                try:
                    data = sock.recv(CHUNK)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not data:
                    return
                buffer += data
                try:
                    self._write(list(records.frames(buffer)))
                except ValueError:
                    log.exception("HAProxy sent records that can't be read")
                    return

    def _write(self, found: list[bytes]) -> None:
        now = time.time()
        batch: dict[str, list[Line]] = {}
        for record in found:
            made = records.read(record)
            if made is not None:
                batch.setdefault(f"app/{made.app}", []).append(Line("heroku", "router", made.line, now))
                if made.code not in TURNED_AWAY:
                    with self._counting:
                        self._tally.add(made.app, made.release, made.status, made.milliseconds, now)
        for stream, lines in batch.items():
            try:
                self._sink(stream, lines)
            except Exception:  # whatever ails one app's log, the others' lines go on
                log.exception("%d router lines lost for %s", len(lines), stream)

    # --- guests -------------------------------------------------------------------------------------------------

    async def _welcome_guests(self) -> None:
        self._folder.guests.unlink(missing_ok=True)
        self._guests = await self._loop.create_unix_server(lambda: _Door(self), self._folder.guests)
        self._folder.guests.chmod(0o600)
        if self._make_waking is not None:
            waking = self._waking = self._make_waking()
            await waking.start_at(self._folder.waking)
            await asyncio.to_thread(self._router.wake_through, waking)

    def meet(self, transport: asyncio.Transport, data: bytes) -> None:
        """Have a client that began with `data` meet its dyno."""
        meeting = Meeting(transport, self._find_guest, self._meetings.discard)
        self._meetings.add(meeting)
        transport.set_protocol(meeting)
        meeting.data_received(data)


class _Door(asyncio.Protocol):
    """A client of whom nothing is known yet."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._data = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._data += data
        if not self._data.startswith(PREFIX[: len(self._data)]):
            self._transport.abort()
        elif len(self._data) >= len(PREFIX):
            self._keeper.meet(self._transport, self._data)
