"""memcached, a server for each add-on, which asks for user and password (SASL, so it speaks the binary protocol alone).

The server looks its user up in a file of Cyrus SASL, which `saslpasswd2` writes; it reads that anew at each sign-in.
"""

import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import EngineError
from engine.servers import memcache, programs
from engine.servers.each import HOST, Each, write
from engine.servers.supervisor import Program

MISSING = "memcached with SASL, or saslpasswd2, is not installed on this machine."
SPARE = 8  # connections beside the app's: the platform looks in
LEAST = 32  # connections, with fewer than which it does not start: it may have no more files than that


@dataclass(frozen=True)
class Wish:
    """How one server shall be."""

    user: str
    password: str = field(repr=False)
    memory_mb: int = 25
    clients: int = 100


class Memcacheds(Each[Wish]):
    """All of them. What they hold is in memory alone: who ends one empties it."""

    kind = "memcached"
    wishes = Wish

    def ensure(self, id: str, wish: Wish, seconds: float = 20) -> int:
        """Have `id`'s server up as wished; returns its port. Other limits start it again, and so empty it; another
        password does not."""
        found = _installed()
        self._open_root()
        former = self.wish(id)
        if former != wish:
            self._place(id).make()
            self._let_in(id, wish, found)
            self._note(id, wish)
            if former and (former.memory_mb, former.clients) != (wish.memory_mb, wish.clients):
                self._end(id)
        self._supervisor(id).ensure(seconds)
        return self._port(id)

    def stats(self, id: str) -> dict[str, str]:
        """What `id`'s server counts; `EngineError` when it does not answer."""
        wish, port = self.wish(id), self._file(id, "port")
        if wish is None or not port.exists():
            raise EngineError("There is no such server.", permanent=True)
        with memcache.connect(self.host(id), int(port.read_text()), wish.user, wish.password) as client:
            return client.stats()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _program(self, id: str) -> Program:
        found, wish = _installed(), self.wish(id)
        if wish is None:
            raise EngineError("There is no such server.", permanent=True)
        place = self._place(id, found.path.parent)
        place.make()
        self._let_in(id, wish, found)  # again: the machine may be called differently by now
        port = self._port(id)
        argv = [str(found.path), "--enable-sasl", *arguments(wish, hosts=[HOST], port=port)]
        env = {"SASL_CONF_PATH": str(place.folder)}
        return Program(found.name, place, argv, lambda: self._answers(id), port=port, env=env)

    def _let_in(self, id: str, wish: Wish, found: programs.Memcached) -> None:
        """Have the server know its one user, by what it asks of SASL and what that finds."""
        users = self._root / id / "users"
        write(self._root / id / "memcached.conf", _settings(users))
        fresh = self._file(id, "users")
        fresh.unlink(missing_ok=True)
        _note_password(found, fresh, wish)
        fresh.replace(users)
        for path in (users, users.with_name("memcached.conf")):
            self._place(id).give(path)

    def _answers(self, id: str) -> bool:
        try:
            return bool(self.stats(id))
        except EngineError:
            return False


def arguments(wish: Wish, *, hosts: Iterable[str], port: int) -> list[str]:
    """What a server is told that shall be as wished and listen on `hosts`."""
    return [
        f"--listen={','.join(hosts)}", f"--port={port}", "--udp-port=0", f"--memory-limit={wish.memory_mb}",
        f"--conn-limit={max(wish.clients + SPARE, LEAST)}", "--threads=2",
    ]  # fmt: skip


def _installed() -> programs.Memcached:
    found = programs.memcached()
    if found is None:
        raise EngineError(MISSING, permanent=True)
    return found


def _settings(users: Path) -> str:
    lines = ["mech_list: plain", "pwcheck_method: auxprop", "auxprop_plugin: sasldb", f"sasldb_path: {users}"]
    return "\n".join(lines) + "\n"


def _note_password(found: programs.Memcached, path: Path, wish: Wish) -> None:
    """Make the file of SASL's at `path`. Users are of the machine's name, as the server will look for them."""
    realm = socket.gethostname().lower()
    made = subprocess.run(
        [str(found.saslpasswd), "-p", "-c", "-f", str(path), "-u", realm, wish.user],
        input=wish.password, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    if made.returncode:
        raise EngineError(f"saslpasswd2 failed: {made.stderr.strip()[-200:]}")
    path.chmod(0o600)
