"""Servers that speak Redis' protocol, one for each add-on: an app may flush, count and name keys as it likes."""

import contextlib
import hashlib
import json
import shutil
import signal
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import EngineError
from engine.servers import programs
from engine.servers.place import Place
from engine.servers.ports import port_for
from engine.servers.supervisor import Program, Supervisor

if TYPE_CHECKING:
    import redis

ADMIN = "slipway"
# An app has its server to itself, but neither the files of it nor its limits.
RIGHTS = "~* &* +@all -@admin +slowlog +latency +monitor +client -client|kill -debug -keys +keys"
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


class Valkeys:
    """All of them, each in a folder of `root / "valkey"` with the name of its add-on's id."""

    def __init__(self, root: Path, *, ports: range, uid: int) -> None:
        self._root, self._ports, self._uid = root / "valkey", ports, uid
        self._supervisors: dict[str, Supervisor] = {}
        self._lock = threading.Lock()

    def ids(self) -> set[str]:
        """Whose there are."""
        return {path.stem for path in self._root.glob("*.wish")}

    def ensure(self, id: str, wish: Wish, seconds: float = 20) -> int:
        """Have `id`'s server up as wished, its data kept; returns its port."""
        found = programs.valkey()
        if found is None:
            raise EngineError("No Valkey and no Redis is installed on this machine.", permanent=True)
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in (self._root.parent, self._root):
            folder.chmod(0o711)
        port = self._port(id)
        changed = self._write(id, wish)
        supervisor = self._supervisor(id)
        supervisor.ensure(seconds)
        if changed:
            self._tell(id, wish)
        return port

    def wish(self, id: str) -> Wish | None:
        """How `id`'s server is; None when there is none."""
        try:
            return Wish(**json.loads(self._file(id, "wish").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def remove(self, id: str) -> None:
        """End `id`'s server and forget its data. No error when it is gone."""
        self._file(id, "wish").unlink(missing_ok=True)
        with self._lock:
            supervisor = self._supervisors.pop(id, None)
        if supervisor:
            supervisor.stop()
        shutil.rmtree(self._root / id, ignore_errors=True)
        for ending in ("port", "log", "process", "conf"):
            self._file(id, ending).unlink(missing_ok=True)

    def connect(self, id: str) -> "redis.Redis":
        """A client with an administrator's rights; close it."""
        wish, port = self.wish(id), self._file(id, "port")
        if wish is None or not port.exists():
            raise EngineError("There is no such server.", permanent=True)
        import redis  # a third of a second, which only who has such servers is to wait

        return redis.Redis(
            "127.0.0.1", int(port.read_text()), username=ADMIN, password=wish.admin_password,
            socket_timeout=5, socket_connect_timeout=2, decode_responses=True,
        )  # fmt: skip

    def start(self) -> None:
        """Have those that exist run; returns at once. What was being removed is removed."""
        for folder in self._root.glob("*/"):
            if folder.name not in self.ids():
                self.remove(folder.name)
        for id in self.ids():
            self._supervisor(id).start()

    def stop(self) -> None:
        """End all."""
        with self._lock:
            supervisors, self._supervisors = list(self._supervisors.values()), {}
        _all_at_once(supervisors)

    def supervisors(self) -> list[Supervisor]:
        """Who keeps them."""
        with self._lock:
            return list(self._supervisors.values())

    # --- inside -----------------------------------------------------------------------------------------------------

    def _supervisor(self, id: str) -> Supervisor:
        with self._lock:
            if id not in self._supervisors:
                self._supervisors[id] = Supervisor(self._program(id))
            return self._supervisors[id]

    def _program(self, id: str) -> Program:
        found = programs.valkey()
        if found is None:
            raise EngineError("No Valkey and no Redis is installed on this machine.", permanent=True)
        place = Place(self._root / id, "slipway-valkey", self._uid, (found.path.parent,))
        place.make()
        place.give(self._conf(id))
        argv = [str(found.path), str(self._conf(id))]
        return Program(
            found.name,
            place,
            argv,
            lambda: self._answers(id),
            stop_signal=signal.SIGTERM,
            port=self._port(id),
        )

    def _port(self, id: str) -> int:
        taken = {int(path.read_text()) for path in self._root.glob("*.port")}
        return port_for(self._file(id, "port"), self._ports, taken)

    def _write(self, id: str, wish: Wish) -> bool:
        """Note the wish, and what the server reads of it; returns whether that is new."""
        if self.wish(id) == wish and self._conf(id).exists():
            return False
        (self._root / id).mkdir(mode=0o700, exist_ok=True)
        conf = self._conf(id)
        _replace(conf, self._settings(id, wish))
        Place(self._root / id, "slipway-valkey", self._uid).give(conf)
        _replace(self._file(id, "wish"), json.dumps(asdict(wish)))
        return True

    def _settings(self, id: str, wish: Wish) -> str:
        lines = [
            "bind 127.0.0.1 -::1", f"port {self._port(id)}", "protected-mode yes", f"dir {self._root / id}",
            "daemonize no", "loglevel warning", "logfile \"\"", "databases 16",
            "appendonly yes", "appendfsync everysec", "save \"\"",
            f"maxmemory {wish.memory}", f"maxmemory-policy {wish.policy}", f"maxclients {wish.clients + 8}",
            f"timeout {wish.timeout}", f"notify-keyspace-events \"{wish.notify}\"",
            f"user default on #{_digest(wish.password)} {RIGHTS}",
            f"user {ADMIN} on #{_digest(wish.admin_password)} ~* &* +@all",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

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

    def _file(self, id: str, ending: str) -> Path:
        return self._root / f"{id}.{ending}"


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def _all_at_once(supervisors: Iterable[Supervisor]) -> None:
    threads = [threading.Thread(target=each.stop, daemon=True) for each in supervisors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
