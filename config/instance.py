"""Which instance runs on a data folder: one at a time, told by a lock that it holds. Loads nothing, since the settings ask."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

TRIES = 5  # of who starts, while somebody only looks whether the lock is held
LOOK_SECONDS = 0.02


class Running(Exception):
    """Another instance has the folder; says which process."""


@contextlib.contextmanager
def only_one(data: Path, port: int) -> Iterator[None]:
    """Hold the data folder for this process, which serves on `port`; `Running` when another instance has it."""
    (data / "run").mkdir(parents=True, exist_ok=True)
    with (data / "run" / "lock").open("a+") as lock:
        for left in reversed(range(TRIES)):
            if _lock(lock, fcntl.LOCK_EX):
                break
            if not left:
                lock.seek(0)
                raise Running(lock.readline().strip() or "unknown")
            time.sleep(LOOK_SECONDS)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n{port}\n")
        lock.flush()
        yield


def port_of(data: Path) -> int | None:
    """The port of the instance that runs on `data`; None without one."""
    try:
        with (data / "run" / "lock").open() as lock:
            if _lock(lock, fcntl.LOCK_SH):
                return None
            return int(lock.read().splitlines()[1])
    except (OSError, ValueError, IndexError):
        return None


def _lock(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
