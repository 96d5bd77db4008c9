"""Hears of what the engine does: by its events, at once, and by a slow look at everything, which makes up for lost ones."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import EngineError
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.dyno import OVER, Dyno
from engine.drivers.swarm.spares import Spares
from engine.drivers.swarm.task import Task

log = logging.getLogger(__name__)
SLOW_SECONDS = 10.0  # between looks when events tell everything
QUICK_SECONDS = 0.5  # while something is on its way that no event tells of
AGAIN_SECONDS = 0.2  # until the engine is called again after it hung up


class Watch:
    """Two threads: one hears events, one looks.

    `find(labels)` returns the dyno that carries them, `known()` all by id, `spares` are told of their own, `post` has something done in the driver's
    thread, `address(node id)` is where a node is; `came_back` is called when the engine was away and is not any more.
    """

    def __init__(
        self,
        client: Client,
        label: str,
        *,
        find: Callable[[Mapping[str, str]], Dyno | None],
        known: Callable[[], dict[str, Dyno]],
        spares: Spares,
        post: Callable[[Callable[[], None]], None],
        address: Callable[[str], str],
        came_back: Callable[[], None],
    ) -> None:
        self._client, self._label = client, label
        self._find, self._known, self._spares, self._post = find, known, spares, post
        self._address, self._came_back = address, came_back
        self._stopping = threading.Event()
        self._stream: Any = None
        self.away = False
        self._threads = [
            threading.Thread(target=target, name=f"swarm-driver-{name}", daemon=True)
            for target, name in ((self._hear, "events"), (self._look_often, "look"))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        for thread in self._threads:
            thread.join(5)

    # --- events -------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        while not self._stopping.is_set():
            try:
                self._hear_until_it_hangs_up()
            except EngineError as error:
                self._lost(error)
            except Exception as error:  # the SDK has many for a connection that broke
                self._lost(error)
            self._stopping.wait(AGAIN_SECONDS)

    def _hear_until_it_hangs_up(self) -> None:
        with self._client.events(self._label) as stream:
            self._stream = stream
            self.look()  # what happened before we listened
            if self.away:
                self.away = False
                log.warning("The Docker engine is back")
                self._post(self._came_back)
            for event in stream:
                self._heard(event)
        self._lost(EOFError("the engine hung up"))

    def _lost(self, error: Exception) -> None:
        self._stream = None
        if not self.away and not self._stopping.is_set():
            self.away = True
            log.warning("The Docker engine can't be heard: %s", error)

    def _heard(self, event: dict[str, Any]) -> None:
        action, actor = event.get("Action", ""), event.get("Actor", {})
        attributes, id = actor.get("Attributes", {}), actor.get("ID", "")
        if action not in ("start", "die", "oom"):
            return
        dyno = self._find(attributes)
        if dyno is None:
            return self._spares.heard(attributes, action, id)
        if action == "start":
            self._post(lambda: dyno.started(id))
        elif action == "die":
            code = int(attributes.get("exitCode", 0))
            self._post(lambda: dyno.ended(code))
        else:
            self._post(dyno.short_of_memory)

    # --- looks --------------------------------------------------------------------------------------------------

    def _look_often(self) -> None:
        looked = time.monotonic()
        while not self._stopping.wait(QUICK_SECONDS):
            if self.away or (time.monotonic() - looked < SLOW_SECONDS and not self._is_awaited()):
                continue
            looked = time.monotonic()
            try:
                self.look()
            except EngineError as error:
                log.info("No look at the engine: %s", error)
            except Exception:
                log.exception("A look at the engine failed")

    def _is_awaited(self) -> bool:
        """Whether a dyno has been on its way for a while, or runs on another node, whose engine tells us nothing."""
        return any(dyno.is_awaited(QUICK_SECONDS) for dyno in self._known().values())

    def look(self) -> None:
        """Compare what is known with what is there."""
        began = time.monotonic()
        all_containers = self._client.containers(self._label)
        all_services = self._client.services(self._label)
        for service in all_services:
            self._spares.adopt(service["Spec"]["Labels"])
        start_of = self._spares.start_of
        containers = {start_of(each["Labels"]): each for each in all_containers}
        services = {start_of(each["Spec"]["Labels"]): each for each in all_services}
        for holder in (containers, services):
            holder.pop("", None)
        tasks = self._tasks() if services.keys() - containers.keys() else {}
        for id, container in containers.items():
            if container["State"] != "created":
                # A container that was started ahead doesn't know what it has become; its service does.
                self._found(container, services.get(id, {}).get("Spec", container)["Labels"])
        for id in services.keys() - containers.keys():
            self._found_task(services[id], tasks)
        for id, dyno in self._known().items():
            if id not in containers and id not in services:
                self._post(lambda dyno=dyno: dyno.absent(began))  # type: ignore[misc]
        self._spares.look(all_containers, all_services)

    def _found(self, container: dict[str, Any], labels: Mapping[str, str]) -> None:
        dyno, id = self._find(labels), container["Id"]
        if dyno is None:
            return
        self._post(lambda: dyno.started(id))
        if container["State"] in OVER:
            self._post(dyno.check)

    def _tasks(self) -> dict[str, dict[str, Any]]:
        """The newest task of each service."""
        return {
            task["ServiceID"]: task for task in sorted(self._client.tasks(), key=lambda t: t["CreatedAt"])
        }

    def _found_task(self, service: dict[str, Any], tasks: Mapping[str, dict[str, Any]]) -> None:
        dyno, task = self._find(service["Spec"]["Labels"]), tasks.get(service["ID"])
        if dyno is not None and task is not None:
            address = self._address(task.get("NodeID", ""))
            self._post(lambda: dyno.task(Task.of(task), address))
