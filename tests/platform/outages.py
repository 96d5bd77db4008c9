"""A PostgreSQL and a Redis of a test's own, which it may stop and start again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tests.conftest import eventually
from tests.ports import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def missing_parts() -> str:
    """What has to be installed first; nothing when all is there."""
    if not PROGRAMS:
        return "PostgreSQL's programs (apt-get install postgresql)"
    return "" if shutil.which("redis-server") else "redis-server (apt-get install redis-server)"


class Cluster:
    """A PostgreSQL server in `folder`. It refuses to run as root, and is then the user `postgres`'s."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", folder / "data", "-U", "slipway", "-A", "trust", "-E", "UTF8", "-N")
        server = f"postgres://slipway@127.0.0.1:{self.port}"
        self.url = f"{server}/slipway"
        self.start()
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE slipway")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run(
            "pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", options, "start"
        )

    def crash(self, *, runs: bool = True) -> None:
        """End it as a power cut does: no session is told. It may have ended already unless it `runs`."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop", check=runs)

    def _run(self, program: str, *words: "str | Path", check: bool = True) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command: Sequence[str] = [*as_user, str(PROGRAMS[-1] / program), *map(str, words)]
        done = subprocess.run(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr + done.stdout


class Bus:
    """A Redis server on a socket in `folder`, which keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "redis.sock"
        self.url = f"unix://{self.place}"
        folder.mkdir()
        self.start()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.place), "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(
            ["redis-server", *options], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        eventually(self.place.exists)

    def crash(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.place.unlink(missing_ok=True)
