"""One start of one dyno on the engine, from the slug to its last line. Unless said otherwise its methods belong to the
loop's thread; whatever asks the engine runs in the pool."""

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from core.errors import EngineError
from engine.drivers.boot import Boot, answers
from engine.drivers.start import R15, Start, reason_of
from engine.drivers.swarm.client import Absent, Client
from engine.drivers.swarm.creation import RETRY_SECONDS, Creation
from engine.drivers.swarm.describe import Recalled
from engine.drivers.swarm.hearing import Hearing
from engine.drivers.swarm.lines import MICRO, micro
from engine.drivers.swarm.services import Services
from engine.drivers.swarm.signals import Signals
from engine.drivers.swarm.streams import Carried
from engine.drivers.swarm.task import Task
from engine.drivers.voice import Voice
from engine.spec import ProcessSpec

log = logging.getLogger(__name__)
ATTACH_SECONDS = 60.0  # a dyno that nobody attached to by then is given up
STEADY_SECONDS = 1.0  # a dyno without a port is up once it has run for so long
LOOK_SECONDS = 0.01  # between looks whether somebody has come for what an ended dyno wrote
HANG_UP_SECONDS = 1.0  # between two signals to what goes on in a terminal that nobody sits at
LOG_SECONDS = 0.2  # until it is looked why a log ended before its dyno
KILLED = 137
OVER = ("exited", "dead")
ELSEWHERE = "elsewhere"  # in place of a container's id: another node's engine has it


