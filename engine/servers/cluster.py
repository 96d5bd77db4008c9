"""A PostgreSQL cluster of the platform's own: made at the first need, one for all small databases, on loopback."""

import secrets
import shutil
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg

from core.errors import EngineError
from engine.servers import programs
from engine.servers.place import Place
from engine.servers.ports import port_for
from engine.servers.supervisor import Program, Supervisor, outdated

ADMIN = "slipway"
CONNECTIONS = 300
SETTINGS = {
    "listen_addresses": "localhost",  # all that this means: else another could listen on the other address
    "unix_socket_directories": "",
    "max_connections": str(CONNECTIONS),
    "superuser_reserved_connections": "5",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "max_prepared_transactions": "0",
    "idle_in_transaction_session_timeout": "1h",
    "temp_file_limit": "2GB",
    "max_parallel_workers_per_gather": "0",
    "log_destination": "stderr",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",  # statements hold what passwords are checked with
    "log_statement": "none",
    "log_checkpoints": "off",
}
HBA = """# Passwords for all: who is on this machine is not trusted for that.
host replication all all reject
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


class Cluster:
    """The cluster in `root / "postgresql"`. One process makes and runs it; others may connect."""

    def __init__(self, root: Path, *, ports: range, uid: int, settings: Mapping[str, str]) -> None:
        self._root, self._ports, self._uid, self._more = root, ports, uid, settings
        self._supervisor: Supervisor | None = None
        self._lock, self._renewing = threading.Lock(), threading.Lock()

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._root / "postgresql"

    @property
    def exists(self) -> bool:
        """Whether it was made."""
        return (self.folder / "data" / "PG_VERSION").exists() and self._port_file.exists()

    @property
    def url(self) -> str:
        """The administrator's way in; `EngineError` while there is no cluster."""
        try:
            port, password = self._port_file.read_text(), self._password_file.read_text()
        except OSError as error:
            raise EngineError("The platform's PostgreSQL has not been started yet.") from error
        return f"postgres://{ADMIN}:{quote(password)}@localhost:{port}/postgres"

    def ensure(self, seconds: float = 30) -> str:
        """Have it made and up; returns `url`."""
        with self._lock:
            if self._supervisor is None:
                self._supervisor = Supervisor(self._program())
        self._supervisor.ensure(seconds)
        return self.url

    def fetched(self) -> bool:
        """Whether what is needed to make it is there; else it is on its way."""
        return True

    def start(self) -> None:
        """Have it run if it exists; returns at once."""
        if self.exists:
            with self._lock:
                if self._supervisor is None:
                    self._supervisor = Supervisor(self._program())
            self._supervisor.start()

    def stop(self) -> None:
        """End it, as it likes best: transactions that are open are rolled back."""
        with self._lock:
            supervisor, self._supervisor = self._supervisor, None
        if supervisor:
            supervisor.stop()

    def outdated(self) -> bool:
        """Whether it runs a program that has been replaced since."""
        return outdated(self.folder.with_suffix(".process"))

    def renew(self, seconds: float = 60) -> None:
        """Start it again if it is outdated, once for all who ask; `EngineError` when it does not come back."""
        with self._renewing:
            if self.outdated():
                self.stop()
                programs.look_again()
            self.ensure(seconds)

    def supervisor(self) -> Supervisor | None:
        """Who keeps it, in the process that does."""
        return self._supervisor

    # --- inside -----------------------------------------------------------------------------------------------------

    def _program(self) -> Program:
        """What to keep running; makes the cluster when there is none."""
        found = programs.postgres(self._major())
        if found is None:
            raise EngineError(
                f"The cluster in {self.folder} was made by PostgreSQL {self._major()}, which is not installed."
                if self._major()
                else "No PostgreSQL is installed on this machine.",
                permanent=True,
            )
        place = Place(self.folder, "slipway-postgresql", self._uid, found.needs)
        if not self.exists:
            self._make(place, found)
        port = int(self._port_file.read_text())
        argv = [found.program("postgres"), "-D", str(self.folder / "data"), "-p", str(port)]
        return Program(
            f"PostgreSQL {found.major}",
            place,
            argv,
            self._answers,
            stop_signal=signal.SIGINT,  # ends sessions and writes all down
            port=port,
        )

    def _make(self, place: Place, found: programs.Postgres) -> None:
        """initdb, in a folder that becomes the cluster's only once it is whole."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o711)
        place.make()
        port_for(self._port_file, self._ports, set())
        fresh, data, password = self.folder / "fresh", self.folder / "data", self.folder / "password"
        for leftover in (fresh, data):
            shutil.rmtree(leftover, ignore_errors=True)
        if not self._password_file.exists():
            _write_private(self._password_file, secrets.token_urlsafe(32))
        _write_private(password, self._password_file.read_text())
        place.give(password)
        try:
            place.run(
                [
                    found.program("initdb"), "-D", str(fresh), "-U", ADMIN, "-E", "UTF8", "--locale=C.UTF-8",
                    "--auth=scram-sha-256", f"--pwfile={password}", "--no-instructions",
                ],
                seconds=120,
            )  # fmt: skip
        finally:
            password.unlink(missing_ok=True)
        lines = [f"{name} = '{value}'\n" for name, value in self._settings(found).items()]
        with (fresh / "postgresql.conf").open("a") as file:
            file.writelines(["\n# Slipway's\n", *lines])
        (fresh / "pg_hba.conf").write_text(HBA)
        fresh.rename(data)

    def _settings(self, found: programs.Postgres) -> dict[str, str]:
        library = list(found.bin.parent.rglob("pg_stat_statements.so"))
        return (
            SETTINGS
            | dict(self._more)
            | ({"shared_preload_libraries": "pg_stat_statements"} if library else {})
        )

    def _answers(self) -> bool:
        """Whether it does; the first thing it is told is to let nobody into what belongs to no add-on."""
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
        except (psycopg.Error, EngineError):
            return False
        return True

    def _major(self) -> int | None:
        try:
            return int((self.folder / "data" / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    @property
    def _port_file(self) -> Path:
        return self._root / "postgresql.port"

    @property
    def _password_file(self) -> Path:
        return self._root / "postgresql.admin"


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
