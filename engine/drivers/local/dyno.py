"""One start of one dyno, from the slug to its last line. All but the marked methods belong to the loop's thread."""

import http.client
import json
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.local import isolation, ports, process
from engine.drivers.local.cgroups import HARD, Cgroups, Group
from engine.drivers.local.loop import Loop, Timer
from engine.drivers.local.output import LINE_BYTES, Lines, Outlet
from engine.spec import MB, DynoState, Line, ProcessSpec

log = logging.getLogger(__name__)
CLOSE_SECONDS = 30.0  # when the platform ends, no dyno gets more than that to stop
LINGER_SECONDS = 5.0  # how long the end of a stopped one-off can be seen
STEADY_SECONDS = 1.0  # a dyno without a port is up once it has run for so long
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.005, 0.1
HEALTH_POLL_SECONDS, HEALTH_ANSWER_SECONDS = 0.25, 5.0
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 5.0
FILES = 10_000
CANNOT_START = 126
# The command is an argument of the script, so that nothing in it is ever part of the script.
SCRIPT = (
    'for file in .profile.d/*.sh; do [ -r "$file" ] && . "./$file"; done; unset file; exec /bin/bash -c "$1"'
)


@dataclass(frozen=True)
class Services:
    """What all dynos of a driver share."""

    loop: Loop
    pool: Executor  # for what may take long: unpacking, copying, removing
    launches: Executor  # for what starts must not wait for
    health: Executor  # for requests to health paths
    outlet: Outlet
    ports: ports.Ports
    level: isolation.Isolation
    cgroups: Cgroups | None
    tree: Callable[[str], Path]
    folder: Path
    tag: str  # the driver's own name among all on this machine
    first_uid: int
    changed: Callable[["Dyno"], None]
    cleaned: Callable[["Dyno"], None]


def environment(spec: ProcessSpec, part: dict[str, Any], port: int | None, tag: str) -> dict[str, str]:
    """Exactly what a dyno finds as its environment (bash adds PWD, SHLVL and _)."""
    env = {
        "PATH": process.PATH,
        "HOME": part["home"],
        "LANG": "C.UTF-8",
        "TMPDIR": part["tmpdir"],
        **spec.env,
    }
    env.pop("PORT", None)
    if port is not None:
        env["PORT"] = str(port)
    return env | {"DYNO": spec.dyno} | markers(spec.id, tag)


def markers(dyno_id: str, tag: str) -> dict[str, str]:
    """By these a process is known as a dyno's, and as this driver's, wherever it has gone."""
    return {"SLIPWAY_DYNO": dyno_id, "SLIPWAY_INSTANCE": tag}