class Dyno(Start):
    """One start of one dyno, as the task of a service or, when it is a one-off, as a container."""

    _streams: Carried | None

    def __init__(self, spec: ProcessSpec, services: Services) -> None:
        self._stream = spec.stream or f"app/{spec.app}"
        super().__init__(
            spec,
            loop=services.loop,
            voice=Voice(self._stream, spec.dyno, services.loop, services.outlet),
            changed=services.changed,
            cleaned=services.cleaned,
        )
        self._services, self._client = services, services.client
        self._container = ""
        self._there = ("", "")  # its node and container, when that is another node's
        self._ran = False  # its container was seen running, or to have run
        self._shown = False  # and its state says so
        self._adopted = False
        self._creation = Creation(
            spec,
            services,
            after=self._after,
            goes_on=self._goes_on,
            made=self._is_made,
            failed=self._never,
            started=self.started,
            attached=self._attached,
        )
        self._hearing = Hearing(
            spec.dyno,
            client=services.client,
            loop=services.loop,
            pool=services.pool,
            voice=self._voice,
            where=self._whose_log,
            is_over=lambda: self.over,
            broke=self._log_ended,
            done=lambda: self._end(),
        )
        self._signals = Signals(
            spec.id,
            services,
            after=self._after,
            wanted=lambda: bool(self._container) and not self.over,
            engine=self.engine,
            service=lambda: self._creation.name,
        )
        self._early: tuple[int | None, bool] | None = None  # how it ended, before we knew that it had started
        self.guests: list[Callable[[], None]] = []  # each puts out one who was let in

    # --- the beginning ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. For any thread."""
        self._loop.post(self._prepare)

    def adopt(self, found: Recalled) -> None:
        """It runs since before this driver did. For any thread, before anything else."""
        self._adopted = True
        self._creation.adopt(found)
        self._hearing.know(*self._services.last(self._stream, self.spec.dyno))
        self._show(port=found.port)

    def _prepare(self) -> None:
        if self._stopping:
            return self._end()
        try:
            if self.spec.web:
                self._show(port=self._services.ports.take())
        except EngineError as error:
            return self._never(reason_of(error))
        self._creation.begin(self.seen.port)
        self._after(self._creation.seconds_left, self._not_placed)

    def _goes_on(self) -> bool:
        if self._stopping:
            self._end()
        return not self._stopping

    def _attached(self, connection: socket.socket) -> None:  # in the pool
        assert self.spec.attach
        self._streams = Carried(self.spec.attach, connection, hung_up=self._hang_up)

    def _is_made(self) -> None:
        if self._stopping and not self._ran:
            self._end()

    def _not_placed(self) -> None:
        if left := self._creation.seconds_left:
            self._after(left, self._not_placed)
        elif not self._ran and not self._stopping:
            self._never(self._creation.overdue)

    def _never(self, reason: str) -> None:
        if not self.over:
            self._reason = reason
            self._voice.say(reason)
            self._end()

    @property
    def container(self) -> str:
        """The id of its container once there is one, or `ELSEWHERE`. For any thread."""
        return self._container

    def engine(self) -> tuple[Client, str] | None:
        """Whom to ask about its container, and the id to name; None when nobody can be asked. For any thread."""
        if self._container != ELSEWHERE:
            return (self._client, self._container) if self._container else None
        node, id = self._there
        client = self._services.ways.to(node)
        return (client, id) if client and id else None

    # --- the engine's news --------------------------------------------------------------------------------------

    def started(self, container: str) -> None:
        """The engine runs a container of it, or has run one. May be called again."""
        if not self._container and not self.over:
            self._container = container
            self._services.pool.submit(self._inspect, self._running)

    def ended(self, code: int) -> None:
        """The engine says that its container has ended; why it was killed has to be asked for."""
        if code == KILLED and self._ran and not self._stopping and not self._reason:
            self.check()
        else:
            self.died(code)

    def is_awaited(self, seconds: float) -> bool:
        """Whether it should have come to run `seconds` ago, or runs where no event tells of it. For any thread."""
        if self.over or self._container == ELSEWHERE:
            return not self.over
        made = self._creation.at
        return made is not None and not self._ran and time.monotonic() - made > seconds

    def is_settled(self) -> bool:
        """Whether all is known of it that the engine knows. For any thread."""
        return self.over or self._shown or not self._container

    def died(self, code: int | None, oom: bool = False) -> None:
        """Its container has ended. May be called again."""
        if self._code is not None or self.over:
            return
        if not self._ran:
            self._early = (code, oom)
            return
        if self._streams and not (self._streams.taken or self._stopping or self._reason):
            return self._after(
                LOOK_SECONDS, lambda: self.died(code, oom)
            )  # what it wrote is still to be fetched
        if code is None:  # and with its container its log is gone
            return self._end()
        self._code = code
        if oom and code == KILLED and not self._reason:
            self._reason = R15
            self._voice.say(R15)
        self._hearing.await_silence(self._after, self._end)
        if self._hearing.over:
            self._read_rest()

    def short_of_memory(self) -> None:
        """The kernel has killed one of its processes for want of memory."""
        if self._ran and self._code is None:
            self._kill_because(R15)

    def check(self) -> None:
        """Look whether its container still runs: news may have been lost."""
        if self._ran and self._code is None and not self.over and self._container != ELSEWHERE:
            self._services.pool.submit(self._inspect, self._checked)

    def task(self, task: Task, address: str) -> None:
        """What the Swarm says of its task. `address` is that of the task's node."""
        here = task.node == self._services.node
        if self.over or (here and self._ran):
            return
        self._creation.hindrance = task.fault
        self._there = task.node, task.container
        gone_unseen = task.ran_and_ended and not self._container
        if not here and not self._container and (task.runs or gone_unseen):
            self._container = ELSEWHERE
            self._show(host=address)
            self._begin_to_run()
            if gone_unseen:
                self._died_there(task.code)
        elif here and gone_unseen:  # the event of its start is on its way
            self.started(task.container)
        elif self._ran and (task.is_gone or (task.is_to_go and not self._stopping)):
            self._died_there(task.code if task.is_gone else None)
        elif not self._container and task.is_gone:
            self._never(f"The engine could not start it: {task.why_gone}")

    def _died_there(self, code: int | None) -> None:
        """It has ended on another node, whose engine knows why it was killed."""
        engine = self.engine() if code == KILLED and not (self._stopping or self._reason) else None
        if engine:
            self._services.pool.submit(self._ask_why, *engine)
        else:
            self.died(code)

    def _ask_why(self, client: Client, id: str) -> None:  # in the pool
        oom = False
        with contextlib.suppress(EngineError):
            oom = bool(client.container(id)["State"]["OOMKilled"])
        self._loop.post(lambda: self.died(KILLED, oom))

    def absent(self, since: float) -> None:
        """The engine knew nothing of it at `since`, on the monotonic clock."""
        made = self._creation.at
        if self.over or made is None or made > since:
            return
        if self._ran:
            self.died(None)
        else:
            self._never("The engine lost it before it ran.")

    def _inspect(self, then: Callable[[dict[str, Any]], None]) -> None:  # in the pool
        try:
            found = self._client.container(self._container)
        except Absent:
            self._loop.post(lambda: self.absent(time.monotonic()))
        except EngineError:
            self._again_soon(self._inspect, then)
        else:
            self._loop.post(lambda: then(found))

    def _running(self, found: dict[str, Any]) -> None:
        if self.over:
            return
        if self._stopping:
            return self._end()
        networks = found["NetworkSettings"]["Networks"].values()
        address = next((each["IPAddress"] for each in networks if each["IPAddress"]), self.seen.host)
        if self._creation.published:  # so that a router on any node finds it
            address = self._services.address
        self._show(host=address, pid=found["State"]["Pid"] or None)
        age = max(0.0, time.time() - micro(found["State"]["StartedAt"].encode()) / MICRO)
        self._begin_to_run(0.0 if self._creation.spare and not self._adopted else age)
        if not self._creation.is_given(found["Config"]["Env"]):
            self._kill_because("Error R99 (Platform error) -> the engine gave it another environment")
        self._checked(found)
        if self._early:
            self.died(*self._early)

    def _checked(self, found: dict[str, Any]) -> None:
        state = found["State"]
        if state["Status"] in OVER:
            self.died(state["ExitCode"], state["OOMKilled"])
        elif self._hearing.over and not self.spec.attach and not self.over:
            self._hearing.follow()

    # --- meanwhile ----------------------------------------------------------------------------------------------

    def _begin_to_run(self, age: float = 0.0) -> None:
        """Its process is there, for `age` seconds."""
        self._ran, self._signals.began = True, time.monotonic() - age
        if not self._adopted:
            self._voice.say(f"Starting process with command `{self.spec.command}`")
        if self.spec.attach:
            self._hearing.over = True
            if self._streams:
                self._streams.started()
                self._after(ATTACH_SECONDS, self._not_attached)
            else:
                self._kill_because(
                    "Error R13 (Attach error) -> The platform that it was attached to has ended"
                )
        else:
            self._hearing.follow()
        if self.spec.seconds is not None:
            self._after(max(0.0, self.spec.seconds - age), self._time_limit)
        self._wait_until_up(age)
        self._shown = True
        self._changed()

    def _wait_until_up(self, age: float) -> None:
        port = self.seen.port
        if port is not None:
            if self._adopted and answers(self.seen.host, port):
                return self._show(state="up")
            self._boot = Boot(
                self.spec,
                self.seen.host,
                port,
                loop=self._loop,
                requests=self._services.health,
                is_ours=lambda: True,  # nobody else has its address
                up=self._up,
                failed=self._kill_because,
            )
            self._boot.begin()
        elif self._adopted:
            self._show(state="up")
        elif self.spec.one_off:
            self._up()
        else:
            self._after(max(0.0, STEADY_SECONDS - age), self._up)

    def _up(self) -> None:
        if self.seen.state == "starting" and self._code is None and not self.over:
            super()._up()
            if self._creation.make_spare:
                self._after(self._services.pause, self._creation.make_spare)

    def sample(self) -> None:
        """Look at its memory. In the pool."""
        engine = self.engine() if self._ran else None
        if engine:
            client, id = engine
            with contextlib.suppress(EngineError):
                used = client.memory(id)
                self._loop.post(lambda: self._sampled(used))

    def _sampled(self, used: int) -> None:
        if not self.over and self._code is None and not self._reason:
            self._uses(used)

    # --- its lines ----------------------------------------------------------------------------------------------

    def _whose_log(self) -> tuple[str, str]:
        if self._container == ELSEWHERE:
            return "services", self._creation.name
        return "containers", self._container

    def _log_ended(self) -> None:
        if self._code is not None:
            self._read_rest()
        elif not self.over:
            self._after(LOG_SECONDS, self.check)

    def _read_rest(self) -> None:
        if self.spec.attach or self._container == ELSEWHERE or self._code is None:
            return self._end()
        self._hearing.read_rest()

    # --- the end ------------------------------------------------------------------------------------------------

    def stop(self, *, closing: bool = False) -> None:
        """SIGTERM to all its processes, SIGKILL after the stop time, and forget it; may be called again."""
        self._put_guests_out()
        super().stop(closing=closing)
        if self._creation.at is not None and not self._ran and not self.over and not self._container:
            self._end()

    def _put_guests_out(self) -> None:
        for put_out in tuple(self.guests):
            put_out()

    def let_go(self) -> None:
        """The driver ends, and it goes on."""
        self._hearing.close()

    def _has_process(self) -> bool:
        return self._ran

    def _terminate(self) -> None:
        self._signal("SIGTERM")

    def _kill(self) -> None:
        if self._ran:
            self._signal("SIGKILL")
        else:
            self._end()

    def _hang_up(self) -> None:  # in a thread of the streams
        self._loop.post(self._send_hang_up)

    def _send_hang_up(self) -> None:
        if not self.over and self._code is None:
            self._signal("SIGHUP")
            self._after(HANG_UP_SECONDS, self._send_hang_up)

    def _signal(self, name: str) -> None:
        self._signals.send(name)

    def _end(self) -> None:
        if not self.over:
            self._put_guests_out()
            self._conclude()
            self._services.pool.submit(self._clean)

    def _last_words(self) -> None:
        self._hearing.close()
        if self._code is not None:
            super()._last_words()

    def _clean(self) -> None:  # in the pool
        if self._streams:
            self._streams.free()
        try:
            self._creation.undo("" if self._container == ELSEWHERE else self._container)
        except EngineError as error:
            log.warning("%s is not removed yet: %s", self.spec.id, error)
            self._again_soon(self._clean)
        else:
            self._loop.post(self._cleaned)

    def _again_soon(self, call: Callable[..., None], *args: Any) -> None:  # in the pool
        """Have `call` called in the pool once more; also when all else about the dyno is over."""

        def submit() -> None:
            self._services.pool.submit(call, *args)

        def later() -> None:
            self._loop.after(RETRY_SECONDS, submit)

        self._loop.post(later)

    def _cleaned(self) -> None:
        if self.seen.port is not None:
            self._services.ports.give_back(self.seen.port)
        super()._cleaned()
