"""Hearing of work that other processes ask for, through the channel layer that they share (Redis)."""

import asyncio
import logging
from collections.abc import Callable

from channels.layers import get_channel_layer

from core import live

log = logging.getLogger(__name__)
AGAIN = 1.0  # seconds until the next try to listen


async def listen(heard: Callable[[], None]) -> None:
    """Call `heard()` for each nudge to the conductor, until cancelled. It must be quick. Nudges that are lost while
    the layer is away are made up for by the sweep."""
    while True:
        try:
            await _listen(heard)
        except Exception as error:
            log.warning("No nudges from other processes: %s", error)
            await asyncio.sleep(AGAIN)


async def _listen(heard: Callable[[], None]) -> None:
    layer = get_channel_layer()
    assert layer is not None
    channel = await layer.new_channel()
    await layer.group_add(live.group(live.CONDUCTOR), channel)
    try:
        while True:
            await layer.receive(channel)
            heard()
    finally:
        await layer.group_discard(live.group(live.CONDUCTOR), channel)
