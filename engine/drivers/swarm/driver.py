"""The Swarm driver: dynos run on a Docker engine, and go on when the platform ends."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.errors import EngineError
from engine.drivers.local.ports import Ports
from engine.drivers.loop import Loop
from engine.drivers.output import Outlet
from engine.drivers.start import CLOSE_SECONDS
from engine.drivers.swarm import describe, network
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.dyno import Dyno
from engine.drivers.swarm.fence import Fence
from engine.drivers.swarm.services import Last, Services
from engine.drivers.swarm.slugs import Slugs
from engine.drivers.swarm.spares import Spares
from engine.drivers.swarm.visitor import visit
from engine.drivers.swarm.watch import Watch
from engine.drivers.swarm.ways import Ways
from engine.plan import plan
from engine.spec import Attached, DynoState, LineSink, ProcessSpec

log = logging.getLogger(__name__)
PORTS = range(20000, 30000)
FIRST_UID = 30000
SAMPLE_SECONDS = 20.0
PATIENCE_SECONDS = 20.0  # for an engine that is just starting
IMAGES = {"slipway-24": "slipway/stack:24"}
AWAY = "The Docker engine can't be reached. What runs goes on; nothing can be started or stopped."


def _unknown(stream: str, dyno: str) -> tuple[float, int]:
    return 0.0, 0


class SwarmDriver:
    """Runs dynos on the engine at `url` (`unix:///…`, `tcp://host:port`), a manager of its Swarm.

    `sink` gets all lines, `tree(digest)` returns the unpacked, read-only slug (at a path that the engine sees too) or
    raises `EngineError`, `instance` tells this platform's things from all others on the engine: what carries its label
    is taken over at the start. `images` are the stacks'. `last(stream, dyno)` says up to when the sink has a dyno's
    lines, as seconds since the epoch, and how many lines are of that moment. Web dynos listen on one of `ports`; dynos
    of the app with slot n run as the user `first_uid + n`. `publish` says whether web dynos are reached by the address
    of their node instead of their own; None: when there is more than one node. `close` leaves dynos running, unless
    `keep` is false. With more than one node, `registry` (`host:port`, with `username` and `password` to sign in) is
    where all of them fetch slugs; without it, dynos stay on the engine's own node. Other nodes call us at `node_port`
    (0: any that is free), so that their engines can be asked. `spares` web dynos at most wait for the next releases of
    their apps, made `pause` seconds after one, in `spare_folder`: on the file system of the slugs, and where the engine
    sees it too.

    `EngineError` when the engine can't be reached, or is in no Swarm.
    """

    def __init__(
        self,
        url: str,
        *,
        sink: LineSink,
        tree: Callable[[str], Path],
        instance: str,
        images: Mapping[str, str] = IMAGES,
        last: Last = _unknown,
        ports: range = PORTS,
        first_uid: int = FIRST_UID,
        publish: bool | None = None,
        sample_seconds: float = SAMPLE_SECONDS,
        keep: bool = True,
        registry: str = "",
        registry_sign_in: Mapping[str, str] | None = None,
        node_port: int = 0,
        spare_folder: Path | None = None,
        spares: int = 0,
        pause: float = 0.0,
    ) -> None:
        self._client = Client(url, sign_in=registry_sign_in)
        info = _reach(self._client)
        self._node = info["Swarm"]["NodeID"]
        self._keep, self._publish, self._sample_seconds = keep, publish, sample_seconds
        self._addresses: dict[str, str] = {}
        self._look_at_nodes()
        network.make(self._client, instance, _binding(info["Swarm"].get("NodeAddr", "")))
        self._lock = threading.Condition()
        self._dynos: dict[str, Dyno] = {}
        self._forgotten: deque[str] = deque(maxlen=2000)  # which a late look could take for news
        self._listeners: list[Callable[[str], None]] = []
        self._closed = False
        self._loop = Loop("swarm-driver")
        self._outlet = Outlet(sink, "swarm-driver-lines")
        self._pool = ThreadPoolExecutor(8, "swarm-driver-work")
        self._health = ThreadPoolExecutor(4, "swarm-driver-health")
        slugs = Slugs(
            self._client, tree=tree, images=images, several=self._has_several_nodes, registry=registry
        )
        self._spares = Spares(self._client, instance=instance, folder=spare_folder, most=spares)
        self._registry = registry
        self._ways = Ways(
            self._client, instance=instance, own=self._node, image=slugs.anywhere, port=node_port
        )
        self._fence = Fence(self._client, instance=instance, image=slugs.anywhere, ports=ports)
        self._services = Services(
            client=self._client,
            loop=self._loop,
            pool=self._pool,
            health=self._health,
            outlet=self._outlet,
            ports=Ports(ports),
            slugs=slugs,
            spares=self._spares,
            pause=pause,
            ways=self._ways,
            instance=instance,
            node=self._node,
            address=info["Swarm"].get("NodeAddr", ""),
            cores=int(info.get("NCPU", 1)),
            first_uid=first_uid,
            publish=self._must_publish,
            last=last,
            changed=self._changed,
            cleaned=self._cleaned,
        )
        self._watch = Watch(
            self._client,
            f"{describe.INSTANCE}={instance}",
            find=self._find,
            known=self._known,
            spares=self._spares,
            post=self._loop.post,
            address=self._address,
            came_back=self._came_back,
        )
        self._watch.look()
        self._outlet.start()
        self._loop.start()
        self._wait_for_adopted()
        self._watch.start()
        self._loop.post(self._sample_soon)

    # --- engine.spec.Driver -------------------------------------------------------------------------------------

    def apply(self, app: str, wanted: Sequence[ProcessSpec]) -> None:
        """Have exactly `wanted` running for `app`, one-offs apart. Returns at once; `EngineError` while the engine is
        away."""
        with self._lock:
            self._check_open()
            dynos = {
                id: dyno for id, dyno in self._dynos.items() if dyno.spec.app == app and not dyno.spec.one_off
            }
            todo = plan(wanted, [dyno.seen for dyno in dynos.values()])
            for spec in todo.start:
                self._begin(spec)
        for id in (*todo.stop, *todo.forget):
            self._loop.post(dynos[id].stop)
        if not wanted:
            self._pool.submit(self._spares.drop, app)

    def observe(self, app: str) -> list[DynoState]:
        """Every dyno of `app` that runs, or has ended and was not forgotten yet; as last seen, while the engine is
        away."""
        with self._lock:
            return [dyno.seen for dyno in self._dynos.values() if dyno.spec.app == app]

    def apps(self) -> set[str]:
        """Every app that a dyno is known of, be it from a former life."""
        with self._lock:
            return {dyno.spec.app for dyno in self._dynos.values()}

    def run(self, spec: ProcessSpec) -> str:
        """Start a one-off dyno, once per `spec.id`; returns that id. `EngineError` for one inside a dyno that is not
        there."""
        with self._lock:
            self._check_open()
            if spec.id not in self._dynos:
                self._begin(spec)
        return spec.id

    def attach(self, dyno_id: str) -> Attached | None:
        """The streams of a one-off dyno that waits for somebody: to the first who asks, once it has started."""
        with self._lock:
            dyno = self._dynos.get(dyno_id)
        return dyno.attach() if dyno else None

    def stop(self, app: str, dyno_id: str) -> None:
        """End one dyno, and forget it once nothing is left of it. Unknown ones are no error."""
        with self._lock:
            dyno = self._dynos.get(dyno_id)
        if dyno is not None and dyno.spec.app == app:
            self._loop.post(dyno.stop)

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have `listener(app)` called, in the driver's thread, whenever a dyno of `app` changed its state."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Free everything of ours. Dynos go on, unless the driver was told not to keep them: then they are stopped and
        waited for (30 s and a little at most). May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            dynos = list(self._dynos.values())
            if not self._keep:
                for dyno in dynos:
                    self._loop.post(lambda dyno=dyno: dyno.stop(closing=True))  # type: ignore[misc]
                if not self._lock.wait_for(lambda: not self._dynos, CLOSE_SECONDS + 6):
                    log.warning("Dynos that did not end: %s", list(self._dynos))
        self._watch.stop()
        self._spares.close()
        for dyno in dynos:
            self._loop.post(dyno.let_go)
        self._loop.stop()
        self._pool.shutdown(cancel_futures=True)
        self._health.shutdown(wait=False, cancel_futures=True)
        self._ways.close()
        if not self._keep:
            with contextlib.suppress(EngineError):
                self._fence.take_down()
        self._outlet.close()
        self._client.close()

    # --- beyond it ----------------------------------------------------------------------------------------------

    level = "container"
    controllers = ("cpu", "memory", "pids")

    @property
    def isolation(self) -> str:
        """For the dashboard."""
        return (
            "Every dyno is a container of its own: its app's user without rights, a read-only system, no way to other "
            "dynos over the network. Limited by control groups: memory, processes, CPU."
        )

    def processes(self) -> list[dict[str, Any]]:
        """The driver's dynos for `manage.py ps`."""
        with self._lock:
            dynos = list(self._dynos.values())
        return [
            {"role": "dyno", "app": dyno.spec.app, "dyno": dyno.spec.dyno, "id": dyno.spec.id}
            | {name: getattr(dyno.seen, name) for name in ("pid", "state", "port", "since")}
            for dyno in dynos
        ]

    # --- inside -------------------------------------------------------------------------------------------------

    def _begin(self, spec: ProcessSpec) -> None:
        host = self._dynos.get(spec.inside)
        dyno = visit(spec, self._services, host) if spec.inside else Dyno(spec, self._services)
        self._dynos[spec.id] = dyno
        dyno.begin()

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("The Swarm driver is closed.")
        if self._watch.away:
            raise EngineError(AWAY)

    def _find(self, labels: Mapping[str, str]) -> Dyno | None:
        """The dyno with these labels, taken over if it is none that we started."""
        id = self._spares.start_of(labels)
        with self._lock:
            if id in self._dynos or id in self._forgotten or self._closed:
                return self._dynos.get(id)
            recalled = describe.recall(labels)
            if recalled is None:
                return None
            self._dynos[id] = dyno = Dyno(recalled.spec, self._services)
            dyno.adopt(recalled)
        return dyno

    def _wait_for_adopted(self) -> None:
        """Who asks first what runs is to be told all of it."""
        heard = threading.Event()
        self._loop.post(heard.set)
        heard.wait(PATIENCE_SECONDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not all(d.is_settled() for d in self._known().values()):
            time.sleep(0.01)

    def _known(self) -> dict[str, Dyno]:
        with self._lock:
            return dict(self._dynos)

    def _changed(self, dyno: Dyno) -> None:
        self._tell(dyno.spec.app)

    def _tell(self, app: str) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(app)
            except Exception:
                log.exception("A listener of the Swarm driver failed")

    def _came_back(self) -> None:
        """The engine can be reached again: what could not be done meanwhile can."""
        self._look_at_nodes()
        for app in self.apps():
            self._tell(app)

    def _cleaned(self, dyno: Dyno) -> None:
        with self._lock:
            if not dyno.forget or dyno.spec.id not in self._dynos:
                return
            del self._dynos[dyno.spec.id]
            self._forgotten.append(dyno.spec.id)
            self._lock.notify_all()
        self._changed(dyno)

    # --- nodes --------------------------------------------------------------------------------------------------

    def _look_at_nodes(self) -> None:
        nodes = self._client.nodes()
        self._addresses = {node["ID"]: node["Status"].get("Addr", "") for node in nodes}
        self._ready = {node["ID"] for node in nodes if node["Status"].get("State") == "ready"}

    def _address(self, node: str) -> str:
        if node not in self._addresses:
            self._look_at_nodes()
        return self._addresses.get(node, "")

    def _look_after_nodes(self) -> None:
        """Have a fence around the dynos of each node, and a way to its engine. Without a registry dynos are on ours alone."""
        self._look_at_nodes()
        if self._registry:
            self._fence.look(self._addresses.values())
        there = [(id, address) for id, address in self._addresses.items() if id in self._ready]
        self._ways.look(there if self._registry else ())

    def _must_publish(self) -> bool:
        if self._publish is not None:
            return self._publish
        return self._has_several_nodes()

    def _has_several_nodes(self) -> bool:
        self._look_at_nodes()
        return len(self._addresses) > 1

    # --- memory -------------------------------------------------------------------------------------------------

    def _sample_later(self) -> None:
        self._loop.after(self._sample_seconds, self._sample_soon)

    def _sample_soon(self) -> None:
        self._pool.submit(self._sample)

    def _sample(self) -> None:
        try:
            with contextlib.suppress(EngineError):  # it is away, and is asked again
                self._look_after_nodes()
            for dyno in self._known().values():
                if not dyno.over:
                    dyno.sample()
        finally:
            self._loop.post(self._sample_later)


def _reach(client: Client) -> dict[str, Any]:
    """What the engine says of itself, once it answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            info = client.info()
        except EngineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            continue
        if not info.get("Swarm", {}).get("ControlAvailable"):
            raise EngineError(
                f"The Docker engine at {client.url} manages no Swarm: run docker swarm init there.",
                permanent=True,
            )
        return info


def _binding(address: str) -> str:
    """Where a node publishes ports: on the address by which other nodes know it."""
    return network.LOOPBACK if address.startswith("127.") else address or network.LOOPBACK
