"""Started as a program of its own for each build: `python -IS launch.py FOLDER…` with the folders to import from, and
the job as JSON on its input, for which it waits.

It shuts itself in, then runs the worker. What it may not have (the platform's environment, memory, files) it never
gets: it is a fresh program, and the job is all it is told.
"""

import errno
import json
import os
import select
import sys
from collections.abc import Mapping
from typing import Any

# What goes wrong through no fault of the app's: no space, quota, broken or read-only disk.
WORLD = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENFILE])
IDLE_SECONDS = 1800.0  # without a job


def main() -> int:
    """Returns the exit status: 0 when a result was reported or there was nothing to do, 97 when the walls could not be
    put up."""
    sys.path[:0] = sys.argv[1:]
    from engine.builder import sandbox, worker

    asked = select.select([0], [], [], IDLE_SECONDS)[0] and sys.stdin.buffer.read()
    if not asked:
        return 0
    job = json.loads(asked)
    worker.load(job)  # later the platform's own files may be out of reach
    report, source = job["report_fd"], os.open(job["source"], os.O_RDONLY)
    try:
        job["doors"] = sandbox.enter(job)
    except OSError as fault:
        _write(report, {"walls": f"{fault}"})
        return 97
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    return work(job, source, report)


def work(job: dict[str, Any], source: int, report: int) -> int:
    """Build, within walls that stand; tells the result to the descriptor `report`. Returns the exit status."""
    from core.errors import BuildFailed
    from engine.builder import worker

    os.umask(0o022)
    try:
        with open(source, "rb") as archive:
            worker.run(job, archive, lambda message: _write(report, message))
    except BuildFailed as fault:
        _write(report, {"failed": str(fault)})
    except OSError as fault:
        kind = "world" if fault.errno in WORLD else "failed"
        _write(report, {kind: f"The build could not go on: {_said(fault)}"})
    except MemoryError:
        _write(report, {"failed": "The build ran out of memory."})
    return 0


def _said(fault: OSError) -> str:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk of this Slipway is full. Build again once whoever operates it has made room."
    where = f": {fault.filename}" if fault.filename else ""
    return f"{fault.strerror or fault}{where}"


def _write(report: int, message: Mapping[str, Any]) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
