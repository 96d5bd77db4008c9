"""The walls around a build: limits, a process tree and a file tree of its own, and a user without rights."""

import ctypes
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SHARED_TMP = ("/tmp", "/var/tmp")  # noqa: S108 (these are what is covered up)
NEWNS, NEWUSER, NEWPID, NEWIPC = 0x00020000, 0x10000000, 0x20000000, 0x08000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18


def enter(job: Mapping[str, Any]) -> dict[str, int]:
    """Shut this process in as `job["walls"]` says; returns in the process that is to do the work, with descriptors of
    the build's own folders from outside. `OSError` if the kernel does not let it. The process that called stays
    behind as its keeper and ends with its status."""
    doors: dict[str, int] = {}
    walls = job["walls"]
    _die_with_parent(walls["parent"])
    for procs in walls["cgroups"]:
        Path(procs).write_text(str(os.getpid()))
    if walls["namespaces"]:
        _new_namespaces()
        keeper = os.getpid()
        child = os.fork()
        if child:
            _keep(child)
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() not in (0, keeper):
            os._exit(1)
        doors = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in (job["work"], job["cache"])}
        _new_file_tree(walls["hide"], walls["mask"], walls["keep"], walls["tmp"])
    _become(walls["uid"])
    _limit(walls["limits"])
    return doors


def _keep(child: int) -> None:
    """Wait for the child and end as it did. The pipes are the child's alone, so that their end is its end."""
    os.closerange(0, 256)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _die_with_parent(parent: int) -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _new_namespaces() -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = NEWNS | NEWPID | NEWIPC | (0 if uid == 0 else NEWUSER)
    _check(_libc.unshare(flags))
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _new_file_tree(hide: Sequence[str], mask: Sequence[str], keep: Sequence[str], tmp: str) -> None:
    """Lay empty folders over `hide`, the build's own over /tmp, nothing over the files of `mask`; `keep` stays
    visible wherever it lies."""
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)
    kept = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in keep]
    private = os.open(tmp, os.O_PATH | os.O_CLOEXEC)  # before it is hidden with the rest
    covered = []
    for path in hide:
        if not os.path.isdir(path):
            continue  # it is within one that is hidden already
        _mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
        covered.append(path)
    for path in SHARED_TMP:
        _mount(f"/proc/self/fd/{private}", path, None, MS_BIND)
        covered.append(path)
    for path, file in kept:
        if any(path == one or path.startswith(one + "/") for one in covered):
            os.makedirs(path, exist_ok=True)
            _mount(f"/proc/self/fd/{file}", path, None, MS_BIND | MS_REC)
        os.close(file)
    os.close(private)
    for path in mask:
        if os.path.exists(path):
            _mount("/dev/null", path, None, MS_BIND)


def _become(uid: int | None) -> None:
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # changing the user has cleared it


def _limit(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        top = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (top, top))


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    _check(
        _libc.mount(
            source.encode(), os.fsencode(target), kind and kind.encode(), flags, data and data.encode()
        )
    )


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, int(value), 0, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
