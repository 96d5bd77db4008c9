"""Child processes of the driver: started by the launcher, watched, signalled as a whole, found again."""

import contextlib
import fcntl
import marshal
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.drivers.environment import PATH as PATH
from engine.drivers.voice import PIPE_BYTES

# Imported, not run as a script: a script is compiled at each start.
RUN_LAUNCHER = "import sys; sys.path.append(sys.argv[1]); import launcher; launcher.main()"
F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", None)
PROC = Path("/proc")
LINUX = sys.platform == "linux"


class Child:
    """One process started by the launcher, and the pipe its output comes through."""

    def __init__(self, popen: subprocess.Popen[bytes], report: int, report_name: int) -> None:
        self.popen = popen
        self.pid = popen.pid
        self._report = report
        self._report_name = report_name  # the number of its other end, in the process
        assert popen.stdout is not None
        self.output = popen.stdout.fileno()
        os.set_blocking(self.output, False)
        self.pidfd = os.pidfd_open(popen.pid) if LINUX else None

    def launch(self, request: Mapping[str, Any]) -> None:
        """Make it what `request` says. Takes some milliseconds (the kernel's, to move it into its control groups),
        in which the launcher gets itself ready. One that was killed meanwhile is no error."""
        assert self.popen.stdin is not None
        try:
            for path in request["cgroups"]:
                Path(path).write_text(str(self.pid))
            whole = {**request, "report": self._report_name, "parent": os.getpid()}
            self.popen.stdin.write(marshal.dumps(whole))
        except (BrokenPipeError, ProcessLookupError):
            pass
        finally:
            with contextlib.suppress(BrokenPipeError):
                self.popen.stdin.close()

    def poll(self) -> int | None:
        """The exit status once it has ended, 128 + signal if one ended it."""
        code = self.popen.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, seconds: float) -> int:
        """Wait for the end; kills after `seconds`."""
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        return self.poll() or 0

    def problem(self) -> str:
        """Why the launcher could not start the command; empty when it could. Valid after the end."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._report, 4096).decode("utf-8", "replace")
        return ""

    def has_begun(self) -> bool:
        """Whether the launcher has made way for the command: its end of the report is closed then."""
        poll = select.poll()
        poll.register(self._report, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def close(self) -> None:
        """Free the descriptors; the process has ended."""
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        for fd in (self._report, self.pidfd):
            if fd is not None:
                os.close(fd)
        self._report, self.pidfd = -1, None


def spawn(env: Mapping[str, str] | None = None, keep: Iterable[int] = ()) -> Child:
    """Start a launcher in a session of its own; it waits for its request. `env` is seen in the process until then;
    the descriptors `keep` have the same numbers there."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(reader, False)
        popen = subprocess.Popen(
            [sys.executable, "-IS", "-c", RUN_LAUNCHER, str(Path(__file__).parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": PATH, "LANG": "C.UTF-8", **(env or {})},
            cwd="/",
            pass_fds=[writer, *keep],
            start_new_session=True,
            bufsize=0,
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    if F_SETPIPE_SZ is not None and popen.stdout is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(popen.stdout, F_SETPIPE_SZ, PIPE_BYTES)
    try:
        return Child(popen, reader, writer)
    except OSError:
        popen.kill()
        popen.wait()
        os.close(reader)
        raise


def send(pids: set[int], number: signal.Signals) -> None:
    """Signal each of `pids`; one that has ended meanwhile does not matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def members(markers: Mapping[str, str], session: int | None = None) -> set[int]:
    """Processes with all of `markers` in their environment, or of `session`. Zombies apart."""
    texts = {f"{name}={value}" for name, value in markers.items()}
    if not LINUX:
        return _members_ps(texts, session)
    return _members_proc({os.fsencode(text) for text in texts}, session)


def _members_proc(markers: set[bytes], session: int | None) -> set[int]:
    found = set()
    for pid in (int(name) for name in os.listdir(PROC) if name.isdigit()):  # noqa: PTH208 - a third of the time
        if pid == os.getpid():
            continue
        try:
            state, of_session = _stat(pid)
            if state in "ZX":
                continue
            if of_session == session or markers.issubset(
                (PROC / str(pid) / "environ").read_bytes().split(b"\0")
            ):
                found.add(pid)
        except (OSError, ValueError, IndexError):
            continue  # ended meanwhile, or another user's
    return found


def _stat(pid: int) -> tuple[str, int]:
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[3])


def _members_ps(markers: set[str], session: int | None) -> set[int]:
    listing = subprocess.run(
        ["ps", "-axEww", "-o", "pid=,pgid=,stat=,command="], capture_output=True, text=True, check=False
    )
    found = set()
    for line in listing.stdout.splitlines():
        pid, group, state, *words = line.split()
        if not state.startswith("Z") and (int(group) == session or markers.issubset(words)):
            found.add(int(pid))
    return found - {os.getpid()}


def started_at(pid: int) -> str:
    """Something that tells this process from a later one with the same number; empty when there is none."""
    try:
        if LINUX:
            return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
        listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False)
        return listing.stdout.decode().strip()
    except (OSError, IndexError):
        return ""


def memory(pids: set[int]) -> int:
    """Resident bytes of `pids` together."""
    if not LINUX:
        return _memory_ps(pids)
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            pages += int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _memory_ps(pids: set[int]) -> int:
    command = ["ps", "-o", "rss=", "-p", ",".join(map(str, pids)) or "0"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(int(text) * 1024 for text in listing.stdout.split())


def sockets(pids: set[int]) -> set[int]:
    """Inode numbers of the sockets that `pids` hold."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in (PROC / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(fd.readlink())
                    if target.startswith("socket:["):
                        found.add(int(target[8:-1]))
    return found


def end_all(find: Any, seconds: float = 5) -> bool:
    """SIGKILL what `find()` finds until it finds nothing; False when something is still there after `seconds`."""
    deadline = time.monotonic() + seconds
    while pids := find():
        if time.monotonic() > deadline:
            return False
        send(pids, signal.SIGKILL)
        time.sleep(0.005)
    return True
