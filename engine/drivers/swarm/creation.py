"""The creation of what one start of a dyno runs in: a service, or a container when it is a one-off."""

import logging
import socket
import time
from collections.abc import Callable

from core.errors import EngineError
from engine.drivers.start import reason_of
from engine.drivers.swarm import describe
from engine.drivers.swarm.describe import Place, Recalled
from engine.drivers.swarm.services import Services
from engine.drivers.swarm.slugs import Code
from engine.spec import ProcessSpec

log = logging.getLogger(__name__)
PLACE_SECONDS = 60.0  # a dyno that the engine has not started by then never settles
RETRY_SECONDS = 1.0  # until the engine is asked again after it could not be reached


class Creation:
    """Has the engine create it, however often it has to be asked. Methods belong to the loop's thread; what asks the
    engine runs in the pool.

    Before each try it asks whether the start `goes_on`. `made` is called once the engine has been told, `failed` with the
    reason when it never will be, and `started` with the id of a container that runs already. A one-off that somebody
    sits at is `attached` by the connection to its streams, in the pool and before it starts.
    """

    def __init__(
        self,
        spec: ProcessSpec,
        services: Services,
        *,
        after: Callable[[float, Callable[[], None]], None],
        goes_on: Callable[[], bool],
        made: Callable[[], None],
        failed: Callable[[str], None],
        started: Callable[[str], None],
        attached: Callable[[socket.socket], None],
    ) -> None:
        self.name = describe.name(spec, services.instance)
        self.at: float | None = None  # when the engine had been told, on the monotonic clock
        self.published = False  # its port, on every node
        self.spare = ""  # the token of what was started ahead for it
        self.hindrance = ""  # why the Swarm has not started it yet
        self.make_spare: Callable[[], None] | None = None  # starts one ahead for the release after this
        self._spec, self._services, self._client = spec, services, services.client
        self._after, self._goes_on, self._made = after, goes_on, made
        self._failed, self._started, self._attached = failed, started, attached
        self._port: int | None = None
        self._env = ""  # the digest of what it was given; "" where nobody knows
        self._brings_code = False  # its slug is on its way to where all nodes find it
        self._waits_since = 0.0  # for the Swarm to start it, on the monotonic clock

    def begin(self, port: int | None) -> None:
        """Create it, with this port for requests."""
        self._port, self._waits_since = port, time.monotonic()
        self._try()

    def adopt(self, found: Recalled) -> None:
        """It was created before this driver was. For any thread, before anything else."""
        self.published, self.at = found.published, time.monotonic()
        if found.spare:
            self.spare, self.name = found.spare, describe.spare_name(found.spare)

    @property
    def seconds_left(self) -> float:
        """How long the engine has yet to start it; 0 when that time is over."""
        left = self._waits_since + PLACE_SECONDS - time.monotonic()
        return max(left, RETRY_SECONDS) if self._brings_code or left > 0 else 0.0

    @property
    def overdue(self) -> str:
        """What to tell people when that time is over."""
        why = f": {self.hindrance}" if self.hindrance else "."
        return f"The engine did not start it within {PLACE_SECONDS:g} seconds{why}"

    def is_given(self, pairs: list[str]) -> bool:
        """Whether a container with these variables has those that it was created with. An image has its own besides."""
        wished = {"PORT", "DYNO", "SLIPWAY_DYNO", "SLIPWAY_INSTANCE", *self._spec.env}
        if not self._spec.image:
            wished |= {"PATH", "HOME", "LANG", "TMPDIR"}
        ours = [pair for pair in pairs if pair.split("=", 1)[0] in wished]
        return not self._env or self._env == describe.env_digest(ours)

    def undo(self, container: str) -> None:  # in the pool
        """Remove what was created, and its container by this id if our engine has one. May be called again."""
        if self._spec.one_off:
            return self._client.remove_container(self.name)
        self._client.remove_service(self.name)
        if container:
            self._client.remove_container(container)
        if self.spare:
            self._services.spares.forget(self.spare)

    def _try(self) -> None:
        if self._goes_on():
            self._services.pool.submit(self._create)

    def _create(self) -> None:  # in the pool
        post = self._services.loop.post
        try:
            self._make()
        except EngineError as error:
            if error.permanent:
                reason = reason_of(error)
                return post(lambda: self._failed(reason))
            log.info("%s has to wait: %s", self._spec.id, error)
            self.hindrance = str(error)
            post(lambda: self._after(RETRY_SECONDS, self._try))
        except Exception as error:
            reason = reason_of(error)
            post(lambda: self._failed(reason))
        else:
            post(self._is_made)

    def _make(self) -> None:  # in the pool
        spec, services = self._spec, self._services
        self.published = services.publish() and spec.web
        code = self._bring_code()
        place = Place(
            instance=services.instance,
            image=code.image,
            uid=services.first_uid + spec.slot,
            port=self._port,
            cores=services.cores,
            tree=code.tree,
            only=services.node if code.here or spec.volumes else "",
            publish=self.published,
        )
        if not spec.one_off:
            return self._make_service(place)
        self._env = describe.env_digest(describe.env(spec, place))
        id = self._client.create_container(describe.container(spec, place), self.name)
        if spec.attach:
            self._attached(self._client.attach(id))
        self._client.start(id)
        services.loop.post(lambda: self._started(id))

    def _make_service(self, place: Place) -> None:  # in the pool
        spec, services = self._spec, self._services
        if services.spares.is_due(spec, place):
            self.make_spare = lambda: self._make_spare(place)
        if spare := services.spares.take(spec, place):
            self.name, self.spare = spare.name, spare.token
            services.loop.post(lambda: self._started(spare.container))
            return services.spares.name(spare, spec, place)
        self._env = describe.env_digest(describe.env(spec, place))
        self._client.create_service(describe.service(spec, place))

    def _make_spare(self, place: Place) -> None:
        self._services.pool.submit(self._services.spares.make, self._spec, place)

    def _bring_code(self) -> Code:  # in the pool
        """What it runs, once that is where its node finds it. How long that takes is no fault of the Swarm's."""
        began, self._brings_code = time.monotonic(), True
        try:
            return self._services.slugs.code(self._spec)
        finally:
            self._waits_since += time.monotonic() - began
            self._brings_code = False

    def _is_made(self) -> None:
        self.at = time.monotonic()
        self._made()
