"""One start of one dyno on the engine, from the slug to its last line. Unless said otherwise its methods belong to the
loop's thread; whatever asks the engine runs in the pool."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from core.errors import EngineError
from engine.drivers.boot import Boot, answers
from engine.drivers.start import R15, Start, reason_of
from engine.drivers.swarm import describe
from engine.drivers.swarm.client import Absent, Client
from engine.drivers.swarm.describe import Place, Recalled
from engine.drivers.swarm.hearing import Hearing
from engine.drivers.swarm.lines import MICRO, micro
from engine.drivers.swarm.services import Services
from engine.drivers.swarm.slugs import Code
from engine.drivers.swarm.streams import Carried
from engine.drivers.voice import Voice
from engine.spec import ProcessSpec

log = logging.getLogger(__name__)
ATTACH_SECONDS = 60.0  # a dyno that nobody attached to by then is given up
STEADY_SECONDS = 1.0  # a dyno without a port is up once it has run for so long
PLACE_SECONDS = 60.0  # a dyno that the engine has not started by then never settles
RETRY_SECONDS = 1.0  # until the engine is asked again after it could not be reached
LOOK_SECONDS = 0.01  # between looks whether somebody has come for what an ended dyno wrote
LAST_WORDS_SECONDS = 5.0  # a log that has neither gone on nor ended in that time, after its dyno did, is left
DEAF_SECONDS = 0.2  # that a launcher takes at most to listen to signals
HANG_UP_SECONDS = 1.0  # between two signals to what goes on in a terminal that nobody sits at
LOG_SECONDS = 0.2  # until it is looked why a log ended before its dyno
KILLED = 137
OVER = ("exited", "dead")
# States of a task that never comes to run, or does not run any more.
GONE = {"complete", "shutdown", "failed", "rejected", "remove", "orphaned"}
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
        self._name = describe.name(spec, services.instance)
        self._made: float | None = None  # when the engine had been told, on the monotonic clock
        self._container = ""
        self._there = ("", "")  # its node and container, when that is another node's
        self._began = 0.0  # on the monotonic clock
        self._ran = False  # its container was seen running, or to have run
        self._shown = False  # and its state says so
        self._adopted = False
        self._published = False
        self._env = ""
        self._next: Callable[[], None] | None = None  # starts one ahead for the release after this
        self._spare = ""  # the token of what was started ahead for it
        self._brings_code = False  # its slug is on its way to where all nodes find it
        self._waits_since = 0.0  # for the Swarm to start it, on the monotonic clock
        self._hindrance = ""  # why the Swarm has not started it yet
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
        self._early: tuple[int | None, bool] | None = None  # how it ended, before we knew that it had started
        self.guests: list[Callable[[], None]] = []  # each puts out one who was let in

    # --- the beginning ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. For any thread."""
        self._loop.post(self._prepare)

    def adopt(self, found: Recalled) -> None:
        """It runs since before this driver did. For any thread, before anything else."""
        self._adopted, self._published, self._made = True, found.published, time.monotonic()
        if found.spare:
            self._spare, self._name = found.spare, describe.spare_name(found.spare)
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
        self._waits_since = time.monotonic()
        self._after(PLACE_SECONDS, self._not_placed)
        self._create_soon()

    def _create_soon(self) -> None:
        if self._stopping:
            return self._end()
        self._services.pool.submit(self._create)

    def _create(self) -> None:  # in the pool
        try:
            self._make()
        except EngineError as error:
            if error.permanent:
                reason = reason_of(error)
                return self._loop.post(lambda: self._never(reason))
            log.info("%s has to wait: %s", self.spec.id, error)
            self._hindrance = str(error)
            self._loop.post(lambda: self._after(RETRY_SECONDS, self._create_soon))
        except Exception as error:
            reason = reason_of(error)
            self._loop.post(lambda: self._never(reason))
        else:
            self._loop.post(self._is_made)

    def _make(self) -> None:  # in the pool
        spec, services = self.spec, self._services
        self._published = services.publish() and spec.web
        code = self._bring_code()
        place = Place(
            instance=services.instance,
            image=code.image,
            uid=services.first_uid + spec.slot,
            port=self.seen.port,
            cores=services.cores,
            tree=code.tree,
            only=services.node if code.here or spec.volumes else "",
            publish=self._published,
        )
        if not spec.one_off:
            return self._make_service(place)
        self._env = describe.env_digest(describe.env(spec, place))
        id = self._client.create_container(describe.container(spec, place), self._name)
        if spec.attach:
            self._streams = Carried(spec.attach, self._client.attach(id), hung_up=self._hang_up)
        self._client.start(id)
        self._loop.post(lambda: self.started(id))

    def _make_service(self, place: Place) -> None:  # in the pool
        spec, spares = self.spec, self._services.spares
        if spares.is_due(spec, place):
            self._next = lambda: _ignore(self._services.pool.submit(spares.make, spec, place))
        if spare := spares.take(spec, place):
            self._name, self._spare = spare.name, spare.token
            self._loop.post(lambda: self.started(spare.container))
            return spares.name(spare, spec, place)
        self._env = describe.env_digest(describe.env(spec, place))
        self._client.create_service(describe.service(spec, place))

    def _bring_code(self) -> Code:  # in the pool
        """What it runs, once that is where its node finds it. How long that takes is no fault of the Swarm's."""
        began, self._brings_code = time.monotonic(), True
        try:
            return self._services.slugs.code(self.spec)
        finally:
            self._waits_since += time.monotonic() - began
            self._brings_code = False

    def _is_made(self) -> None:
        self._made = time.monotonic()
        if self._stopping and not self._ran:
            self._end()

    def _not_placed(self) -> None:
        left = self._waits_since + PLACE_SECONDS - time.monotonic()
        if self._brings_code or left > 0:
            self._after(max(left, RETRY_SECONDS), self._not_placed)
        elif not self._ran and not self._stopping:
            why = f": {self._hindrance}" if self._hindrance else "."
            self._never(f"The engine did not start it within {PLACE_SECONDS:g} seconds{why}")

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
        return self._made is not None and not self._ran and time.monotonic() - self._made > seconds

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
        self._await_last_words()
        if self._hearing.over:
            self._read_rest()

    def _await_last_words(self) -> None:
        """A log may be long, and the machine busy: it is waited for as long as something of it comes."""
        heard = self._hearing.at

        def look() -> None:
            if self._hearing.at == heard:
                self._end()
            else:
                self._await_last_words()

        self._after(LAST_WORDS_SECONDS, look)

    def short_of_memory(self) -> None:
        """The kernel has killed one of its processes for want of memory."""
        if self._ran and self._code is None:
            self._kill_because(R15)

    def check(self) -> None:
        """Look whether its container still runs: news may have been lost."""
        if self._ran and self._code is None and not self.over and self._container != ELSEWHERE:
            self._services.pool.submit(self._inspect, self._checked)

    def task(self, task: dict[str, Any], address: str) -> None:
        """What the Swarm says of its task. `address` is that of the task's node."""
        status, here = task.get("Status", {}), task.get("NodeID") == self._services.node
        state, code = status.get("State"), status.get("ContainerStatus", {}).get("ExitCode")
        if self.over or (here and self._ran):
            return
        self._hindrance = status.get("Err", "")
        self._there = task.get("NodeID", ""), status.get("ContainerStatus", {}).get("ContainerID", "")
        gone_unseen = _ran_and_ended(status) and not self._container
        if not here and not self._container and (state == "running" or gone_unseen):
            self._container = ELSEWHERE
            self._show(host=address)
            self._begin_to_run()
            if gone_unseen:
                self._died_there(code)
        elif here and gone_unseen:  # the event of its start is on its way
            self.started(self._there[1])
        elif self._ran and (state in GONE or (task.get("DesiredState") in GONE and not self._stopping)):
            self._died_there(code if state in GONE else None)
        elif not self._container and state in GONE:
            self._never(
                f"The engine could not start it: {status.get('Err') or status.get('Message') or state}"
            )

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
        if self.over or self._made is None or self._made > since:
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
        if self._published:  # so that a router on any node finds it
            address = self._services.address
        self._show(host=address, pid=found["State"]["Pid"] or None)
        age = max(0.0, time.time() - micro(found["State"]["StartedAt"].encode()) / MICRO)
        self._begin_to_run(0.0 if self._spare and not self._adopted else age)
        if self._env and self._env != describe.env_digest(_own_env(found["Config"]["Env"], self.spec)):
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
        self._ran, self._began = True, time.monotonic() - age
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
            if self._next:
                self._after(self._services.pause, self._next)

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
            return "services", self._name
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
        if self._made is not None and not self._ran and not self.over and not self._container:
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
        """Send it, once the launcher is there to hear it: the first process of a container misses others."""
        if self.over or not self._container:
            return
        early = DEAF_SECONDS - (time.monotonic() - self._began)
        if early > 0 and name != "SIGKILL":
            self._after(early, lambda: self._signal(name))
        else:
            self._services.pool.submit(self._send, name)

    def _send(self, name: str) -> None:  # in the pool
        try:
            if engine := self.engine():
                client, id = engine
                client.kill(id, name)
            else:
                self._client.remove_service(self._name)  # with SIGTERM first, by the node's engine
        except EngineError as error:
            log.warning("%s did not get %s: %s", self.spec.id, name, error)
            self._loop.post(lambda: self._after(RETRY_SECONDS, lambda: self._signal(name)))

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
            if self.spec.one_off:
                self._client.remove_container(self._name)
            else:
                self._client.remove_service(self._name)
                if self._container not in ("", ELSEWHERE):
                    self._client.remove_container(self._container)
                if self._spare:
                    self._services.spares.forget(self._spare)
        except EngineError as error:
            log.warning("%s is not removed yet: %s", self.spec.id, error)
            self._again_soon(self._clean)
        else:
            self._loop.post(self._cleaned)

    def _again_soon(self, call: Callable[..., None], *args: Any) -> None:  # in the pool
        """Have `call` called in the pool once more; also when all else about the dyno is over."""

        def submit() -> None:
            self._services.pool.submit(call, *args)

        self._loop.post(lambda: _ignore(self._loop.after(RETRY_SECONDS, submit)))

    def _cleaned(self) -> None:
        if self.seen.port is not None:
            self._services.ports.give_back(self.seen.port)
        super()._cleaned()


def _ran_and_ended(status: dict[str, Any]) -> bool:
    """Whether a task ended by its own process: it may do so between two looks at it. One that could not be started says so
    in other words."""
    own = status.get("State") == "complete" or status.get("Err", "").startswith("task: non-zero exit")
    return own and bool(status.get("ContainerStatus", {}).get("ContainerID"))


def _ignore(_: object) -> None:
    pass


def _own_env(pairs: list[str], spec: ProcessSpec) -> list[str]:
    """Those of a container's variables that we gave it: an image has its own."""
    wished = {"PORT", "DYNO", "SLIPWAY_DYNO", "SLIPWAY_INSTANCE", *spec.env}
    if not spec.image:
        wished |= {"PATH", "HOME", "LANG", "TMPDIR"}
    return [pair for pair in pairs if pair.split("=", 1)[0] in wished]
