"""Ports of servers: chosen once, since apps are told them, and kept in a file."""

import random
from pathlib import Path

from core.errors import EngineError
from engine.drivers.local.ports import is_free


def port_for(record: Path, numbers: range, taken: set[int]) -> int:
    """The port noted in `record`; the first time one that nobody has, neither now nor by another record."""
    if record.exists():
        return int(record.read_text())
    for port in random.sample(numbers, len(numbers)):
        if port not in taken and is_free(port):
            record.write_text(str(port))
            return port
    raise EngineError(
        f"No port from {numbers[0]} to {numbers[-1]} is free for a server: widen SLIPWAY_SERVER_PORTS."
    )
