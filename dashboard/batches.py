"""Log lines as websockets carry them: read, filtered and written as JSON once, whoever watches."""

import asyncio
import json
from collections import OrderedDict
from typing import NamedTuple

from apps import logs
from engine.logstore import Query, harmless
from engine.logstore.records import fields

LINES = 1000  # of one message
BYTES = 256 * 1024
_KEPT = 32  # batches, for viewers who stand at the same place


class Batch(NamedTuple):
    """One message. `text` is empty when there is nothing to say."""

    text: str
    after: int
    ended: bool


class Batches:
    """The messages of all logs. Lines never change, so a batch that begins after a number stays right for good."""

    def __init__(self) -> None:
        self._ready: OrderedDict[tuple[str, int, Query], asyncio.Task[Batch]] = OrderedDict()

    async def after(self, stream: str, after: int, query: Query) -> Batch:
        """The lines of `stream` after number `after` that match `query`, as many as fit one message."""
        key = (stream, after, query)
        task = self._ready.get(key)
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            task = self._ready[key] = asyncio.create_task(self._make(key))
            if len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        return task.result() if task.done() else await asyncio.shield(task)

    async def _make(self, key: tuple[str, int, Query]) -> Batch:
        batch = Batch("", key[1], False)
        try:
            batch = await asyncio.to_thread(_read, *key)
        finally:
            if batch.after == key[1]:  # nothing there yet: the next one who asks must look again
                self._ready.pop(key, None)
        return batch


def _read(stream: str, after: int, query: Query) -> Batch:
    ended = logs.store().ended(stream)  # asked first: its last lines were there by then
    lines, read, size = [], 0, 0
    matches = None if query == Query() else query.matches
    for first, records in logs.store().blocks(stream, after=after):
        for offset, record in enumerate(records, first):
            read, size, after = read + 1, size + len(record), offset
            if matches is None or matches(record):
                at, source, dyno, text = fields(record)
                lines.append((offset, at, source, dyno, harmless(text)))
            if read >= LINES or size >= BYTES:
                return _batch(stream, lines, after, ended=False)
    return _batch(stream, lines, after, ended=ended)


def _batch(stream: str, lines: list, after: int, *, ended: bool) -> Batch:
    if not lines and not ended:
        return Batch("", after, ended)
    message = {"log": stream, "lines": lines, "after": after, "ended": ended}
    return Batch(json.dumps(message, separators=(",", ":"), ensure_ascii=False), after, ended)


batches = Batches()
