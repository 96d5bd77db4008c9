"""The machine: versions, disk, and clock."""

import ctypes
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.db import connection

from conductor.doctor.finding import Check, Finding, ok, problem, warning
from core.version import slipway

OLDEST_GIT = (2, 31)  # whose configuration comes by environment
LOW, EMPTY = 0.10, 0.02  # of the disk that is free
SLOW_FSYNC = 0.05  # seconds, the median
TRIES = 20
TIME_ERROR = 5  # what adjtimex answers while nothing keeps the clock
DRIFT, TOO_MUCH_DRIFT = 2.0, 20.0  # seconds; leases are 30


def versions() -> Iterator[Finding]:
    """Slipway, Python, Django and git."""
    texts = [f"Slipway {slipway()}", f"Python {platform.python_version()}", f"Django {version('django')}"]
    if connection.vendor == "sqlite":
        texts.append(f"SQLite {sqlite3.sqlite_version}")
    yield ok("Versions", ", ".join(texts))


def git() -> Iterator[Finding]:
    """Without git nobody pushes."""
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        yield problem("git", f"does not run: {error}", "Install it: apt-get install git")
        return
    text = done.stdout.removeprefix("git version ").strip()
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_GIT:
        yield problem("git", text, "Install git 2.31 or newer.")
    else:
        yield ok("git", text)


def disk() -> Iterator[Finding]:
    """Room in the data folder."""
    found = shutil.disk_usage(settings.DATA)
    share = found.free / found.total
    text = f"{found.free / 1e9:,.1f} GB of {found.total / 1e9:,.1f} GB free in {settings.DATA}"
    advice = (
        "Free space, give the data folder a larger disk, or lower SLIPWAY_KEEP_SLUGS and SLIPWAY_KEEP_DAYS."
    )
    if share < EMPTY:
        yield problem("Disk", text, advice)
    elif share < LOW:
        yield warning("Disk", text, advice)
    else:
        yield ok("Disk", text)
    if (left := _files_left()) < LOW:
        few = problem if left < EMPTY else warning
        yield few("Files", f"{left:.0%} of the files that the disk can have are left", advice)


def _files_left() -> float:
    """The share of inodes that is free: without one the disk is full, however much room it has. 1 where there is no limit."""
    found = os.statvfs(settings.DATA)
    return found.f_favail / found.f_files if found.f_files else 1.0


def fsync() -> Iterator[Finding]:
    """Whether what is acknowledged reaches the disk, and how long that takes."""
    took = []
    try:
        with tempfile.NamedTemporaryFile(dir=settings.DATA) as file:
            for _ in range(TRIES):
                file.write(os.urandom(4096))
                file.flush()
                started = time.monotonic()
                os.fsync(file.fileno())
                took.append(time.monotonic() - started)
    except OSError as error:
        yield problem("fsync", f"fails: {error}", f"Check the file system of {settings.DATA}.")
        return
    median = statistics.median(took)
    text = f"{median * 1000:.1f} ms, the longest of {TRIES} {max(took) * 1000:.1f} ms"
    if median > SLOW_FSYNC:
        yield warning(
            "fsync", text, "Each push and release waits for several: use a faster disk, or one with a cache."
        )
    else:
        yield ok("fsync", text)


def clock() -> Iterator[Finding]:
    """Leases and tokens go by it."""
    drift = _drift()
    if drift is not None and abs(drift) > DRIFT:
        text = f"{abs(drift):.1f} s {'behind' if drift > 0 else 'ahead of'} the database's"
        advice = "Run a time service (systemd-timesyncd, chrony) on both machines: leases go by the clock."
        yield (problem if abs(drift) > TOO_MUCH_DRIFT else warning)("Clock", text, advice)
    elif _unkept():
        yield warning(
            "Clock",
            "nothing keeps it, as the kernel says",
            "Run a time service: systemd-timesyncd or chrony.",
        )
    else:
        text = "kept in time" if drift is None else f"{abs(drift):.2f} s from the database's"
        yield ok("Clock", text)


def _drift() -> float | None:
    """Seconds that the database server's clock is ahead of ours; None where there is no other clock."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        theirs = float(cursor.fetchone()[0])
        return theirs - (before + time.time()) / 2


def _unkept() -> bool:
    """Whether Linux knows of nothing that keeps its clock. False where that can't be asked."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))) == TIME_ERROR
    except (OSError, AttributeError):
        return False


def isolation() -> Iterator[Finding]:
    """What keeps dynos apart, where they are processes of this machine."""
    from conductor import status

    if settings.ENGINE_URL != "local:" or (now := status.read()) is None:
        return
    level = now["node"]["level"]
    if level == "own user, own view":
        yield ok("Isolation", level)
    else:
        advice = (
            "Run only code that you trust, start Slipway as root on Linux, or use Docker (docs/operating.md)."
        )
        yield warning("Isolation", level or "unknown", advice)


def data_folder() -> Iterator[Finding]:
    """Nobody else may read the keys."""
    keys = Path(settings.DATA) / "keys.env"
    if keys.exists() and keys.stat().st_mode & 0o077:
        yield problem("Keys file", f"{keys} can be read by others", f"chmod 600 {keys}")


CHECKS: tuple[Check, ...] = (versions, git, disk, fsync, clock, isolation, data_folder)
