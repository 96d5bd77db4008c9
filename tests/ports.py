"""Ports for servers that tests start."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Not those that the system hands out to clients by itself, that databases of add-ons get (19000 and up), or dynos.
PORTS = range(10_000, 19_000)
_given: set[int] = set()
_locks: list[int] = []


def free_port() -> int:
    """A port that nobody listens on, and that no other test is given as long as this process lives: so it is still free
    when the server that is to have it starts, and starts again."""
    while True:
        port = random.choice(PORTS)
        if port in _given or not _is_ours(port):
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _is_ours(port: int) -> bool:
    """Hold it against other processes: by the lock of one byte in a file that all share."""
    if not _locks:
        path = Path(tempfile.gettempdir()) / f"slipway-test-ports-{os.geteuid()}"
        _locks.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True
