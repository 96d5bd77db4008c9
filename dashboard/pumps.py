"""What feeds one log to one websocket: a cursor into the log store, not a queue."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from channels.layers import get_channel_layer

from apps import logs
from core import live
from dashboard.batches import batches
from engine.logstore import Query

log = logging.getLogger(__name__)
WINDOW = 16  # messages that a viewer need not have confirmed; it confirms every fourth
PATIENCE = 4.0  # seconds: how long a nudge is waited for; a lost one costs no more


class Ears:
    """One listener for each log that anybody watches, however many do: a nudge wakes all its pumps at once."""

    def __init__(self) -> None:
        self._pumps: dict[str, set[Pump]] = {}
        self._listening: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    async def open(self, pump: "Pump") -> None:
        """Ring `pump` from now on, for each nudge about its stream and every `PATIENCE` seconds."""
        self._pumps.setdefault(pump.stream, set()).add(pump)
        found = self._listening.get(pump.stream)
        if found is None or found[0].get_loop() is not asyncio.get_running_loop():
            heard = asyncio.Event()
            found = asyncio.create_task(self._listen(pump.stream, heard)), heard
            self._listening[pump.stream] = found
        await found[1].wait()

    def close(self, pump: "Pump") -> None:
        """Ring `pump` no more."""
        pumps = self._pumps.get(pump.stream, set())
        pumps.discard(pump)
        if not pumps:
            self._pumps.pop(pump.stream, None)
            found = self._listening.pop(pump.stream, None)
            if found is not None:
                found[0].cancel()

    async def _listen(self, stream: str, heard: asyncio.Event) -> None:
        slow = asyncio.create_task(self._ring_slowly(stream))
        try:
            while True:
                try:
                    await self._hear(stream, heard)
                except Exception:  # the bus is away: its viewers go on with the slow look until it is back
                    log.warning("No nudges about %s", stream, exc_info=True)
                heard.set()
                await asyncio.sleep(PATIENCE)
        finally:
            slow.cancel()

    async def _hear(self, stream: str, heard: asyncio.Event) -> None:
        layer, group = get_channel_layer(), live.group(logs.topic(stream))
        assert layer is not None
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
        heard.set()
        try:
            while True:
                self._ring(stream, (await layer.receive(channel))["after"])
        finally:
            await layer.group_discard(group, channel)

    async def _ring_slowly(self, stream: str) -> None:
        while True:
            await asyncio.sleep(PATIENCE)
            self._ring(stream, 0)

    def _ring(self, stream: str, last: int) -> None:
        for pump in self._pumps.get(stream, ()):
            pump.ring(last)


class Pump:
    """Sends what comes after `after`, in order and each line once, until the stream is complete.

    A viewer that is slow to confirm is sent nothing more until it does: what it has not got yet waits in the store.
    """

    def __init__(self, stream: str, after: int, query: Query, send: Callable[[str], Awaitable[None]]) -> None:
        self.stream = stream
        self._after, self._query, self._send = after, query, send
        self._known = 0  # where the last nudge said that the stream goes to
        self._unconfirmed: deque[int] = deque()
        self._rung, self._room = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        await ears.open(self)
        self._task = asyncio.create_task(self._run_logged())

    def ring(self, last: int) -> None:
        """The stream goes to `last` now."""
        self._known = max(self._known, last)
        self._rung.set()

    def confirm(self, after: int) -> None:
        """The viewer has every message up to number `after`."""
        while self._unconfirmed and self._unconfirmed[0] <= after:
            self._unconfirmed.popleft()
        self._room.set()

    async def stop(self) -> None:
        """End it; nothing is sent once this returns."""
        ears.close(self)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run_logged(self) -> None:
        try:
            await self._run()
        except Exception:
            log.exception("A viewer of %s gets no more lines", self.stream)

    async def _run(self) -> None:
        while True:
            self._rung.clear()
            batch = await batches.after(self.stream, self._after, self._query)
            moved, self._after = batch.after != self._after, batch.after
            if batch.text:
                await self._space()
                self._unconfirmed.append(batch.after)
                await self._send(batch.text)
            if batch.ended:
                return
            if not moved and self._after >= self._known:
                await self._rung.wait()

    async def _space(self) -> None:
        while len(self._unconfirmed) >= WINDOW:
            self._room.clear()
            await self._room.wait()


ears = Ears()
