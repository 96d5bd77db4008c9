"""Turns itself into a dyno: takes the limits, the view of the file system and the rights of one, then runs its command.

Run by `python -IS` with the request (marshalled) as standard input, and exec'd over by bash in the end. Only the
standard library, and little of that: every import delays every start of a dyno. The environment of the dyno comes in
the request, not as our own, since LD_PRELOAD in it must not work on a process that still is root. By the time the
request comes we are in our control groups.
"""

# ruff: noqa: PTH103, PTH110, PTH112, PTH116
# (pathlib would take longer to import than all the rest together)

import ctypes
import marshal
import os
import resource
import sys
from typing import Any

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
OPEN_TREE_CLONE, AT_FDCWD, AT_EMPTY_PATH, MOVE_MOUNT_F_EMPTY_PATH, MOUNT_ATTR_IDMAP = (
    1,
    -100,
    0x1000,
    4,
    0x100000,
)
SIGKILL, SIG_DFL, LAST_SIGNAL = 9, 0, 31
SHM = "/dev/shm"  # noqa: S108

libc = ctypes.CDLL(None, use_errno=True)


class MountAttr(ctypes.Structure):
    """What mount_setattr(2) takes."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def call(what: str, result: int) -> int:
    """The result of a C function, or the error it stands for."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    args = [source.encode(), os.fsencode(target), kind.encode() if kind else None]
    call(f"mount {target}", libc.mount(*args, ctypes.c_ulong(flags), options.encode() or None))


def write(path: str, text: str) -> None:
    """Put `text` into a file of the kernel's."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def path_of(fd: int) -> str:
    """A path that leads to `fd` whatever has been mounted over it since."""
    return f"/proc/self/fd/{fd}"


def own_user_namespace() -> None:
    """Become root of mounts alone, without being root: the ids stay as they are."""
    uid, gid = os.getuid(), os.getgid()
    call("unshare", libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{uid} {uid} 1")
    write("/proc/self/gid_map", f"{gid} {gid} 1")


def id_map(owner: os.stat_result, uid: int, gid: int) -> int:
    """A user namespace that shows what belongs to `owner` as belonging to `uid` and `gid`; returns its descriptor."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        failed = libc.unshare(CLONE_NEWUSER)
        os.write(ready[1], b"n" if failed else b"y")
        os.close(go[1])
        os.read(go[0], 1)
        os._exit(0)
    try:
        if os.read(ready[0], 1) != b"y":
            raise OSError("no user namespace to map ids with")
        write(f"/proc/{child}/uid_map", f"{owner.st_uid} {uid} 1")
        write(f"/proc/{child}/gid_map", f"{owner.st_gid} {gid} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    finally:
        for fd in (*ready, *go):
            os.close(fd)
        os.waitpid(child, 0)


def mount_lower(tree: str, uid: int | None, gid: int) -> None:
    """Show the slug's tree at `lower`, owned by the dyno's user."""
    if uid is None:
        return mount(tree, "lower", None, MS_BIND)
    users = id_map(os.stat(tree), uid, gid)
    attr = MountAttr(attr_set=MOUNT_ATTR_IDMAP | MS_RDONLY | MS_NOSUID | MS_NODEV, userns_fd=users)
    copy = call("open_tree", libc.syscall(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(tree), OPEN_TREE_CLONE))
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    call(
        "mount_setattr",
        libc.syscall(SYS_MOUNT_SETATTR, copy, b"", AT_EMPTY_PATH, ctypes.byref(attr), size),
    )
    call("move_mount", libc.syscall(SYS_MOVE_MOUNT, copy, b"", AT_FDCWD, b"lower", MOVE_MOUNT_F_EMPTY_PATH))
    os.close(users)
    os.close(copy)


def bind(fd: int, target: str, flags: int = 0) -> None:
    """Show what `fd` is at `target`, which is made when absent."""
    os.makedirs(target, exist_ok=True)
    mount(path_of(fd), target, None, MS_BIND | MS_REC)
    if flags:
        mount("none", target, None, MS_BIND | MS_REMOUNT | flags)


def hide(path: str) -> None:
    """Leave an empty folder in place of `path`."""
    if os.path.isdir(path):
        mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")


def private_view(request: dict[str, Any]) -> None:
    """A mount namespace with the dyno's own home, own temporary folders, and without the platform's data."""
    if request["user_namespace"]:
        own_user_namespace()
    else:
        call("unshare", libc.unshare(CLONE_NEWNS))
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    os.umask(0o022)  # folders that are made on the way to a mount let everybody pass
    os.chdir(request["folder"])
    mount_lower(request["tree"], request["uid"], request["gid"])
    # Names relative to the folder: a comma or colon in its path would end an option.
    options = "lowerdir=lower,upperdir=upper,workdir=work" + (
        ",userxattr" if request["user_namespace"] else ""
    )
    mount("overlay", "stage", "overlay", MS_NOSUID | MS_NODEV, options)

    keep = {path: os.open(path, os.O_PATH) for _, path in request["expose"]}
    volumes = {
        path: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW) for path in request.get("volumes", ())
    }
    home, tmp = os.open("stage", os.O_PATH), os.open("tmp", os.O_PATH)
    os.chdir("/")
    for path in ("/tmp", "/var/tmp"):  # noqa: S108 - to be the dyno's own
        if os.path.isdir(path):
            bind(tmp, path)
    if os.path.isdir(SHM):
        mount("tmpfs", SHM, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,mode=1777")
    if not request["user_namespace"]:  # other users' processes stay out of sight
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV, "hidepid=2")
    for path in request["hide"]:
        hide(path)
    for closed, path in request["expose"]:
        hide(closed)
        bind(keep[path], path, MS_RDONLY | MS_NOSUID | MS_NODEV)
    for parent in {os.path.dirname(path) for path in volumes}:  # noqa: PTH120
        hide(parent)  # with those of others
    for path, fd in volumes.items():
        # The kernel lets no user namespace change the flags of a mount that it was given.
        bind(fd, path, 0 if request["user_namespace"] else MS_NOSUID | MS_NODEV)
    bind(home, request["home"])