class Dyno:
    """One start of one dyno."""

    def __init__(self, spec: ProcessSpec, services: Services) -> None:
        self.spec = spec
        self.seen = DynoState(
            spec.id, spec.dyno, "starting", since=time.time()
        )  # replaced as a whole: any thread
        self.over = False  # its process has ended, or never was
        self.clean = False  # and nothing of it is left
        self.forget = False  # nobody will ask for it again
        self._services = services
        self._folder = services.folder / spec.id.replace("/", "_")
        self._stream = spec.stream or f"app/{spec.app}"
        self._child: process.Child | None = None
        self._group: Group | None = None
        self._uid: int | None = None
        self._lines = Lines()
        self._timers: list[Timer] = []
        self._stopping = False
        self._closing = False
        self._killed = False
        self._reason = ""
        self._code: int | None = None
        self._launched = 0.0
        self._health = ""  # the last answer of the health path
        self._ooms = 0

    # --- the beginning ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. For any thread."""
        self._services.pool.submit(self._prepare)

    def _prepare(self) -> None:  # in the pool
        services, spec = self._services, self.spec
        try:
            part = services.level.prepare(
                self._folder, services.tree(spec.slug), services.first_uid + spec.slot
            )
            if services.cgroups:
                self._group = services.cgroups.make(spec.id.replace("/", "_"), spec.size)
        except Exception as error:
            reason = _reason(error)
            services.loop.post(lambda: self._never(reason))
        else:
            services.loop.post(lambda: self._launch(part))

    def _never(self, reason: str) -> None:
        self._reason = reason
        self._say(reason)
        self._end()

    def _launch(self, part: dict[str, Any]) -> None:
        if self._stopping:
            return self._end()
        try:
            if self.spec.web:
                self._show(port=self._services.ports.take())
            self._child = process.spawn(markers(self.spec.id, self._services.tag))
        except Exception as error:
            return self._never(_reason(error))
        self._launched = time.monotonic()
        self._uid = part["uid"]
        self._say(f"Starting process with command `{self.spec.command}`")
        self._show(pid=self._child.pid)
        self._services.launches.submit(self._hand_over, self._child, self._request(part))
        self._watch(self._child)
        self._changed()

    def _request(self, part: dict[str, Any]) -> dict[str, Any]:
        limits = {"NOFILE": FILES, "CORE": 0}
        groups = self._services.cgroups
        if part["uid"] is not None and not (groups and "pids" in groups.controllers):
            limits["NPROC"] = self.spec.size.pids * 4  # of all the app's dynos together
        return {
            **part,
            "argv": ["/bin/bash", "-c", SCRIPT, self.spec.dyno, self.spec.command],
            "env": environment(self.spec, part, self.seen.port, self._services.tag),
            "cgroups": self._group.entries if self._group else [],
            "limits": limits,
        }

    def _hand_over(self, child: process.Child, request: dict[str, Any]) -> None:  # in the pool
        record = {"pid": child.pid, "started": process.started_at(child.pid)}
        try:
            child.launch(request)
            (self._folder / "process.json").write_text(json.dumps(record))
        except (OSError, ValueError) as error:
            reason = _reason(error)
            self._services.loop.post(lambda: self._kill_because(reason))

    def _watch(self, child: process.Child) -> None:
        self._services.loop.watch(child.output, self._read)
        if child.pidfd is not None:
            self._services.loop.watch(child.pidfd, self._ended)
        else:
            self._poll_end()
        if self.spec.web:
            self._after(self.spec.boot_seconds, self._boot_timeout)
            self._after(FIRST_POLL_SECONDS, lambda: self._poll_boot(FIRST_POLL_SECONDS))
        elif self.spec.one_off:
            self._up()
        else:
            self._after(STEADY_SECONDS, self._up)
        if self.spec.seconds is not None:
            self._after(self.spec.seconds, self._time_limit)

    # --- is it up? ----------------------------------------------------------------------------------------------

    def _poll_boot(self, pause: float) -> None:
        port = self.seen.port
        if self.seen.state != "starting" or port is None:
            return
        if ports.answers(port):
            listens = self._listens(port)
            if listens is False:
                return self._kill_because(f"Port {port} is taken by a process that is not this dyno's.")
            if listens:
                return self._ask_health() if self.spec.health_path else self._up()
        pause = min(pause * 1.1, LAST_POLL_SECONDS)
        self._after(pause, lambda: self._poll_boot(pause))

    def _listens(self, port: int) -> bool | None:
        """Whether it is this dyno that listens; None when nobody does any more."""
        if not process.LINUX:
            return True
        found = ports.listeners(port)
        if not found:
            return None
        if self._uid is not None:
            return all(listener.uid == self._uid for listener in found)
        ours = process.sockets(self._members())
        return all(listener.inode in ours for listener in found)

    def _ask_health(self) -> None:
        if self.seen.state == "starting":
            self._services.health.submit(self._request_health)

    def _request_health(self) -> None:  # in the pool
        assert self.seen.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.seen.port, timeout=HEALTH_ANSWER_SECONDS)
        try:
            headers = {"Host": "localhost", "User-Agent": "Slipway-Health", "Connection": "close"}
            connection.request("GET", self.spec.health_path, headers=headers)
            status = connection.getresponse().status
            answer, healthy = f"it answered {status}", status < 400
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer, healthy = f"no answer: {error}", False
        finally:
            connection.close()
        self._services.loop.post(lambda: self._health_answered(answer, healthy))

    def _health_answered(self, answer: str, healthy: bool) -> None:
        self._health = answer
        if healthy:
            self._up()
        else:
            self._after(HEALTH_POLL_SECONDS, self._ask_health)

    def _up(self) -> None:
        if self.seen.state != "starting" or self._child is None or self._child.poll() is not None:
            return
        self._say("State changed from starting to up")
        self._show(state="up", since=time.time())
        self._changed()

    def _boot_timeout(self) -> None:
        if self.seen.state != "starting":
            return
        what = "Web process failed to bind to $PORT"
        if self._health:
            what = f"Web process did not answer GET {self.spec.health_path} below 400 ({self._health})"
        seconds = f"{self.spec.boot_seconds:g} seconds"
        self._kill_because(f"Error R10 (Boot timeout) -> {what} within {seconds} of launch")

    def _time_limit(self) -> None:
        self._kill_because(f"Stopped: it ran for longer than {self.spec.seconds:g} seconds.")

    # --- output and memory --------------------------------------------------------------------------------------

    def _read(self) -> None:
        assert self._child is not None
        try:
            data = os.read(self._child.output, process.PIPE_BYTES)
        except BlockingIOError:
            return
        if not data:
            return self._services.loop.unwatch(self._child.output)
        self._put(self._lines.feed(data))
        if self._services.outlet.full(self._stream):
            self._services.loop.unwatch(self._child.output)
            self._resume(time.monotonic() + LONGEST_PAUSE_SECONDS)

    def _resume(self, deadline: float) -> None:
        if self.over or self._child is None:
            return
        if self._services.outlet.full(self._stream) and time.monotonic() < deadline:
            self._after(PAUSE_SECONDS, lambda: self._resume(deadline))
        else:
            self._services.loop.watch(self._child.output, self._read)

    def _put(self, texts: list[bytes], source: str = "app") -> None:
        if texts:
            now, dyno = time.time(), self.spec.dyno
            self._services.outlet.put(self._stream, [Line(source, dyno, text, now) for text in texts])

    def _say(self, text: str) -> None:
        self._put([text.replace("\n", " ").encode("utf-8", "replace")[:LINE_BYTES]], "heroku")

    def sample(self) -> None:
        """Look at its memory. In the pool."""
        group = self._group
        used = group.memory() if group else None
        if used is None:
            used = process.memory(self._members())
        ooms = group.oom_kills() if group else 0
        self._services.loop.post(lambda: self._sampled(used, ooms))

    def _sampled(self, used: int, ooms: int) -> None:
        if self.over or self._child is None or self._reason:
            return
        quota = self.spec.size.memory
        if ooms > self._ooms or used > quota * HARD:
            self._ooms = ooms
            self._kill_because("Error R15 (Memory quota vastly exceeded)")
        elif used > quota:
            self._say(f"Process running mem={used // MB}M({used / quota:.1%})")
            self._say("Error R14 (Memory quota exceeded)")

    # --- the end ------------------------------------------------------------------------------------------------

    def stop(self, *, closing: bool = False) -> None:
        """SIGTERM to all its processes, SIGKILL after the stop time, and forget it; may be called again."""
        self.forget = True
        self._closing |= closing
        if self.clean:
            return self._services.cleaned(self)
        if self._stopping or self.over:
            return
        self._stopping = True
        if (
            not self.spec.one_off
        ):  # nothing is sent to it from now on; of a one-off the exit code is to be seen
            self._show(state="down", since=time.time())
        if self._child is not None:
            self._say("Stopping all processes with SIGTERM")
            process.send(self._members(), signal.SIGTERM)
            seconds = min(self.spec.stop_seconds, CLOSE_SECONDS) if closing else self.spec.stop_seconds
            self._after(seconds, lambda: self._exit_timeout(seconds))
        self._changed()

    def _exit_timeout(self, seconds: float) -> None:
        if not self.over:
            self._say(
                "Error R12 (Exit timeout) -> At least one process failed to exit "
                f"within {seconds:g} seconds of SIGTERM"
            )
            self._say("Stopping remaining processes with SIGKILL")
            self._kill()

    def _kill_because(self, reason: str) -> None:
        if self.over or self._reason:
            return
        self._reason = reason
        self._say(reason)
        self._say("Stopping process with SIGKILL")
        self._kill()

    def _kill(self) -> None:
        self._killed = True
        if self._group:
            self._group.kill()
        else:
            process.send(self._members(), signal.SIGKILL)
        if self._child is not None and self._child.poll() is None:
            self._child.popen.kill()

    def _members(self) -> set[int]:
        """All its processes: those of its control group, else those that carry its marker or are of its session."""
        pids = self._group.pids() if self._group else set()
        child = self._child
        if child is not None and child.poll() is None:
            pids.add(child.pid)
        if not self._group:
            pids |= process.members(f"SLIPWAY_DYNO={self.spec.id}", child.pid if child else None)
        return pids

    def _poll_end(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._after(0.05, self._poll_end)
        else:
            self._ended()

    def _ended(self) -> None:
        assert self._child is not None
        code = self._child.poll()
        if code is None or self._code is not None:
            return
        self._code = code
        if self._child.pidfd is not None:
            self._services.loop.unwatch(self._child.pidfd)
        if self._stopping:
            self._wait_for_rest(FIRST_POLL_SECONDS)
        else:
            self._kill()
            self._end()

    def _wait_for_rest(self, pause: float) -> None:
        if self.over:
            return
        if not self._members():
            return self._end()
        if self._killed:
            self._kill()
        pause = min(pause * 2, 4 * LAST_POLL_SECONDS)
        self._after(pause, lambda: self._wait_for_rest(pause))

    def _end(self) -> None:
        self.over = True
        for timer in self._timers:
            timer.cancel()
        if self._child is not None:
            self._last_words(self._child)
        old = self.seen.state
        state = "down" if self._stopping or self.spec.one_off else "crashed"
        if self._child is not None and not self._stopping:
            self._say(f"State changed from {old} to {'complete' if self.spec.one_off else state}")
        reason = self._reason or (f"Process exited with status {self._code}" if state == "crashed" else "")
        self._show(state=state, exit_code=self._code, reason=reason, since=time.time())
        self._changed()
        self._services.pool.submit(self._clean)

    def _last_words(self, child: process.Child) -> None:
        """What is still in the pipe, then how it ended."""
        self._services.loop.unwatch(child.output)
        with suppress(BlockingIOError):
            while data := os.read(child.output, process.PIPE_BYTES):
                self._put(self._lines.feed(data))
        self._put(self._lines.flush())
        if self._code == CANNOT_START and (problem := child.problem()):
            self._reason = f"The dyno could not be started: {problem}"
            self._say(self._reason)
        elif self._group and self._code == 137 and not self._reason and self._group.oom_kills() > self._ooms:
            self._reason = "Error R15 (Memory quota vastly exceeded)"
            self._say(self._reason)
        self._say(f"Process exited with status {self._code}")
        child.close()

    def _clean(self) -> None:  # in the pool
        group = self._group
        marker = f"SLIPWAY_DYNO={self.spec.id}"
        try:
            gone = process.end_all(group.pids if group else lambda: process.members(marker))
            if group and not (gone and group.remove()):
                log.warning("The control group of %s can't be removed", self.spec.id)
            isolation.remove(self._folder)
        finally:
            self._services.loop.post(self._cleaned)

    def _cleaned(self) -> None:
        if self.seen.port is not None:
            self._services.ports.give_back(self.seen.port)
        self.clean = True
        if self.spec.one_off and self._stopping and not self._closing:
            self._services.loop.after(LINGER_SECONDS, lambda: self._services.cleaned(self))
        else:
            self._services.cleaned(self)

    # --- small things -------------------------------------------------------------------------------------------

    def _show(self, **changes: Any) -> None:
        self.seen = replace(self.seen, **changes)

    def _changed(self) -> None:
        self._services.changed(self)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if timer.call is not None]
        self._timers.append(self._services.loop.after(seconds, call))


def _reason(error: Exception) -> str:
    """What to tell people; paths of the platform stay out of it."""
    if isinstance(error, EngineError):
        return str(error)
    log.warning("A dyno could not be started", exc_info=error)
    if isinstance(error, OSError) and error.strerror:
        return f"The dyno could not be started: {error.strerror}"
    return f"Error R99 (Platform error) -> {type(error).__name__}"
