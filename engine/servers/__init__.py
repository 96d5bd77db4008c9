"""Database servers that the platform runs itself, beside the dynos: on loopback, each as a user that may nothing else.

`Servers` is all of them. One process keeps them running, the conductor's; others may ask where they are.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.servers.cluster import Cluster
from engine.servers.valkey import Valkeys

POSTGRES_UID, VALKEY_UID = 29998, 29997
PORTS = range(19000, 20000)

__all__ = ["PORTS", "Servers"]


class Servers:
    """Everything below `root`; `settings` are PostgreSQL's, for a cluster that is made."""

    def __init__(
        self, root: Path, *, ports: range = PORTS, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.postgres = Cluster(root, ports=ports, uid=POSTGRES_UID, settings=settings)
        self.valkeys = Valkeys(root, ports=ports, uid=VALKEY_UID)

    def start(self) -> None:
        """Have what was made before run again; returns at once."""
        self.postgres.start()
        self.valkeys.start()

    def stop(self) -> None:
        """End all, and wait for that. They can be started again."""
        self.valkeys.stop()
        self.postgres.stop()

    def processes(self) -> list[dict[str, Any]]:
        """What runs, for `manage.py ps`: name, pid, state, port."""
        keepers = [self.postgres.supervisor(), *self.valkeys.supervisors()]
        return [keeper.seen() for keeper in keepers if keeper is not None]
