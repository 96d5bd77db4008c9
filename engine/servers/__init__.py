"""Servers that the platform runs itself, beside the dynos, on loopback: databases and caches, each as a user that may nothing
else, and one that takes mail, in the platform's own process.

`Servers` is all of them. One process keeps them running, the conductor's; others may ask where they are.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.servers.cluster import Cluster
from engine.servers.mailer import Mailer, Post
from engine.servers.memcached import Memcacheds
from engine.servers.valkey import Valkeys

POSTGRES_UID, VALKEY_UID, MEMCACHED_UID = 29998, 29997, 29996
PORTS = range(19000, 20000)

__all__ = ["PORTS", "Servers"]


class Servers:
    """Everything below `root`; `settings` are PostgreSQL's, for a cluster that is made, `post` and `mailer_port` the
    mailer's."""

    def __init__(
        self,
        root: Path,
        *,
        ports: range = PORTS,
        settings: Mapping[str, str] = MappingProxyType({}),
        post: Post | None = None,
        mailer_port: int = 0,
    ) -> None:
        self.postgres = Cluster(root, ports=ports, uid=POSTGRES_UID, settings=settings)
        self.valkeys = Valkeys(root, ports=ports, uid=VALKEY_UID)
        self.memcacheds = Memcacheds(root, ports=ports, uid=MEMCACHED_UID)
        self.mailer = Mailer(root, ports=ports, port=mailer_port, post=post)

    def start(self) -> None:
        """Have what was made before run again; returns at once."""
        self.postgres.start()
        self.valkeys.start()
        self.memcacheds.start()
        self.mailer.start()

    def stop(self) -> None:
        """End all, and wait for that. They can be started again."""
        self.mailer.stop()
        self.memcacheds.stop()
        self.valkeys.stop()
        self.postgres.stop()

    def why_not(self, kind: str) -> str:
        """Why no server of a kind can be had. "": who asks looks for the program itself."""
        return ""

    def processes(self) -> list[dict[str, Any]]:
        """What runs, for `manage.py ps`: name, pid, state, port."""
        keepers = [self.postgres.supervisor(), *self.valkeys.supervisors(), *self.memcacheds.supervisors()]
        return [keeper.seen() for keeper in keepers if keeper is not None] + self.mailer.seen()
