"""The servers that this installation runs itself."""

import shutil
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.errors import EngineError
from engine.servers import Servers

ROOM_BYTES = 100 * 1024**2  # a new cluster takes 40 MB, and its log grows by 16 MB at a time


@cache
def servers() -> Servers:
    """All of them, in `settings.DATA / "servers"`. The conductor keeps them running; see `engine.servers`."""
    from addons.mails import Inboxes  # which needs the models, and they the providers

    return Servers(
        settings.DATA / "servers",
        ports=_ports(settings.SERVER_PORTS),
        post=Inboxes(),
        mailer_port=settings.MAILER_PORT,
    )


def why_unreachable() -> str:
    """Why dynos could not use a server on this machine's loopback; "" when they can."""
    if settings.ENGINE_URL.startswith("local:"):
        return ""
    return "dynos in containers do not reach what the platform runs on loopback"


def demand_room(what: str) -> None:
    """`EngineError` when the disk has too little room for `what`: a server that meets a full disk half-way stops, and all
    that is on it with it."""
    free = shutil.disk_usage(settings.DATA).free
    if free < ROOM_BYTES:
        raise EngineError(
            f"The disk of this Slipway has {free // 1024**2} MB free, too little for {what}. "
            "Order it again once whoever operates it has made room."
        )


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 1024 <= int(first) <= int(last) < 65536):
        raise ImproperlyConfigured(
            f"SLIPWAY_SERVER_PORTS is {text}; write the first and the last, like 19000-19999"
        )
    return range(int(first), int(last) + 1)
