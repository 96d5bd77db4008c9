"""Caches: a memcached for each add-on, with a user and a password of its own."""

from uuid import UUID

from addons.providers import embedded
from addons.providers.base import Order, Provided
from addons.providers.own import OwnServers
from addons.providers.passwords import password
from engine.servers import programs
from engine.servers.memcached import Memcacheds, Wish

MEMCACHIER = "memcachier"  # the service
MEMORY_MB, CLIENTS = 25, 100  # of a plan that says nothing
MB = 1024 * 1024


class Memcached(OwnServers):
    """They hold what they hold in memory only: whatever starts one again, another plan too, empties it."""

    absent = (
        "memcached is not installed on this machine, or can't ask for passwords: install Debian's memcached, "
        "sasl2-bin and libsasl2-modules."
    )

    def is_installed(self) -> bool:
        """Whether there is a memcached that asks for passwords."""
        return programs.memcached() is not None

    def servers(self) -> Memcacheds:
        """All that run."""
        return embedded.servers().memcacheds

    def ensure(self, order: Order) -> Provided:
        """A server with a user and a password."""
        wish = Wish(
            user=UUID(order.id).hex,
            password=password(order, MEMCACHIER),
            memory_mb=order.limits.get("memory_mb", MEMORY_MB),
            clients=order.limits.get("connections", CLIENTS),
        )
        port = self.servers().ensure(order.id, wish)
        config = {
            "SERVERS": f"{self.servers().host(order.id)}:{port}",
            "USERNAME": wish.user,
            "PASSWORD": wish.password,
        }
        return Provided(config, message="The cache is ready.")

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Version, memory, entries, how often it knew the answer."""
        found = self.servers().stats(order.id)
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
