"""Calls from other nodes, each a way to its node's engine: TLS, so that nobody on the line reads along, with a secret of
the node's own. `caller.pl` is the other end, and tells what goes over a call."""

import asyncio
import contextlib
import hmac
import logging
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
BEAT_SECONDS, DEAF_SECONDS = 10.0, 40.0
TAKE_SECONDS = 5.0  # for a call to come, when none waits
HELLO_SECONDS = 10.0
CHUNK = 64 * 1024
TAKE = TAKEN = b"+"
IDLE = b"."
ALIVE = 0xFFFFFFFF
LENGTH = struct.Struct(">I")


class Call:
    """One call that waits for a guest: who comes to the node's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.guest: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.over = asyncio.Event()


class Calls:
    """Takes calls at addresses of this machine, and joins each to who comes to the node's socket in `folder`.

    `tokens` are the nodes' secrets, by node; they may change meanwhile. `start` and `stop` block, for any thread.
    """

    def __init__(self, folder: Path, context: ssl.SSLContext, tokens: Mapping[str, str]) -> None:
        self._folder, self._context, self._tokens = folder, context, tokens
        self._waiting: dict[str, deque[Call]] = {}
        self._taken: dict[str, float] = {}  # when one was last, on the monotonic clock
        self._came = asyncio.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="swarm-driver-calls", daemon=True)
        self._thread.start()

    def listen(self, address: str, port: int) -> int:
        """Take calls at `address` and `port`, or any free one when that is 0; returns the port. `OSError` when it can't
        be had."""
        server = self._do(asyncio.start_server(self._called, address, port, ssl=self._context))
        return int(server.sockets[0].getsockname()[1])

    def open(self, node: str) -> Path:
        """The socket behind which the engine of `node` is, as long as it calls."""
        place = self._folder / node
        if not place.exists():
            self._waiting[node] = deque()

            async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._guarded(self._asked(node, reader, writer), writer)

            self._do(asyncio.start_unix_server(asked, place))
        return place

    def calls(self, node: str) -> bool:
        """Whether its engine can be asked: a call of the node waits, or was taken just now and another will."""
        return bool(self._waiting.get(node)) or time.monotonic() - self._taken.get(node, -1e9) < TAKE_SECONDS

    def stop(self) -> None:
        """Hang up on everybody."""

        async def end() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _guarded(self, work: Coroutine[Any, Any, None], writer: asyncio.StreamWriter) -> None:
        """Do it; whatever breaks on the line ends this one connection alone."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await work
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError, ValueError) as error:
            log.debug("A call ended: %r", error)
        finally:
            self._tasks.discard(task)
            writer.close()

    # --- those who call -----------------------------------------------------------------------------------------

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._guarded(self._wait(reader, writer), writer)

    async def _wait(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = (await asyncio.wait_for(reader.readline(), HELLO_SECONDS)).strip()
        known = list(self._tokens.items())
        node = next((node for node, token in known if hmac.compare_digest(token.encode(), said)), None)
        if node is None or node not in self._waiting:
            return
        call = Call(reader, writer)
        self._waiting[node].append(call)
        async with self._came:
            self._came.notify_all()
        beat = asyncio.create_task(_beat(call))
        try:
            while await asyncio.wait_for(reader.readexactly(1), DEAF_SECONDS) != TAKEN:
                pass
            if call.guest:
                await _join(call, *call.guest)
        finally:
            beat.cancel()
            call.over.set()
            with contextlib.suppress(ValueError):
                self._waiting[node].remove(call)

    # --- those who ask ------------------------------------------------------------------------------------------

    async def _asked(self, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = await asyncio.wait_for(self._take(node), TAKE_SECONDS)
        call.guest = reader, writer
        call.writer.write(TAKE)
        await call.over.wait()

    async def _take(self, node: str) -> Call:
        async with self._came:
            await self._came.wait_for(lambda: self._waiting[node])
            self._taken[node] = time.monotonic()
            return self._waiting[node].popleft()


async def _beat(call: Call) -> None:
    """Say that we are there, so that who calls may tell a line that is dead."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        call.writer.write(LENGTH.pack(ALIVE) if call.guest else IDLE)


async def _join(call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry both directions until the engine has said all, or either side is gone."""
    asks = asyncio.create_task(_to_engine(reader, call.writer))
    try:
        await _from_engine(call.reader, writer)
    finally:
        asks.cancel()


async def _to_engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(LENGTH.pack(len(data)) + data)
            await writer.drain()
        writer.write(LENGTH.pack(0))


async def _from_engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        (size,) = LENGTH.unpack(await asyncio.wait_for(reader.readexactly(LENGTH.size), DEAF_SECONDS))
        if size == ALIVE:
            continue
        if not 0 < size <= CHUNK:
            return
        writer.write(await asyncio.wait_for(reader.readexactly(size), DEAF_SECONDS))
        await writer.drain()
