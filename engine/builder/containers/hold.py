"""The first program of a container that holds the network and the processes of another: `python -IS hold.py`.

The other one runs an image of somebody else's, with none of our programs in it, so this one puts the fences up round both,
and watches the cache, which both have. On its input comes the length of the job, and the job as JSON; the input stays open:
when it ends, nobody waits any more, and when this program ends, so does every other. What it writes is lines: `ready`, then
perhaps why the build has to end.
"""

import contextlib
import json
import os
import select
import struct
import sys
from pathlib import Path

CODE = "/slipway/code"
LOOK_SECONDS = 1.0


def main() -> int:
    """Returns the exit status, which nobody asks for."""
    sys.path.insert(0, CODE)
    from core.errors import BuildFailed
    from engine.builder.child import DiskWatch
    from engine.builder.containers import fences

    job = json.loads(_read(struct.unpack(">I", _read(4))[0]))
    try:
        fences.put_up(job["open_to"])
    except OSError as fault:
        return _say(f"walls {fault}")
    _say("ready")
    disk = DiskWatch([Path(job["cache"])], job["disk_bytes"])
    while True:
        _bury()
        try:
            disk.check()
        except BuildFailed as fault:
            _say(f"bound {fault}")
        if select.select([0], [], [], LOOK_SECONDS)[0] and not os.read(0, 1):
            return 0


def _bury() -> None:
    """Bury what the build's processes have left behind, for which the first of all has to care."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _say(line: str) -> int:
    os.write(1, line.encode() + b"\n")
    return 0


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            os._exit(98)  # whoever sent it has died
        data += piece
    return data


if __name__ == "__main__":
    os._exit(main())
