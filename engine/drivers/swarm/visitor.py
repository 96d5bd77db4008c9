"""A process in the container of a dyno that runs: its user, files, limits and end are that dyno's."""

import contextlib
import math
from dataclasses import replace
from pathlib import Path

from core.errors import EngineError
from engine.drivers import environment
from engine.drivers.swarm import describe
from engine.drivers.swarm.client import Absent, Taken
from engine.drivers.swarm.creation import RETRY_SECONDS
from engine.drivers.swarm.describe import Place
from engine.drivers.swarm.dyno import ELSEWHERE, HANG_UP_SECONDS, Dyno
from engine.drivers.swarm.image import HOME
from engine.drivers.swarm.services import Services
from engine.drivers.swarm.streams import Carried
from engine.spec import Attach, ProcessSpec

ENDED = "The dyno that it ran in has ended."
NOT_UP = "The dyno does not run, or not yet. Look at heroku ps."
NO_WAY = "The dyno runs on a node that can't be reached now. Try again in a minute, or heroku run, which starts one beside it."
NOBODY = "Who is let into a dyno has to sit at its streams."
ENTER = Path(__file__).with_name("enter.pl").read_text()
LOOK_SECONDS = 0.1  # between looks whether what wrote its last has ended
SLOW_SECONDS = 5.0  # between looks at what still holds its streams open
SPARE_SECONDS = 60  # by which a time limit in the container is later than ours
# To all that carry a start's marker, with what every image has.
SIGNAL = """PATH=/usr/bin:/bin
for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ | grep -qxF "$1" && kill -$2 ${p#/proc/}; done"""


