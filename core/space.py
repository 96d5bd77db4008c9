"""A full disk: how it is told from our own bugs, and what people are told of it.

While it lasts nothing can be saved, what runs goes on, and everything comes right by itself once there is room: so it is
no mistake of ours, and nothing that needs a traceback each time.
"""

import errno
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Refusal

log = logging.getLogger(__name__)

FULL = frozenset([errno.ENOSPC, errno.EDQUOT])
# SQLITE_FULL, and SQLITE_IOERR_SHMSIZE: the write-ahead log's index can't grow
SQLITE_FULL = frozenset([13, 4874])
POSTGRESQL_FULL = "53100"
STATUS = 507
WORDS = (
    "The disk of this Slipway is full, so nothing can be saved. What runs keeps running. "
    "Try again once whoever operates it has made room."
)
LEAST_BYTES = 16 * 1024**2  # without which no push is begun
QUIET_SECONDS = 60.0


def is_full(error: BaseException) -> bool:
    """Whether `error`, or what led to it, is that a disk is full: ours, or that of the database's server."""
    return any(
        (isinstance(each, OSError) and each.errno in FULL)
        or getattr(each, "sqlite_errorcode", None) in SQLITE_FULL
        or getattr(each, "sqlstate", None) == POSTGRESQL_FULL
        for each in chain(error)
    )


def refusal(error: BaseException) -> Refusal | None:
    """What is answered when `error` has ended a request; None unless it is a full disk."""
    return Refusal(WORDS, id="disk_full", status=STATUS) if is_full(error) else None


def demand(folder: Path, *, least: int = LEAST_BYTES) -> None:
    """`Refusal` when less than `least` bytes are free where `folder` is: for what would come to grief half-way."""
    free = shutil.disk_usage(folder).free
    if free < least:
        raise Refusal(WORDS, id="disk_full", status=STATUS)


def note(what: str, error: BaseException) -> bool:
    """Whether `error` is that a disk is full, in which case the log is told that `what` waits: a line a minute."""
    if not is_full(error):
        return False
    if _quiet.over():
        log.error("The disk is full: the %s waits for room, and so may others (%s)", what, error)
    return True


@contextmanager
def forgone(what: str) -> Iterator[None]:
    """Around what may stay undone while the disk is full, so that reading goes on."""
    try:
        yield
    except Exception as error:
        if not note(what, error):
            raise


class Quiet:
    """Says once a minute that it is time to speak."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def over(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                return False
            self._until = now + QUIET_SECONDS
            return True


_quiet = Quiet()


def chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and all that led to it."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
