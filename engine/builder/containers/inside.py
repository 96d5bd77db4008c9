"""The first program of a build container: `python -IS inside.py`. It is root without most of root's rights, puts the
fences up, has the worker build as a user without any, and watches over it.

What every build needs is loaded before the job comes, so that one that was started ahead has nothing left to do but that.
On its input comes the length of the job, the job as JSON, and then the job's files one after the other. The input stays
open: when it ends, so does the build, since nobody waits for it any more. Output goes out on descriptor 1. Descriptor 2 carries
the report: lines of JSON, and after the line that tells its length, the slug.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CODE = "/slipway/code"
USER = 29_999  # below all users that apps have on a machine, of builds and dynos without containers
CHUNK = 1024 * 1024
DISK_SECONDS = 1.0
IDLE_SECONDS = 1800.0  # that it waits for a job
REST_SECONDS = 60.0  # that it waits for its end, after the job
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG = 4, 38, 1
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Returns the exit status, which nobody asks for: the report tells all."""
    sys.path.insert(0, CODE)
    sys.path.append("/usr/lib/python3/dist-packages")  # yaml and zstandard; -S leaves it out
    import engine.builder.child
    import engine.builder.interpreters
    import engine.builder.worker  # noqa: F401
    from engine.builder.containers import fences

    if not select.select([0], [], [], IDLE_SECONDS)[0]:
        return 0
    size = struct.unpack(">I", _read(4))[0]
    job: dict[str, Any] = json.loads(_read(size))
    try:
        fences.put_up(job["open_to"])
    except OSError as fault:
        _report({"walls": f"{fault}"})
        return 97
    _spool(job)
    child = os.fork()
    if child == 0:
        _become_worker(job)
    status = _watch(job, child)
    if status is not None and _send_slug(job, status):
        _rest()
    return 0


def _spool(job: Mapping[str, Any]) -> None:
    """Write the files that came with the job to where it says."""
    os.setegid(USER)
    os.seteuid(USER)
    for path, size in job["files"]:
        with open(path, "wb") as file:
            left = size
            while left:
                data = _read(min(left, CHUNK))
                file.write(data)
                left -= len(data)
    os.seteuid(0)
    os.setegid(0)


def _become_worker(job: dict[str, Any]) -> None:
    """Lay everything down that the parent has but its output and the report, and build."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    report = os.dup(2)
    os.dup2(1, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = job["limits"]["disk_bytes"]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    from engine.builder import launch, worker
    from engine.builder.interpreters import installed

    worker.load(job)
    job["doors"] = {}
    job["pythons"] = [
        (one.minor, str(one.path), one.access) for one in installed(job["search"], as_other=False)
    ]
    status = launch.work(job, os.open(job["files"][0][0], os.O_RDONLY), report)
    sys.stdout.flush()
    os._exit(status)


def _watch(job: Mapping[str, Any], child: int) -> int | None:
    """Wait for the worker; returns its status, or None when the build has to end at once."""
    from core.errors import BuildFailed
    from engine.builder.child import DiskWatch

    limits = job["limits"]
    disk = DiskWatch([Path(job["work"]), Path(job["cache"])], limits["disk_bytes"])
    ended, poll = os.pidfd_open(child), select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(0, select.POLLIN | select.POLLHUP)
    while True:
        events = poll.poll(DISK_SECONDS * 1000)
        if any(file == 0 for file, _ in events) and not os.read(0, 1):
            return None
        if any(file == ended for file, _ in events):
            break
        _reap(child)
        try:
            disk.check()
        except BuildFailed as fault:
            _report({"bound": str(fault)})
            return None
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if _ran_out_of_memory():
        _report({"bound": f"The build used more than {limits['memory'] // 2**20} MB of memory."})
        return None
    return status


def _rest() -> None:
    """End whatever the build has left running, and wait to be put away: the engine takes its time for the end of a
    container, and what was built starts meanwhile."""
    os.seteuid(USER)  # who may end them
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    select.select([0], [], [], REST_SECONDS)


def _reap(child: int) -> None:
    """Bury what the build's processes have left behind, for which the first program of a container has to care."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == child:
            return
        os.waitpid(found.si_pid, os.WNOHANG)


def _ran_out_of_memory() -> bool:
    for path in ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events"):
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            word, _, count = line.partition(" ")
            if word == "oom_kill" and count.strip() != "0":
                return True
    return False


def _send_slug(job: Mapping[str, Any], status: int) -> bool:
    """Tell the slug, or why there is none; returns whether all of it was told."""
    try:
        file = os.open(job["slug"], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        _report({"died": status})
        return False
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode):
        _report({"failed": "The slug is not a file."})
        return False
    os.write(1, b"\0" + job["end"].encode())
    _report({"slug": about.st_size})
    left = about.st_size
    while left:
        data = os.read(file, min(left, CHUNK))
        if not data:
            return False
        _write(data)
        left -= len(data)
    return True


def _report(message: Mapping[str, Any]) -> None:
    _write(json.dumps(message).encode() + b"\n")


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(2, view) :]


def _read(size: int) -> bytes:
    pieces = []
    while size:
        data = os.read(0, size)
        if not data:
            os._exit(98)  # whoever sent it has died
        pieces.append(data)
        size -= len(data)
    return b"".join(pieces)


if __name__ == "__main__":
    os._exit(main())
