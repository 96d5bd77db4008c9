"""Reading a log as it grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from channels.layers import get_channel_layer

from apps import logs
from core import live

PATIENCE = 2.0  # seconds: how long a nudge is waited for; a lost one costs no more


@asynccontextmanager
async def bell(topic: str) -> AsyncIterator[asyncio.Event]:
    """An event that each nudge about `topic` sets."""
    layer, rung = get_channel_layer(), asyncio.Event()
    assert layer is not None
    channel = await layer.new_channel()
    await layer.group_add(live.group(topic), channel)

    async def listen() -> None:
        while True:
            await layer.receive(channel)
            rung.set()

    listener = asyncio.create_task(listen())
    try:
        yield rung
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener
        await layer.group_discard(live.group(topic), channel)


async def follow(stream: str, after: int = 0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """The records after number `after`, with the number of the first, as they come, until the stream is complete.

    At least every `PATIENCE` seconds there is an item, then without records, so that a reader can look whether it may
    go on reading."""
    async with bell(logs.topic(stream)) as rung:
        while True:
            rung.clear()
            ended, first, records = await asyncio.to_thread(_look, stream, after)
            if records:
                after = first + len(records) - 1
                yield first, records
            elif ended:
                return
            else:
                yield after + 1, []
                with suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), PATIENCE)


def _look(stream: str, after: int) -> tuple[bool, int, list[bytes]]:
    """Whether the stream is complete (asked first: its last lines were there by then), and the next records."""
    ended = logs.store().ended(stream)
    first, records = next(logs.store().blocks(stream, after=after), (after + 1, []))
    return ended, first, records
