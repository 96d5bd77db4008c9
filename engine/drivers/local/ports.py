"""Ports for web dynos, and who really listens on one (promise I-26)."""

import random
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import EngineError

QUARANTINE_SECONDS = 60.0
LISTEN = "0A"
# Where a connection to 127.0.0.1 may end: 127.0.0.1, 0.0.0.0, ::, ::ffff:127.0.0.1
LOOPBACK = {"0100007F", "00000000", "0" * 32, "0000000000000000FFFF00000100007F"}


class Ports:
    """Hands out ports of a range; one given back rests for a minute. Of use in one thread only."""

    def __init__(self, numbers: range, clock: Callable[[], float] = time.monotonic) -> None:
        shuffled = random.sample(numbers, len(numbers))  # two platforms side by side then rarely try the same
        self._free = deque(shuffled)
        self._resting: deque[tuple[float, int]] = deque()
        self._clock = clock

    def take(self) -> int:
        """A port that nobody listens on; `EngineError` when there is none."""
        while self._resting and self._resting[0][0] <= self._clock():
            self._free.append(self._resting.popleft()[1])
        for _ in range(len(self._free)):
            port = self._free.popleft()
            if is_free(port):
                return port
            self._free.append(port)
        raise EngineError("There is no free port for another web dyno.")

    def give_back(self, port: int) -> None:
        """`port` is free again, after its quarantine."""
        self._resting.append((self._clock() + QUARANTINE_SECONDS, port))


def is_free(port: int) -> bool:
    """Whether nobody listens on `port`, whatever the address."""
    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):  # noqa: S104 - never listened on
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError:
            if family == socket.AF_INET or has_ipv6():
                return False
    return True


def has_ipv6() -> bool:
    """Whether this machine can bind IPv6 addresses at all."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


@dataclass(frozen=True)
class Listener:
    """A socket that connections to a port of 127.0.0.1 may end at."""

    uid: int
    inode: int


def listeners(port: int) -> list[Listener]:
    """Who listens on `port` of 127.0.0.1, as the kernel says."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == LISTEN and int(number, 16) == port and address in LOOPBACK:
                found.append(Listener(uid=int(fields[7]), inode=int(fields[9])))
    return found
