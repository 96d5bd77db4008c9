"""Servers of add-ons on a Docker engine in Swarm mode: services, which go on when the platform ends.

It is `engine.servers` for dynos in containers, which do not reach what the platform runs on loopback; how they reach these
is told in `body`. What takes mail is in the platform's process here too, and listens where services do.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.servers import PORTS, Servers
from engine.servers.mailer import Mailer, Post
from engine.servers.swarm.body import MB
from engine.servers.swarm.keeper import Keeper
from engine.servers.swarm.kinds import ClusterService, MemcachedServices, ValkeyServices

__all__ = ["SwarmServers"]
MAILER_NEEDS = "Operators: run the conductor on a machine of the Docker engine's, in that machine's own network (docs/addons.md)."


class SwarmServers(Servers):
    """All of the installation `instance` on the engine at `url`. `root` is where they are noted, `images` say what each kind
    (`postgresql`, `valkey`, `memcached`) runs, `address` where apps find them; `settings` are PostgreSQL's, and
    so are the bytes of `memory`, of which it gets 256 MB at least."""

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
        memory: int = 1024 * MB,
        settings: Mapping[str, str] = MappingProxyType({}),
        post: Post | None = None,
        mailer_port: int = 0,
    ) -> None:
        super().__init__(root, ports=ports)
        self.keeper = Keeper(
            root / "swarm", url=url, instance=instance, images=images, ports=ports, address=address
        )
        self.postgres = ClusterService(self.keeper, dict(settings), memory)
        self.valkeys = ValkeyServices(self.keeper)
        self.memcacheds = MemcachedServices(self.keeper)
        self.mailer = Mailer(root, ports=ports, port=mailer_port, post=post, where=self.keeper.host)

    def start(self) -> None:
        """See to it, now and then, that those exist that shall, and that images can be had; returns at once."""
        self.keeper.start(self._see_to)
        self.mailer.start()

    def stop(self) -> None:
        """See to nothing any more, and take no mail. Services go on."""
        self.mailer.stop()
        self.keeper.stop()

    def why_not(self, kind: str) -> str:
        """Why no server of a kind can be had, as last seen; "" when it can. For any process."""
        return self.keeper.why_not(kind)

    def processes(self) -> list[dict[str, Any]]:
        """Which there are, for `manage.py ps`."""
        kinds = (self.postgres, self.valkeys, self.memcacheds)
        return [found for kind in kinds for found in kind.processes()] + self.mailer.seen()

    def _see_to(self) -> bool:
        for kind in (self.postgres, self.valkeys, self.memcacheds):
            kind.see_to()
        why = self.mailer.why_not()
        self.keeper.tell_why(
            "mailer", f"No mail can be taken: {why.rstrip('.')}. {MAILER_NEEDS}" if why else ""
        )
        return not why
