"""What feeds one log to one websocket: a cursor into the log store, not a queue."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from apps.ears import ears
from dashboard.batches import batches
from engine.logstore import Query

log = logging.getLogger(__name__)
WINDOW = 16  # messages that a viewer need not have confirmed; it confirms every fourth


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
        await ears().open(self.stream, self.ring)
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
        ears().close(self.stream, self.ring)
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
