"""Keeps one server running: starts it, waits until it answers, starts it again with more and more patience, stops it.

Its process id is noted beside it, so that the next life of a platform that was killed ends what is left first.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.local.process import started_at
from engine.servers.place import Place

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY_SECONDS = 60.0  # who ran for so long gets a new start at once
STOP_SECONDS = 20.0
LOG_BYTES = 8 * 1024**2


@dataclass(frozen=True)
class Program:
    """What is kept running, and how one knows that it answers. `answers` must be quick and never raise."""

    name: str  # for people: "PostgreSQL 15"
    place: Place
    argv: Sequence[str]
    answers: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    port: int = 0
    env: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """One server's keeper; its thread lives as long as the server shall."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.pid: int | None = None
        self._up, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def up(self) -> bool:
        """Whether it has answered since its last start."""
        return self._up.is_set()

    @property
    def log_path(self) -> Path:
        """Where its own words go."""
        return self.program.place.folder.with_suffix(".log")

    def start(self) -> None:
        """See to it that it runs, from now on. Returns at once."""
        with self._lock:
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(
                    target=self._run, name=f"server-{self.program.name}", daemon=True
                )
                self._thread.start()

    def ensure(self, seconds: float = 30) -> None:
        """Have it up; `EngineError` with its last words when it does not come within `seconds`."""
        self.start()
        if not self._up.wait(seconds):
            raise EngineError(f"{self.program.name} does not start: {self.last_words() or 'it says nothing'}")

    def stop(self) -> None:
        """End it, and wait for that."""
        self._stopping.set()
        with self._lock:
            thread, self._thread = self._thread, None
            if self._child is not None:
                self._child.send_signal(self.program.stop_signal)
        if thread is not None:
            thread.join(STOP_SECONDS + 10)

    def last_words(self) -> str:
        """The end of what it wrote."""
        try:
            return self.log_path.read_bytes()[-400:].decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def seen(self) -> dict[str, Any]:
        """For `manage.py ps`."""
        state = "up" if self.up else "starting" if self.pid else "down"
        return {"name": self.program.name, "pid": self.pid, "state": state, "port": self.program.port}

    # --- inside: all of it in the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                end_former(self._record)
                code = self._one_life()
            except (OSError, EngineError, subprocess.SubprocessError) as error:
                code = str(error)
            self._up.clear()
            self.pid = None
            if self._stopping.is_set():
                break
            pause = (
                FIRST_PAUSE if time.monotonic() - began > STEADY_SECONDS else min(pause * 2, LONGEST_PAUSE)
            )
            log.warning("%s ended (%s); it is started again in %.0f s", self.program.name, code, pause)
            self._stopping.wait(pause)

    def _one_life(self) -> str:
        """From one start to its end; returns how it ended."""
        place, program = self.program.place, self.program
        place.make()
        stamp = _stamp(program.argv[0])
        with self.log_path.open("ab") as output:
            os.truncate(output.fileno(), 0)
            child = place.spawn(
                program.argv, output=output.fileno(), dies_by=program.stop_signal, env=program.env
            )
        self.pid, self._child = child.pid, child
        noted = {"pid": child.pid, "started": started_at(child.pid)}
        self._record.write_text(json.dumps(noted | {"program": program.argv[0], "stamp": stamp}))
        while not self._stopping.is_set():
            if not self._up.is_set() and program.answers():
                self._up.set()
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = child.wait(0.5 if self._up.is_set() else 0.02)
                return f"exit status {code}: {self.last_words()[-200:]}"
            self._bound_log()
        self._end(child)
        return "stopped"

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(self.program.stop_signal)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._record.unlink(missing_ok=True)

    def _bound_log(self) -> None:
        if self.log_path.stat().st_size > LOG_BYTES:
            os.truncate(self.log_path, 0)

    @property
    def _record(self) -> Path:
        return self.program.place.folder.with_suffix(".process")


def end_former(record: Path) -> None:
    """End the server that a killed life of the platform has left; `EngineError` when it does not end."""
    try:
        noted = json.loads(record.read_text())
    except (OSError, ValueError):
        return
    pid, started = noted["pid"], noted["started"]
    for number, seconds in ((signal.SIGINT, 10.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        while started and started_at(pid) == started and not _zombie(pid):
            if time.monotonic() > deadline:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            time.sleep(0.05)
        else:
            record.unlink(missing_ok=True)
            return
    raise EngineError(f"Process {pid} of a former life does not end.")


def outdated(record: Path) -> bool:
    """Whether the program of the server that is noted in `record` has been replaced on this machine since it started.
    Any process may ask."""
    try:
        noted = json.loads(record.read_text())
        return bool(noted["stamp"] != _stamp(noted["program"]))
    except (OSError, ValueError, KeyError):
        return False


def _stamp(program: str) -> list[int]:
    """What tells a program from the one that an upgrade puts in its place."""
    found = Path(program).stat()
    return [found.st_ino, found.st_mtime_ns, found.st_size]


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return False
