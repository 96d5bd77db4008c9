"""The kinds of servers that run as services: what each is told, and how it is reached."""

import secrets
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.errors import EngineError
from engine.servers import memcached, valkey
from engine.servers.cluster import ADMIN, SETTINGS, Cluster
from engine.servers.each import log, write
from engine.servers.swarm.body import MB, SECRETS, VOLUME, Server
from engine.servers.swarm.certificate import certificate
from engine.servers.swarm.each import Services, seen
from engine.servers.swarm.keeper import Keeper, Note

CLUSTER = "cluster"  # the one PostgreSQL of all databases
POSTGRES_STOP_SECONDS = 60  # in which it writes all down
LEAST_MEMORY = 256 * MB  # with which a cluster can start and answer
MOST_BUFFERS = 1024 * MB


class ValkeyServices(Services[valkey.Wish], valkey.Valkeys):
    """Valkey or Redis."""

    def _server(self, id: str, wish: valkey.Wish, note: Note) -> Server:
        conf = valkey.conf_of(wish, hosts=note.hosts, port=note.port, folder=f"{VOLUME}/valkey")
        # While it writes its file anew it may need each page twice.
        memory = 2 * wish.memory + 64 * MB
        return Server(self.kind, id, "", "valkey.sh", secrets={"server.conf": conf}, memory=memory, cpus=1)

    def _answers(self, id: str) -> bool:
        return valkey.Valkeys._answers(self, id)


class MemcachedServices(Services[memcached.Wish], memcached.Memcacheds):
    """memcached. There is no volume: what it holds is in memory alone."""

    def _server(self, id: str, wish: memcached.Wish, note: Note) -> Server:
        arguments = [wish.user, *memcached.arguments(wish, hosts=note.hosts, port=note.port)]
        return Server(
            self.kind, id, "", "memcached.sh", arguments, secrets={"password": wish.password}, volume=False,
            memory=(wish.memory_mb + 64) * MB, cpus=1,
        )  # fmt: skip

    def _answers(self, id: str) -> bool:
        return memcached.Memcacheds._answers(self, id)


class ClusterService(Cluster):
    """PostgreSQL: one service with one volume, on which all databases are."""

    kind = "postgresql"

    def __init__(self, keeper: Keeper, settings: dict[str, str], memory: int) -> None:
        super().__init__(keeper.root, ports=keeper.ports, uid=0, settings=settings)
        self._keeper, self._memory = keeper, max(memory, LEAST_MEMORY)
        self._making, self._looked = threading.Lock(), False

    @property
    def exists(self) -> bool:
        """Whether it was made. Until it has been up once there can be no database on it."""
        return self._made.exists()

    @property
    def url(self) -> str:
        """The administrator's way in; `EngineError` while there is no cluster."""
        note = self._keeper.note(self.kind, CLUSTER)
        try:
            password = self._password_file.read_text()
        except OSError:
            note, password = None, ""
        if note is None:
            raise EngineError("The platform's PostgreSQL has not been started yet.")
        return f"postgres://{ADMIN}:{quote(password)}@{note.host}:{note.port}/postgres"

    def fetched(self) -> bool:
        """Whether the image is there; else it is on its way."""
        return self._keeper.fetched(self.kind)

    def ensure(self, seconds: float = 90) -> str:
        """Have it made and up; returns `url`."""
        return self._have(seconds)

    def start(self) -> None:
        """It runs by itself."""

    def stop(self) -> None:
        """It goes on."""

    def outdated(self) -> bool:
        """Whether the image's name means another one by now."""
        return self._keeper.outdated(self.kind, CLUSTER)

    def renew(self, seconds: float = 90) -> None:
        """Start it again with what the image's name means by now, once for all who ask."""
        with self._renewing:
            self._have(seconds, newest=self.outdated())

    def see_to(self) -> None:
        """Have it there if it was made, and with the settings of today from this process's first look on."""
        if self.exists and not (self._looked and self._keeper.runs(self.kind, CLUSTER)):
            try:
                self._have(90)
                self._looked = True
            except EngineError as error:
                log.warning("The service of PostgreSQL is not started: %s", error)

    def supervisor(self) -> None:
        """Nobody of this process."""
        return

    def processes(self) -> list[dict[str, Any]]:
        """For `manage.py ps`."""
        return [
            seen(self._keeper, self.kind, path) for path in (self._keeper.root / self.kind).glob("*.note")
        ]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _have(self, seconds: float, *, newest: bool = False) -> str:
        with self._making:
            if not self._password_file.exists():
                self._keeper.root.mkdir(parents=True, exist_ok=True)
                write(self._password_file, secrets.token_urlsafe(32))
            self._keeper.ensure(self.kind, CLUSTER, self._server, self._answers, seconds, newest=newest)
            self._made.touch()
        return self.url

    def _server(self, note: Note) -> Server:
        settings = SETTINGS | {"listen_addresses": ",".join(note.hosts), "port": str(note.port)}
        settings |= {
            "shared_buffers": f"{min(self._memory // 4, MOST_BUFFERS) // MB}MB",  # as its documentation advises
            "effective_cache_size": f"{self._memory // 2 // MB}MB",
        }
        settings |= {
            "ssl": "on", "ssl_key_file": f"{SECRETS}/server.key", "ssl_cert_file": f"{SECRETS}/server.crt"
        }  # fmt: skip
        settings |= dict(self._more)
        key, chain = certificate(self._keeper.root / "postgresql.tls")
        kept = {"admin": self._password_file.read_text(), "server.key": key, "server.crt": chain}
        return Server(
            self.kind, CLUSTER, "", "postgresql.sh", [f"{name}={value}" for name, value in settings.items()],
            secrets=kept, memory=self._memory, pids=1000, stop_signal="SIGINT",
            stop_seconds=POSTGRES_STOP_SECONDS,
        )  # fmt: skip

    @property
    def _made(self) -> Path:
        return self._keeper.root / "postgresql.made"

    @property
    def _password_file(self) -> Path:
        return self._keeper.root / "postgresql.admin"
