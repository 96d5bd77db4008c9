"""Nudges: *that* something changed, told to open pages and to the conductor after the commit.

A nudge carries ids and numbers, never state: whoever gets it reads the database or the log store. Losing one or
getting it twice does no harm. Topics are `app:<uuid>`, `pipeline:<uuid>`, `user:<uuid>`, `log:<stream>`,
`start:<uuid>` (of an app with a one-off dyno to start), `conductor` and `deliveries`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = logging.getLogger(__name__)
Listener = Callable[[str], None]
Told = tuple[Listener, bool]

CONDUCTOR = "conductor"
DELIVERIES = "deliveries"  # there is news for webhooks
_loop: asyncio.AbstractEventLoop | None = None
_listeners: list[Told] = []


def use_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Name the event loop that the websockets of this process live on: an in-memory layer must be used from it."""
    global _loop
    _loop = loop


def listen(listener: Listener, *, shown: bool = True) -> Callable[[], None]:
    """Have `listener(topic)` called in this process for every nudge, without those that only pages are interested in
    unless `shown`; returns what ends it. It must be quick."""
    told = (listener, shown)
    _listeners.append(told)
    return lambda: _listeners.remove(told)


def tell(topic: str, after: int = 0) -> None:
    """Nudge everybody who watches `topic`, once the current transaction has committed (at once without one)."""
    transaction.on_commit(lambda: tell_now(topic, after))


def show(topic: str) -> None:
    """As `tell`, where what changed is only shown: nothing about dynos or routes follows from it."""
    transaction.on_commit(lambda: tell_now(topic, shown=True))


def wake_conductor() -> None:
    """Have the conductor look for work, once the current transaction has committed."""
    tell(CONDUCTOR)


def tell_now(topic: str, after: int = 0, *, shown: bool = False) -> None:
    """Nudge at once, whatever transaction is open; about what is only `shown`, see `show`. Never raises: a lost nudge
    is made up for by the slow poll."""
    for listener, hears_shown in tuple(_listeners):
        if shown and not hears_shown:
            continue
        try:
            listener(topic)
        except Exception:
            log.exception("A listener failed on %s", topic)
    message = {"type": "nudge", "topic": topic, "after": after}
    try:
        if _loop is not None:
            _loop.call_soon_threadsafe(lambda: asyncio.ensure_future(_send(topic, message), loop=_loop))
        elif not _inside_a_loop():
            async_to_sync(_send)(topic, message)
    except Exception:
        log.warning("No nudge about %s", topic, exc_info=True)


def group(topic: str) -> str:
    """The channel layer's name for a topic (it allows only letters, digits, `-`, `_` and `.`, 99 at most)."""
    return topic.replace(":", ".").replace("/", ".")


async def _send(topic: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group(topic), message)


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
