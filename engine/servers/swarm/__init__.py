"""Servers of add-ons on a Docker engine in Swarm mode: services, which go on when the platform ends.

It is `engine.servers` for dynos in containers, which do not reach what the platform runs on loopback; how they reach these
is told in `body`.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.servers import PORTS, Servers
from engine.servers.mailer import Post
from engine.servers.swarm.keeper import Keeper
from engine.servers.swarm.kinds import ClusterService, MemcachedServices, ValkeyServices

__all__ = ["SwarmServers"]


class SwarmServers(Servers):
    """All of the installation `instance` on the engine at `url`. `root` is where they are noted, `images` say what each kind
    (`postgresql`, `valkey`, `memcached`) runs, `address` where apps find them; `settings` are PostgreSQL's."""

    postgres: ClusterService
    valkeys: ValkeyServices
    memcacheds: MemcachedServices

    def __init__(
        self,
        root: Path,
        *,
        url: str,
        instance: str,
        images: Mapping[str, str],
        ports: range = PORTS,
        address: str = "",
        settings: Mapping[str, str] = MappingProxyType({}),
        post: Post | None = None,
        mailer_port: int = 0,
    ) -> None:
        super().__init__(root, ports=ports, post=post, mailer_port=mailer_port)
        self.keeper = Keeper(
            root / "swarm", url=url, instance=instance, images=images, ports=ports, address=address
        )
        self.postgres = ClusterService(self.keeper, dict(settings))
        self.valkeys = ValkeyServices(self.keeper)
        self.memcacheds = MemcachedServices(self.keeper)

    def start(self) -> None:
        """See to it, now and then, that those exist that shall, and that images can be had; returns at once."""
        self.keeper.start(self._see_to)

    def stop(self) -> None:
        """See to nothing any more. They go on."""
        self.keeper.stop()

    def why_not(self, kind: str) -> str:
        """Why no server of a kind can be had, as last seen; "" when it can. For any process."""
        return self.keeper.why_not(kind)

    def processes(self) -> list[dict[str, Any]]:
        """Which there are, for `manage.py ps`."""
        return [*self.postgres.processes(), *self.valkeys.processes(), *self.memcacheds.processes()]

    def _see_to(self) -> None:
        for kind in (self.postgres, self.valkeys, self.memcacheds):
            kind.see_to()
