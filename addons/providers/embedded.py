"""The servers that this installation runs itself."""

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from engine.servers import Servers


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


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit() and 1024 <= int(first) <= int(last) < 65536):
        raise ImproperlyConfigured(
            f"SLIPWAY_SERVER_PORTS is {text}; write the first and the last, like 19000-19999"
        )
    return range(int(first), int(last) + 1)
