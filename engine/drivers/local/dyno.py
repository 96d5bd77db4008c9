"""One start of one dyno, from the slug to its last line. Unless said otherwise its methods belong to the loop's thread."""

import json
import logging
import signal
from typing import TYPE_CHECKING, Any

from engine.drivers.boot import Boot
from engine.drivers.environment import markers
from engine.drivers.local import isolation, ports, process
from engine.drivers.local.cgroups import Group
from engine.drivers.local.request import request
from engine.drivers.local.services import Services
from engine.drivers.start import R15, Start, reason_of
from engine.drivers.streams import Streams
from engine.drivers.voice import Voice
from engine.spec import ProcessSpec

if TYPE_CHECKING:
    from engine.drivers.local.visitor import Visitor

log = logging.getLogger(__name__)
ATTACH_SECONDS = 60.0  # a dyno that nobody attached to by then is given up
STEADY_SECONDS = 1.0  # a dyno without a port is up once it has run for so long
LOOK_SECONDS = 0.05  # between looks at what has not ended yet
CANNOT_START = 126


class Dyno(Start):
    """One start of one dyno, as a process."""

    _streams: Streams | None

    def __init__(self, spec: ProcessSpec, services: Services) -> None:
        stream = spec.stream or f"app/{spec.app}"
        super().__init__(
            spec,
            loop=services.loop,
            voice=Voice(stream, spec.dyno, services.loop, services.outlet),
            changed=services.changed,
            cleaned=services.cleaned,
        )
        self._services = services
        self._folder = services.folder / spec.id.replace("/", "_")
        self._markers = markers(spec.id, services.tag)
        self.part: dict[str, Any] | None = None  # the isolation's share of its request
        self.visitors: list[Visitor] = []  # processes that run in its walls
        self._child: process.Child | None = None
        self._group: Group | None = None
        self._uid: int | None = None
        self._killed = False
        self._ooms = 0

    # --- the beginning ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. For any thread."""
        self._services.pool.submit(self._prepare)

    def _prepare(self) -> None:  # in the pool
        services, spec = self._services, self.spec
        try:
            services.level.demand_volumes(spec.volumes)
            part = services.level.prepare(
                self._folder, services.tree(spec.slug), services.first_uid + spec.slot
            )
            if services.cgroups:
                self._group = services.cgroups.make(spec.id.replace("/", "_"), spec.size)
        except Exception as error:
            reason = reason_of(error)
            services.loop.post(lambda: self._never(reason))
        else:
            services.loop.post(lambda: self._launch(part))

    def _never(self, reason: str) -> None:
        self._reason = reason
        self._voice.say(reason)
        self._end()

    def _launch(self, part: dict[str, Any]) -> None:
        if self._stopping:
            return self._end()
        try:
            if self.spec.web:
                self._show(port=self._services.ports.take())
            if self.spec.attach:
                self._streams = Streams(self.spec.attach)
            self._child = process.spawn(self._markers, self._keep())
        except Exception as error:
            return self._never(reason_of(error))
        self._uid, self.part = part["uid"], part
        self._voice.say(f"Starting process with command `{self.spec.command}`")
        self._show(pid=self._child.pid)
        self._services.launches.submit(self._hand_over, self._child, self._whole(part))
        self._watch(self._child)
        if self._streams:
            self._streams.started()
            self._after(ATTACH_SECONDS, self._not_attached)
        self._changed()

    def _keep(self) -> tuple[int, ...]:
        """The descriptors that its process shall have."""
        return self._streams.theirs if self._streams else ()

    def _whole(self, part: dict[str, Any]) -> dict[str, Any]:
        """All that the launcher is told."""
        services, port, theirs = self._services, self.seen.port, self._keep() or None
        return request(self.spec, part, port=port, tag=services.tag, group=self._group, streams=theirs)

    def _hand_over(self, child: process.Child, whole: dict[str, Any]) -> None:  # in the pool
        record = {"pid": child.pid, "started": process.started_at(child.pid)}
        try:
            child.launch(whole)
            (self._folder / "process.json").write_text(json.dumps(record))
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            self._services.loop.post(lambda: self._kill_because(reason))

    def _watch(self, child: process.Child) -> None:
        self._voice.listen(child.output)
        if child.pidfd is not None:
            self._services.loop.watch(child.pidfd, self._ended)
        else:
            self._poll_end()
        if self.seen.port is not None:
            self._boot = self._make_boot(self.seen.port)
            self._boot.begin()
        elif self.spec.one_off:
            self._up()
        else:
            self._after(STEADY_SECONDS, self._up)
        if self.spec.seconds is not None:
            self._after(self.spec.seconds, self._time_limit)

    def _make_boot(self, port: int) -> Boot:
        services = self._services
        return Boot(
            self.spec,
            "127.0.0.1",
            port,
            loop=services.loop,
            requests=services.health,
            is_ours=lambda: self._owns(port),
            up=self._up,
            failed=self._kill_because,
        )

    def _owns(self, port: int) -> bool | None:
        found = ports.listeners(port)
        if not found:
            return None if process.LINUX else True
        if self._uid is not None:
            return all(listener.uid == self._uid for listener in found)
        ours = process.sockets(self._members())
        return all(listener.inode in ours for listener in found)

    # --- meanwhile ----------------------------------------------------------------------------------------------

    def _up(self) -> None:
        if self.seen.state != "starting" or self._child is None or self._child.poll() is not None:
            return
        super()._up()

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
        if ooms > self._ooms:
            self._ooms = ooms
            self._kill_because(R15)
        else:
            self._uses(used)

    # --- who is let in ------------------------------------------------------------------------------------------

    @property
    def pidfd(self) -> int | None:
        """What its process is known by to the kernel; None without one, and on systems that have no such thing."""
        return self._child.pidfd if self._child else None

    @property
    def group(self) -> Group | None:
        """Its control group."""
        return self._group

    def has_begun(self) -> bool:
        """Whether its walls stand: the command has begun inside them, and has not ended."""
        return self._child is not None and self._child.poll() is None and self._child.has_begun()

    def stop(self, *, closing: bool = False) -> None:
        """As every dyno stops; who is in its walls goes first."""
        self._put_out()
        super().stop(closing=closing)

    def _put_out(self) -> None:
        for visitor in self.visitors:
            visitor.put_out()
        self.visitors = []

    # --- the end ------------------------------------------------------------------------------------------------

    def _has_process(self) -> bool:
        return self._child is not None

    def _terminate(self) -> None:
        process.send(self._members(), signal.SIGTERM)

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
            pids |= process.members(self._markers, child.pid if child else None)
        return pids

    def _poll_end(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._after(LOOK_SECONDS, self._poll_end)
        else:
            self._ended()

    def _ended(self) -> None:
        assert self._child is not None
        code = self._child.poll()
        if code is None or self._code is not None:
            return
        if self._child.pidfd is not None:
            self._services.loop.unwatch(self._child.pidfd)
        if self._streams and not (self._streams.taken or self._stopping or self._reason):
            return self._after(LOOK_SECONDS / 5, self._ended)  # what it wrote is still to be fetched
        self._code = code
        if self._stopping:
            self._wait_for_rest(LOOK_SECONDS / 10)
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
        pause = min(pause * 2, 4 * LOOK_SECONDS)
        self._after(pause, lambda: self._wait_for_rest(pause))

    def _end(self) -> None:
        self._put_out()
        self._conclude()
        self._services.pool.submit(self._clean)

    def _last_words(self) -> None:
        """What is still in the pipe, then how it ended."""
        child = self._child
        assert child is not None
        self._voice.finish()
        if self._code == CANNOT_START and (problem := child.problem()):
            self._reason = f"The dyno could not be started: {problem}"
            self._voice.say(self._reason)
        elif self._group and self._code == 137 and not self._reason and self._group.oom_kills() > self._ooms:
            self._reason = R15
            self._voice.say(self._reason)
        super()._last_words()
        child.close()

    def _clean(self) -> None:  # in the pool
        group = self._group
        if self._streams:
            self._streams.free()
        try:
            gone = process.end_all(group.pids if group else lambda: process.members(self._markers))
            if group and not (gone and group.remove()):
                log.warning("The control group of %s can't be removed", self.spec.id)
            isolation.remove(self._folder)
        finally:
            self._services.loop.post(self._cleaned)

    def _cleaned(self) -> None:
        if self.seen.port is not None:
            self._services.ports.give_back(self.seen.port)
        super()._cleaned()
