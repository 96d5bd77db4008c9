"""The processes that builds beside the platform run in: each does one build, and the next is started ahead.

Most of what the build of changed code takes is the start of Python and what it loads. One that was started ahead has that
behind it and waits for its job, which is all that it is ever told.
"""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.builder.launch import IDLE_SECONDS

LAUNCH = Path(__file__).with_name("launch.py")
SLACK_SECONDS = 60.0


@dataclass(frozen=True)
class Launched:
    """A process that waits for its job on its input; the descriptors are read here, but `report_end`, its number of the
    one that it reports to."""

    process: "subprocess.Popen[bytes]"
    output: int
    report: int
    report_end: int
    until: float  # by the monotonic clock; soon after it ends by itself

    def close(self) -> None:
        """End it, its session, and with them its process namespace."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        if self.process.stdin:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        os.close(self.output)
        os.close(self.report)


def launch() -> Launched:
    """Start one now."""
    output, output_end = os.pipe()
    report, report_end = os.pipe()
    path = [str(Path(__file__).parents[2]), *(folder for folder in sys.path if folder)]
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", LAUNCH, *path],
            stdin=subprocess.PIPE,
            stdout=output_end,
            stderr=output_end,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            pass_fds=[report_end],
            start_new_session=True,
        )
    except BaseException:
        os.close(output)
        os.close(report)
        raise
    finally:
        os.close(output_end)
        os.close(report_end)
    return Launched(process, output, report, report_end, time.monotonic() + IDLE_SECONDS - SLACK_SECONDS)


class Ahead:
    """One process for the next build, whichever app's it is, from `pause` seconds after the one before has ended: until
    then the machine is left to what was built. It ends with this process, which holds its input, and by itself when no
    job comes. Safe for threads."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._waiting: Launched | None = None
        self._maker: threading.Thread | None = None  # of the one that waits
        self._order: threading.Timer | None = None
        self._closed = False

    def take(self) -> Launched:
        """The one that waits, or one that is started now."""
        with self._lock:
            found, self._waiting = self._waiting, None
            maker, self._maker = self._maker, None
        if found is None:
            return launch()
        if maker:
            maker.join()  # it is done: a child that is to die with its parent would with the thread that made it
        if found.process.poll() is None and time.monotonic() <= found.until:
            return found
        found.close()
        return launch()

    def order(self) -> None:
        """Have one ready for the next build."""
        with self._lock:
            if self._closed or self._waiting:
                return
            if self._order:
                self._order.cancel()
            self._order = threading.Timer(self._pause, self._make)
            self._order.name, self._order.daemon = "build process ahead", True
            self._order.start()

    def close(self) -> None:
        """Nothing is built any more."""
        with self._lock:
            self._closed = True
            found, self._waiting = self._waiting, None
            if self._order:
                self._order.cancel()
        if found:
            found.close()

    def _make(self) -> None:
        made = launch()
        with self._lock:
            if not self._closed and self._waiting is None:
                self._waiting, self._maker = made, threading.current_thread()
                return
        made.close()
