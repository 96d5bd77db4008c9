"""Servers that speak Redis' protocol, one for each add-on: an app may flush, count and name keys as it likes."""

import contextlib
import hashlib
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import EngineError
from engine.servers import programs
from engine.servers.each import HOST, Each, write
from engine.servers.supervisor import Program

if TYPE_CHECKING:
    import redis

ADMIN = "slipway"
# An app has its server to itself, but neither the files of it nor its limits.
RIGHTS = "~* &* +@all -@admin +slowlog +latency +monitor +client -client|kill -debug -migrate -keys +keys"
POLICIES = {
    "noeviction": "return errors when memory limit has been reached",
    "allkeys-lru": "remove less recently used keys first",
    "volatile-lru": "remove less recently used keys first that have an expiry set",
    "allkeys-random": "evict random keys",
    "volatile-random": "evict random keys but only those that have an expiry set",
    "volatile-ttl": "evict keys with an expiry set and the shortest time to live first",
    "allkeys-lfu": "remove less frequently used keys first",
    "volatile-lfu": "remove less frequently used keys first that have an expiry set",
}
MB = 1024 * 1024


@dataclass(frozen=True)
class Wish:
    """How one server shall be."""

    password: str = field(repr=False)
    admin_password: str = field(repr=False)
    memory: int = 25 * MB
    clients: int = 20
    policy: str = "noeviction"
    timeout: int = 300  # seconds after which an idle client is hung up on; 0 never
    notify: str = ""  # keyspace events


class Valkeys(Each[Wish]):
    """All of them."""

    kind = "valkey"
    wishes = Wish

    def ensure(self, id: str, wish: Wish, seconds: float = 20) -> int:
        """Have `id`'s server up as wished, its data kept; returns its port."""
        _installed()
        self._open_root()
        port = self._port(id)
        changed = self._write(id, wish)
        self._supervisor(id).ensure(seconds)
        if changed:
            self._tell(id, wish)
        return port

    def connect(self, id: str) -> "redis.Redis":
        """A client with an administrator's rights; close it."""
        wish, port = self.wish(id), self._file(id, "port")
        if wish is None or not port.exists():
            raise EngineError("There is no such server.", permanent=True)
        import redis  # a third of a second, which only who has such servers is to wait

        return redis.Redis(
            self.host(id), int(port.read_text()), username=ADMIN, password=wish.admin_password,
            socket_timeout=5, socket_connect_timeout=2, decode_responses=True,
        )  # fmt: skip

    # --- inside -----------------------------------------------------------------------------------------------------

    def _program(self, id: str) -> Program:
        found = _installed()
        place = self._place(id, found.path.parent)
        place.make()
        place.give(self._conf(id))
        return Program(
            found.name,
            place,
            [str(found.path), str(self._conf(id))],
            lambda: self._answers(id),
            stop_signal=signal.SIGTERM,
            port=self._port(id),
        )

    def _write(self, id: str, wish: Wish) -> bool:
        """Note the wish, and what the server reads of it; returns whether that is new."""
        if self.wish(id) == wish and self._conf(id).exists():
            return False
        (self._root / id).mkdir(mode=0o700, exist_ok=True)
        conf = self._conf(id)
        write(conf, conf_of(wish, hosts=[HOST, "-::1"], port=self._port(id), folder=str(self._root / id)))
        self._place(id).give(conf)
        self._note(id, wish)
        return True

    def _tell(self, id: str, wish: Wish) -> None:
        """Change a running server to what its file says now."""
        with contextlib.closing(self.connect(id)) as client:
            client.config_set("maxmemory", wish.memory)
            client.config_set("maxmemory-policy", wish.policy)
            client.config_set("maxclients", wish.clients + 8)
            client.config_set("timeout", wish.timeout)
            client.config_set("notify-keyspace-events", wish.notify)
            client.execute_command(
                "ACL", "SETUSER", "default", "reset", "on", f"#{_digest(wish.password)}", *RIGHTS.split()
            )

    def _answers(self, id: str) -> bool:
        import redis

        try:
            with contextlib.closing(self.connect(id)) as client:
                return bool(client.ping())
        except (redis.RedisError, EngineError, OSError):
            return False

    def _conf(self, id: str) -> Path:
        return self._root / id / "server.conf"


def conf_of(wish: Wish, *, hosts: Iterable[str], port: int, folder: str) -> str:
    """What a server reads that shall be as wished, listen on `hosts` and keep its data in `folder`. No password is in it,
    but what passwords are checked with."""
    lines = [
        f"bind {' '.join(hosts)}", f"port {port}", "protected-mode yes", f"dir {folder}",
        "daemonize no", "loglevel warning", "logfile \"\"", "databases 16",
        "appendonly yes", "appendfsync everysec", "save \"\"",
        f"maxmemory {wish.memory}", f"maxmemory-policy {wish.policy}", f"maxclients {wish.clients + 8}",
        f"timeout {wish.timeout}", f"notify-keyspace-events \"{wish.notify}\"",
        f"user default on #{_digest(wish.password)} {RIGHTS}",
        f"user {ADMIN} on #{_digest(wish.admin_password)} ~* &* +@all",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _installed() -> programs.Valkey:
    found = programs.valkey()
    if found is None:
        raise EngineError("No Valkey and no Redis is installed on this machine.", permanent=True)
    return found


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
