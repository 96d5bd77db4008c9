"""Content of a database into a file and back, by `pg_dump` and `pg_restore`: as processes of their own, which stream.

Passwords go by their environment, not their arguments. Nothing here waits: who started one asks whether it has ended.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from core.errors import EngineError
from engine.servers import programs
from engine.servers.databases import connection, place, tell

_ENTRY = re.compile(r"^\d+; \d+ \d+ (COMMENT - )?EXTENSION (?:- )?(\S+)", re.MULTILINE)
_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE DATA ", re.MULTILINE)


class Move:
    """One program at work between a database and a file."""

    def __init__(self, argv: Sequence[str], url: str, *, source: int, sink: int, watch: int) -> None:
        self._watch, self._writes = os.dup(watch), watch == sink
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._child = subprocess.Popen(
            [*argv, f"--dbname={without_password(url)}"],
            stdin=source,
            stdout=sink,
            stderr=self._words,
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PGPASSWORD": unquote(urlsplit(url).password or ""),
                "PGAPPNAME": "slipway",
                "PGCONNECT_TIMEOUT": "10",
            },
            start_new_session=True,
        )

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._child.poll() is not None

    @property
    def failed(self) -> str:
        """Why it failed, in its own words; "" when it did not. Valid once it is over."""
        if self._child.poll() == 0:
            return ""
        self._words.seek(0)
        lines = self._words.read()[-4000:].decode("utf-8", "replace").splitlines()
        telling = [line for line in lines if "error:" in line] or lines[-1:]
        return tell(Exception(telling[0] if telling else f"It ended with {self._child.returncode}."))

    @property
    def bytes(self) -> int:
        """How much of the file has been read or written."""
        if self._writes:
            return os.fstat(self._watch).st_size
        return os.lseek(self._watch, 0, os.SEEK_CUR)

    def close(self) -> None:
        """End it, if it has not ended, and free everything."""
        with contextlib.suppress(ProcessLookupError):
            if not self.over:
                os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._words.close()
        os.close(self._watch)


def dump(url: str, path: Path, *, quick: bool = False) -> Move:
    """Write the database at `url` into `path`, for nobody else's eyes. `quick`: packed less, for a file that is not kept."""
    tool = _programs(url).program("pg_dump")
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    with path.open("wb") as sink:
        argv = [tool, "--format=custom", "--no-password", *(["--compress=1"] if quick else [])]
        return Move(argv, url, source=subprocess.DEVNULL, sink=sink.fileno(), watch=sink.fileno())


def load(path: Path, url: str, *, chosen: Path) -> Move:
    """Read `path` into the empty database at `url`: of its contents what the file `chosen` lists."""
    tool = _programs(url).program("pg_restore")
    with path.open("rb") as source:
        argv = [
            tool, "--no-owner", "--no-acl", "--clean", "--if-exists", "--exit-on-error", "--no-password",
            f"--use-list={chosen}",
        ]  # fmt: skip
        return Move(argv, url, source=source.fileno(), sink=subprocess.DEVNULL, watch=source.fileno())


def choose(path: Path, chosen: Path, *, extensions: set[str]) -> list[str]:
    """List in `chosen` what to load of a dump: all but extensions that are not among these; returns the names of
    those. `EngineError` when `path` is no dump."""
    listing = contents(path)
    left_out = sorted(
        {found[2] for found in _ENTRY.finditer(listing) if found[2] not in extensions} - {"plpgsql"}
    )

    def keep(line: str) -> bool:
        entry = _ENTRY.match(line)
        return not entry or (not entry[1] and entry[2] in extensions)

    chosen.write_text("\n".join(line for line in listing.splitlines() if keep(line)) + "\n")
    return left_out


def tables(path: Path) -> int:
    """How many tables a dump has the content of; `EngineError` when `path` is no dump."""
    return len(_TABLE.findall(contents(path)))


def contents(path: Path) -> str:
    """What is in a dump, line by line."""
    newest = max(programs.postgres_versions(), key=lambda each: each.major, default=None)
    if newest is None:
        raise EngineError("No pg_restore is installed on this machine.", permanent=True)
    answer = subprocess.run(
        [newest.program("pg_restore"), "--list", str(path)],
        capture_output=True, text=True, errors="replace", timeout=120, check=False,
    )  # fmt: skip
    if answer.returncode:
        raise EngineError(f"This is no backup of PostgreSQL: {answer.stderr.strip()[:200]}", permanent=True)
    return answer.stdout


def without_password(url: str) -> str:
    """`url` as it may be seen."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{host}" if parts.username else host))


def other_database(url: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _programs(url: str) -> programs.Postgres:
    with connection(url) as there:
        major = there.info.server_version // 10000
    found = programs.postgres_clients(major)
    if found is None:
        raise EngineError(
            f"{place(url)} is PostgreSQL {major}, which needs a pg_dump of that version on this machine.",
            permanent=True,
        )
    return found