class Visitor(Dyno):
    """A one-off dyno without a container of its own. Its processes are known by their marker."""

    def __init__(self, spec: ProcessSpec, services: Services, host: Dyno, attach: Attach) -> None:
        super().__init__(spec, services)
        self._host, self._attach = host, attach
        self._place = ""  # the container, by the id that `self._client` knows
        self._exec = ""
        self._hung_up = False
        self._looks = False

    # --- the beginning ------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        if self._stopping:
            return self._end()
        if self._host.seen.state != "up" or self._host.over or not self._host.container:
            return self._never(NOT_UP)
        engine = self._host.engine()
        if engine is None:
            return self._never(NO_WAY)
        self._client, self._place = engine
        self._host.guests.append(self.put_out)
        self._services.pool.submit(self._enter)

    def _enter(self) -> None:  # in the pool
        try:
            self._exec = self._client.create_exec(self._place, self._body())
            connection = self._client.start_exec(self._exec, tty=self._attach.tty)
            self._streams = Carried(
                self._attach,
                connection,
                hung_up=self._hang_up,
                silenced=lambda: self._loop.post(self._look_soon),
                resize=self._resize_soon,
            )
            if self._attach.tty and self.spec.image:
                self._resize(self._attach.columns, self._attach.lines)
        except EngineError as error:
            reason = NOT_UP if isinstance(error, Absent | Taken) else str(error)
            self._loop.post(lambda: self._never(reason))
        else:
            self._loop.post(self._entered)

    def _resize_soon(self, columns: int, lines: int) -> None:
        self._services.pool.submit(self._resize, columns, lines)

    def _resize(self, columns: int, lines: int) -> None:  # in the pool
        with contextlib.suppress(Absent, Taken):  # it was quick
            self._client.resize_exec(self._exec, lines, columns)

    def _body(self) -> dict[str, object]:
        """Its command, with the environment, the name and the port of its host, and a marker of its own."""
        spec, services = replace(self.spec, dyno=self._host.spec.dyno), self._services
        place = Place(
            instance=services.instance, image="", uid=0, port=self._host.seen.port, cores=services.cores
        )
        body: dict[str, object] = {
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": self._attach.tty,
            "Env": describe.env(spec, place),
        }
        if spec.image:
            return body | {"Cmd": describe.argv(spec)[0]}
        unset = "" if "HOSTNAME" in spec.env else "HOSTNAME"
        size = f"{self._attach.lines}x{self._attach.columns}" if self._attach.tty else ""
        seconds = math.ceil(spec.seconds) + SPARE_SECONDS if spec.seconds is not None else 0
        enter = ["/usr/bin/perl", "-T", "-e", ENTER, "--", unset, size, str(seconds)]
        return body | {"Cmd": [*enter, *environment.command(spec)], "WorkingDir": HOME}

    def _entered(self) -> None:
        self._begin_to_run()
        self._after(SLOW_SECONDS, self._look_now_and_then)
        if self._reason:
            self._kill()
        elif self._stopping:
            self._terminate()

    # --- meanwhile ----------------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Its memory is counted with its host's."""

    def _look_now_and_then(self) -> None:
        self._look_soon()
        self._after(SLOW_SECONDS, self._look_now_and_then)

    def _look_soon(self) -> None:
        if not (self.over or self._looks) and self._code is None:
            self._looks = True
            self._services.pool.submit(self._look)

    def _look(self) -> None:  # in the pool
        code: int | None = None
        gone = runs = False
        try:
            found = self._client.exec(self._exec)
            runs, code = bool(found["Running"]), found["ExitCode"]
        except Absent:  # with its container
            gone = True
        except EngineError:
            runs, gone = True, self._is_lost()
        self._loop.post(lambda: self._looked(runs, code, gone))

    def _looked(self, runs: bool, code: int | None, gone: bool) -> None:
        self._looks = False
        if gone:
            self._reason = self._reason or ENDED
            self.died(None)
        elif not runs and code is not None:  # without a code it is only about to run
            self.died(code)
        elif self._streams and self._streams.silent:
            self._after(LOOK_SECONDS, self._look_soon)

    def put_out(self) -> None:
        """The host stops or has ended, so this ends too, at once: nobody's shell may hold up its stop."""
        self._kill_because(ENDED)

    # --- the end ------------------------------------------------------------------------------------------------

    def let_go(self) -> None:
        """The driver ends: nobody can sit at it any more."""
        if self._ran and not self.over:
            with contextlib.suppress(EngineError):
                self._tell("KILL")

    def _kill(self) -> None:
        if self._ran:
            self._signal("SIGKILL")

    def _send_hang_up(self) -> None:
        if not self.over and self._code is None:
            self._signal("SIGHUP")
            if not self._hung_up:  # what began meanwhile did not hear the first
                self._hung_up = True
                self._after(HANG_UP_SECONDS, self._send_hang_up)

    def _signal(self, name: str) -> None:
        if not self.over:
            self._services.pool.submit(self._send, name)

    def _send(self, name: str) -> None:  # in the pool
        try:
            self._tell(name.removeprefix("SIG"))
        except EngineError:
            self._loop.post(lambda: self._after(RETRY_SECONDS, lambda: self._signal(name)))
        self._loop.post(self._look_soon)

    def _tell(self, signal: str) -> None:
        marker = f"SLIPWAY_DYNO={self.spec.id}"
        with contextlib.suppress(Absent, Taken):  # the container has ended, and all in it
            self._client.do(self._place, ["/bin/sh", "-c", SIGNAL, "signal", marker, signal])

    def _clean(self) -> None:  # in the pool
        if self._streams:
            self._streams.free()
        try:
            if self._exec:
                self._tell("KILL")  # what it left behind
        except EngineError:
            if not self._is_lost():
                return self._again_soon(self._clean)
        self._loop.post(self._gone)

    def _is_lost(self) -> bool:
        """Whether its node may never be heard of again, and what runs there is the Swarm's to end."""
        return self._host.over and self._host.container == ELSEWHERE

    def _gone(self) -> None:
        if self.put_out in self._host.guests:
            self._host.guests.remove(self.put_out)
        self._cleaned()


def visit(spec: ProcessSpec, services: Services, host: Dyno | None) -> Visitor:
    """The start of `spec` in the container of `host`; `EngineError` when that can't be."""
    if host is None or host.spec.app != spec.app:
        raise EngineError(NOT_UP, permanent=True)
    if host.container == ELSEWHERE and host.engine() is None:
        raise EngineError(NO_WAY, permanent=True)
    if spec.attach is None:
        raise EngineError(NOBODY, permanent=True)
    return Visitor(spec, services, host, spec.attach)
