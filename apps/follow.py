"""Reading a log as it grows."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakKeyDictionary

from apps import logs
from apps.ears import ears

PATIENCE = 2.0  # seconds: how long a nudge is waited for; a lost one costs no more
PAUSE = 0.002  # seconds for each other reader between two items, so that many readers leave time for requests
_KEPT = 32  # looks, for readers who stand at the same place


class Look(NamedTuple):
    """Whether the stream is complete, and the next records with the number of the first."""

    ended: bool
    first: int
    records: list[bytes]


class Looks:
    """One look for all who have read as far, and stand in one event loop."""

    def __init__(self) -> None:
        self._ready: OrderedDict[tuple[str, int], asyncio.Task[Look]] = OrderedDict()

    async def after(self, stream: str, after: int) -> Look:
        """What `stream` has after number `after`."""
        task = self._ready.get((stream, after))
        if task is None:
            task = self._ready[stream, after] = asyncio.create_task(self._make(stream, after))
            if len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        return task.result() if task.done() else await asyncio.shield(task)

    async def _make(self, stream: str, after: int) -> Look:
        look = None
        try:
            look = await asyncio.to_thread(_look, stream, after)
        finally:
            if look is None or not look.records:  # nothing there yet: the next one who asks must look again
                self._ready.pop((stream, after), None)
        return look


_looks: WeakKeyDictionary[asyncio.AbstractEventLoop, Looks] = WeakKeyDictionary()


class _Bell:
    """What a reader has been told of its stream."""

    def __init__(self) -> None:
        self.rung, self.known = asyncio.Event(), 0

    def ring(self, last: int) -> None:
        self.known = max(self.known, last)
        self.rung.set()


async def follow(stream: str, after: int = 0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """The records after number `after`, with the number of the first, as they come, until the stream is complete.

    At least every `PATIENCE` seconds there is an item, then without records, so that a reader can look whether it may
    go on reading."""
    bell = _Bell()
    looks = _looks.setdefault(asyncio.get_running_loop(), Looks())
    await ears().open(stream, bell.ring)
    try:
        while True:
            bell.rung.clear()
            look = await looks.after(stream, after)
            if look.records:
                after = look.first + len(look.records) - 1
                yield look.first, look.records
                await asyncio.sleep(PAUSE * (ears().readers(stream) - 1))
            elif look.ended:
                return
            elif bell.known > after:  # the look was begun before the nudge, by another reader: one more
                bell.known = after
            else:
                yield after + 1, []
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.rung.wait(), PATIENCE)
    finally:
        ears().close(stream, bell.ring)


def _look(stream: str, after: int) -> Look:
    ended = logs.store().ended(stream)  # asked first: its last lines were there by then
    return Look(ended, *next(logs.store().blocks(stream, after=after), (after + 1, [])))
