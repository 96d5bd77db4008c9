"""The servers that this installation runs itself: beside local dynos, or as services where dynos run in containers."""

import shutil
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.errors import EngineError
from engine.servers import Servers

ROOM_BYTES = 100 * 1024**2  # a new cluster takes 40 MB, and its log grows by 16 MB at a time


def servers() -> Servers:
    """All of them, in `settings.DATA / "servers"`. The conductor keeps them running; see `engine.servers`, and for dynos in
    containers `engine.servers.swarm`."""
    return _servers(settings.ENGINE_URL)


@cache
def _servers(engine_url: str) -> Servers:
    from addons.mails import Inboxes  # which needs the models, and they the providers

    root, ports = settings.DATA / "servers", _ports(settings.SERVER_PORTS)
    if not in_containers():
        return Servers(root, ports=ports, post=Inboxes(), mailer_port=settings.MAILER_PORT)
    from apps.stacks import instance
    from engine.servers.swarm import SwarmServers  # loads what the local engine has no use for

    return SwarmServers(
        root,
        url=engine_url.partition("+")[2],
        instance=instance(),
        images=settings.SERVER_IMAGES,
        ports=ports,
        address=settings.SERVER_ADDRESS,
        memory=settings.POSTGRES_MEMORY,
        post=Inboxes(),
        mailer_port=settings.MAILER_PORT,
    )


def in_containers() -> bool:
    """Whether dynos run in containers, and so do the servers for them."""
    return not settings.ENGINE_URL.startswith("local:")


def why_no_service(kind: str) -> str:
    """Where servers are services: why there can be none of a kind, as the conductor last saw it; "" when there can."""
    return servers().why_not(kind)


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
