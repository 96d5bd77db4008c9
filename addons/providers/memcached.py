"""Caches: a memcached for each add-on, on loopback, with a user and a password of its own."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from addons.providers import embedded
from addons.providers.base import Order, Provided
from addons.providers.passwords import password
from engine.servers import programs
from engine.servers.memcached import Wish

MEMCACHIER = "memcachier"  # the service
MEMORY_MB, CLIENTS = 25, 100  # of a plan that says nothing
MB = 1024 * 1024


class Memcached:
    """Small servers that the platform runs itself. They hold what they hold in memory only."""

    shared = False

    def why_not(self) -> str:
        """Why there can be no server."""
        if why := embedded.why_unreachable():
            return f"{why[0].upper()}{why[1:]}."
        if programs.memcached() is None:
            return (
                "memcached is not installed on this machine, or can't ask for passwords: install Debian's memcached, "
                "sasl2-bin and libsasl2-modules."
            )
        return ""

    def provision(self, order: Order) -> Provided | None:
        """A server with a user and a password."""
        return self._ensure(order)

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """More memory or less. The server starts again, and so it is empty then."""
        return self._ensure(replace(order, plan=plan, limits=limits))

    def deprovision(self, order: Order) -> None:
        """End the server."""
        embedded.servers().memcacheds.remove(order.id)

    def credential(self, order: Order, name: str) -> Provided:
        """All share the default one. Follows a new password, and keeps what is in the cache."""
        return self._ensure(order)

    def drop_credential(self, order: Order, name: str) -> None:
        """There is none but the default one."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Version, memory, entries, how often it knew the answer."""
        found = embedded.servers().memcacheds.stats(order.id)
        asked, known = int(found["cmd_get"]), int(found["get_hits"])
        used, size = int(found["bytes"]) / MB, int(found["limit_maxbytes"]) // MB
        return [
            ("memcached", found["version"]),
            ("Memory", f"{used:.1f} MB of {size} MB"),
            ("Entries", found["curr_items"]),
            ("Found", f"{known / asked:.0%} of {asked} asked for" if asked else "nothing asked for so far"),
            ("Dropped for want of room", found["evictions"]),
            ("Protocol", "binary, with SASL PLAIN"),
        ]

    def holds(self) -> set[str]:
        """The ids of the servers there are."""
        return embedded.servers().memcacheds.ids()

    # --- addons.providers.base.Maintains ------------------------------------------------------------------------------

    def maintains(self) -> bool:
        """Always: each order has a server of its own."""
        return True

    def outdated(self, id: str) -> bool:
        """Whether a newer program is installed."""
        return embedded.servers().memcacheds.outdated(id)

    def renew(self, order: Order) -> None:
        """Start it again with the newer program, which empties it."""
        embedded.servers().memcacheds.renew(order.id)

    def _ensure(self, order: Order) -> Provided:
        wish = Wish(
            user=UUID(order.id).hex,
            password=password(order, MEMCACHIER),
            memory_mb=order.limits.get("memory_mb", MEMORY_MB),
            clients=order.limits.get("connections", CLIENTS),
        )
        port = embedded.servers().memcacheds.ensure(order.id, wish)
        config = {"SERVERS": f"127.0.0.1:{port}", "USERNAME": wish.user, "PASSWORD": wish.password}
        return Provided(config, message="The cache is ready.")
