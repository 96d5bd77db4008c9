"""Becomes a server: takes an unprivileged user's place, with a view of its own of the files it needs, and dies with the
platform. Run as a script by itself, with the request as JSON on standard input; it imports nothing of ours."""

import ctypes
import json
import os
import sys

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV = 4096, 16384, 1 << 18, 2, 4
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
libc = ctypes.CDLL(None, use_errno=True)


def check(what: str, result: int) -> None:
    """Raise what the C library noted when `result` says that it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    named = kind.encode() if kind else None
    check(
        f"mount {target}",
        libc.mount(
            os.fsencode(source), os.fsencode(target), named, ctypes.c_ulong(flags), options.encode() or None
        ),
    )


def own_view(paths: list[str], closed: list[str], passwd: str) -> None:
    """Let `paths` be reached though folders on the way are closed to others, and nothing else in these; have the
    server's user be known by name."""
    check("unshare", libc.unshare(CLONE_NEWNS))
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    keep = {path: os.open(path, os.O_PATH) for path in paths}
    mount(passwd, "/etc/passwd", None, MS_BIND)
    for folder in closed:
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path, fd in keep.items():
        if any(path.startswith(folder + "/") for folder in closed):
            os.makedirs(path, exist_ok=True)  # noqa: PTH103 - pathlib is not worth its import time
            mount(f"/proc/self/fd/{fd}", path, None, MS_BIND | MS_REC)
        os.close(fd)


def main() -> None:
    """Do what the request says."""
    request = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if request["uid"] is not None:
        own_view(request["paths"], request["closed"], request["passwd"])
        os.setgroups([])
        os.setgid(request["uid"])
        os.setuid(request["uid"])
    os.umask(0o077)
    if sys.platform == "linux":
        check("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        check(
            "prctl", libc.prctl(PR_SET_PDEATHSIG, request["signal"], 0, 0, 0)
        )  # after setuid, which clears it
        if os.getppid() != request["parent"]:
            os._exit(1)
    os.chdir(request["folder"])
    os.execve(request["argv"][0], request["argv"], request["env"])  # noqa: S606 - that is the point


if __name__ == "__main__":
    main()