def join(request: dict[str, Any]) -> None:
    """See the files as the dyno does whose process the descriptor `join` stands for."""
    kinds = (CLONE_NEWNS | (CLONE_NEWUSER if request["user_namespace"] else 0)) if request["mounts"] else 0
    if kinds:
        call("setns", libc.setns(request["join"], kinds))
    os.close(request["join"])


def take_limits(request: dict[str, Any]) -> None:
    """Lower the resource limits."""
    for name, number in request["limits"].items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        most = resource.getrlimit(kind)[1]
        number = number if most == resource.RLIM_INFINITY else min(number, most)
        try:
            resource.setrlimit(kind, (number, number))
        except (OSError, ValueError):
            continue  # macOS allows fewer files than its own limit says
    if os.path.exists("/proc/self/oom_score_adj"):
        write(
            "/proc/self/oom_score_adj", "500"
        )  # when the machine is short of memory, dynos go before the platform


def take_streams(request: dict[str, Any]) -> None:
    """Read from where the dyno shall read from: nowhere, unless somebody is attached to it."""
    streams = request.get("streams")
    if streams is None:
        streams = [os.open(os.devnull, os.O_RDONLY), 1]
    elif request["tty"]:
        import fcntl
        import termios

        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
        if request["uid"] is not None:
            os.fchown(streams[0], request["uid"], -1)
    source, sink = streams
    os.dup2(source, 0)
    if sink != 1:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
    for fd in {source, sink} - {0, 1, 2}:
        os.close(fd)


def drop_rights(request: dict[str, Any]) -> None:
    """Become the app's user, for good, and die with the platform."""
    if request["uid"] is not None:
        os.setgroups([])
        os.setgid(request["gid"])
        os.setuid(request["uid"])
    os.umask(0o022)
    for number in range(1, LAST_SIGNAL + 1):
        libc.signal(number, ctypes.c_void_p(SIG_DFL))  # what is ignored would stay so: SIGPIPE is, by Python
    if sys.platform == "linux":
        call("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        call("prctl", libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))  # after setuid, which clears it
        if os.getppid() != request["parent"]:
            os._exit(1)


def main() -> None:
    """Do what the request says; on failure tell why on the descriptor it names."""
    text = sys.stdin.buffer.read()
    if not text:
        os._exit(1)  # nobody needs us any more
    request = marshal.loads(text)  # noqa: S302 - the platform wrote it, and nobody else can
    report = request["report"]
    os.set_inheritable(report, False)
    try:
        take_streams(request)
        take_limits(request)
        if request.get("join"):
            join(request)
        elif request["mounts"]:
            private_view(request)
        drop_rights(request)
        os.chdir(request["home"])
        os.execve(request["argv"][0], request["argv"], request["env"])  # noqa: S606 - that is the point
    except Exception as error:
        os.write(report, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:4000])
        os._exit(126)
