"""Hearing that logs grow: one listener on the bus for each log that anybody reads, however many do."""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer

from apps import logs
from core import live

log = logging.getLogger(__name__)
PATIENCE = 4.0  # seconds: how long a nudge is waited for; a lost one costs no more
Ring = Callable[[int], None]  # told where the log goes to now, or 0 to have a look anyway


class Ears:
    """Those of one event loop: a nudge rings all readers of its log at once."""

    def __init__(self) -> None:
        self._rings: dict[str, set[Ring]] = {}
        self._listening: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}

    async def open(self, stream: str, ring: Ring) -> None:
        """Call `ring` from now on, for each nudge about `stream` and every `PATIENCE` seconds."""
        self._rings.setdefault(stream, set()).add(ring)
        found = self._listening.get(stream)
        if found is None:
            heard = asyncio.Event()
            found = asyncio.create_task(self._listen(stream, heard)), heard
            self._listening[stream] = found
        await found[1].wait()

    def close(self, stream: str, ring: Ring) -> None:
        """Call `ring` no more."""
        rings = self._rings.get(stream, set())
        rings.discard(ring)
        if not rings:
            self._rings.pop(stream, None)
            found = self._listening.pop(stream, None)
            if found is not None:
                found[0].cancel()

    def readers(self, stream: str) -> int:
        """How many are rung for `stream`."""
        return len(self._rings.get(stream, ()))

    async def _listen(self, stream: str, heard: asyncio.Event) -> None:
        slow = asyncio.create_task(self._ring_slowly(stream))
        try:
            while True:
                try:
                    await self._hear(stream, heard)
                except Exception:  # the bus is away: readers go on with the slow look until it is back
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
        for ring in tuple(self._rings.get(stream, ())):
            ring(last)


_ears: WeakKeyDictionary[asyncio.AbstractEventLoop, Ears] = WeakKeyDictionary()


def ears() -> Ears:
    """Those of the loop that runs."""
    return _ears.setdefault(asyncio.get_running_loop(), Ears())
