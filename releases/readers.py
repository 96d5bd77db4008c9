"""Whether those who read a stream may go on. A hundred readers look every few seconds, so the database is asked by one
thread for all of them, and once for those who read with the same right: a request waits for none of it."""

import asyncio
from contextvars import Context
from typing import NamedTuple
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

from releases import streams
from releases.streams import Grant

FRESH_SECONDS = (
    0.5  # how old an answer may be; with the time between two looks it has to stay below 5 s (I-31)
)


class Standing(NamedTuple):
    """Whether the reader may go on, and whether what writes the stream has come to its end."""

    holds: bool
    over: bool


class Readers:
    """The latest answers, for the readers of one event loop."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str, str], tuple[float, asyncio.Task[Standing]]] = {}

    async def standing(self, grant: Grant) -> Standing:
        """How a reader with `grant` stands, as of at most `FRESH_SECONDS` before now."""
        key, now = (grant.by, grant.token, grant.stream), asyncio.get_running_loop().time()
        found = self._asked.get(key)
        if found is None or now - found[0] > FRESH_SECONDS:
            self._forget(now)
            # In no request's context: that would give each its own thread, and end it with that request.
            found = now, asyncio.create_task(_ask(grant), context=Context())
            self._asked[key] = found
        return await asyncio.shield(found[1])

    def _forget(self, now: float) -> None:
        for key in [
            key for key, (at, task) in self._asked.items() if now - at > FRESH_SECONDS and task.done()
        ]:
            del self._asked[key]


async def _ask(grant: Grant) -> Standing:
    return await database_sync_to_async(_look)(grant)


def _look(grant: Grant) -> Standing:
    return Standing(grant.holds(), streams.is_over(grant.stream))


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, Readers] = WeakKeyDictionary()


async def standing(grant: Grant) -> Standing:
    """How a reader with `grant` stands; raises what the database does when it can't be asked."""
    return await _readers.setdefault(asyncio.get_running_loop(), Readers()).standing(grant)
