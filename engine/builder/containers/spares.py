"""Spare build containers, started ahead for the next builds of the apps that were built last, and those that are done with.

The start of a container is most of what a push of changed code takes. A spare one has nothing but what any build with its cache
begins with, and waits for a job; each does one build. It ends with this process, which holds its input, and by itself when
no job comes. Neither the end of the one nor the start of the next happens while what was built starts.
"""

import logging
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from core.errors import EngineError
from engine.builder.containers.inside import IDLE_SECONDS
from engine.builder.containers.place import SPARE, TROUBLE, Place, Started, build_of, name_of, remove, start

log = logging.getLogger(__name__)

NAME_SECONDS = 2.0
SLACK_SECONDS = 60.0


@dataclass(frozen=True)
class Spare:
    """One that waits."""

    place: Place
    started: Started
    until: float  # by the monotonic clock; soon after it ends by itself

    def fits(self, place: Place) -> bool:
        """Whether a build there can have it."""
        return self.place == place and time.monotonic() <= self.until and self.started.lives()


class Spares:
    """At most `most` of them on the engine of `client`, one for a cache. `pause` seconds after a build its container is
    removed and the next is made."""

    def __init__(self, client: Any, *, most: int, pause: float) -> None:
        self._client, self._most, self._pause = client, most, pause
        self._lock = threading.Lock()
        self._waiting: dict[str, Spare] = {}  # {cache: the one with it}, the oldest first
        self._orders: dict[str, threading.Timer] = {}
        self._retired: dict[str, tuple[str, Started]] = {}  # {id: cache and container}
        self._closed = False

    def order(self, place: Place) -> None:
        """Have one ready for the next build there; the one that is on its way already will do."""
        timer = threading.Timer(self._pause, self._make, (place,))
        timer.name, timer.daemon = "spare build container", True
        with self._lock:
            former = self._orders.get(place.cache)
            if self._closed or self._most < 1 or (former and former.args == (place,)):
                return
            self._orders[place.cache] = timer
            timer.start()
        if former:
            former.cancel()

    def retire(self, cache: str, done: Started) -> None:
        """The build in a container is over."""
        with self._lock:
            self._retired[done.id] = cache, done
        timer = threading.Timer(0 if self._closed else self._pause, self._remove_retired, (done.id,))
        timer.name, timer.daemon = "build container removal", True
        timer.start()

    def take(self, place: Place, build: str) -> Started | None:
        """The one that waits there, from now on the build's own; None when there is none that fits and lives."""
        with self._lock:
            spare = self._waiting.pop(place.cache, None)
        if spare is None:
            return None
        if not spare.fits(place):
            self._end(spare.started)
            return None
        # For people and for the sweep; a build need not wait for it, and a short one not even compete with it.
        named = threading.Timer(NAME_SECONDS, self._name, (spare.started.id, name_of(build)))
        named.daemon = True
        named.start()
        return spare.started

    def drop(self, cache: str) -> None:
        """End those with a cache, and what is on order for it."""
        with self._lock:
            order, spare = self._orders.pop(cache, None), self._waiting.pop(cache, None)
            retired = [id for id, (of, _) in self._retired.items() if of == cache]
        if order:
            order.cancel()
        if spare:
            self._end(spare.started)
        for id in retired:
            self._remove_retired(id)

    def caches(self) -> list[str]:
        """With which ones builds are waited for, or soon will be."""
        with self._lock:
            return sorted({*self._waiting, *self._orders})

    def is_left(self, container: dict[str, Any]) -> bool:
        """Whether a spare one of the engine's list is nobody's any more. Other processes of this installation have theirs."""
        with self._lock:
            if container["Id"] in {spare.started.id for spare in self._waiting.values()}:
                return False
        if build_of(container):
            return False
        age = time.time() - container["Created"] - SLACK_SECONDS
        return age > (IDLE_SECONDS if container["State"] == "running" else 0)

    def close(self) -> None:
        """End all; none is made from here on."""
        with self._lock:
            self._closed = True
            orders, spares = list(self._orders.values()), list(self._waiting.values())
            retired = list(self._retired)
            self._waiting.clear()
        for order in orders:
            order.cancel()
        for spare in spares:
            self._end(spare.started)
        for id in retired:
            self._remove_retired(id)
        for order in orders:
            order.join(10)  # it may be at work, and ends what it has made

    def _make(self, place: Place) -> None:
        """Runs in the thread of an order."""
        if self._has_one(place):
            self._end_order(place.cache)
            return
        name = f"slipway-spare-{secrets.token_hex(8)}"
        try:
            made = start(self._client, place, name, {SPARE: place.cache})
        except TROUBLE as fault:
            log.info("No spare build container was made: %s", fault)
            self._end_order(place.cache)
            self._remove(name)
            return
        for spare in self._keep(Spare(place, made, time.monotonic() + IDLE_SECONDS - SLACK_SECONDS)):
            self._end(spare.started)

    def _has_one(self, place: Place) -> bool:
        """Whether one waits there: a build that began before it was ready has done without it."""
        with self._lock:
            spare = self._waiting.get(place.cache)
        return spare is not None and spare.fits(place)

    def _end_order(self, cache: str) -> None:
        """Have the next order of the cache be carried out again, after this thread's."""
        with self._lock:
            if self._orders.get(cache) is threading.current_thread():
                del self._orders[cache]

    def _keep(self, made: Spare) -> list[Spare]:
        """Have it wait; returns those that are too many, it may be among them."""
        cache = made.place.cache
        with self._lock:
            if self._closed or self._orders.get(cache) is not threading.current_thread():
                return [made]
            del self._orders[cache]
            former = [self._waiting.pop(cache)] if cache in self._waiting else []
            self._waiting[cache] = made
            oldest = list(self._waiting)[: max(0, len(self._waiting) - self._most)]
            return [*former, *(self._waiting.pop(each) for each in oldest)]

    def _name(self, container: str, name: str) -> None:
        try:
            self._client.api.rename(container, name)
        except TROUBLE as fault:  # the build may have ended already
            log.debug("A build container kept its name: %s", fault)

    def _remove_retired(self, id: str) -> None:
        with self._lock:
            _, done = self._retired.pop(id, (None, None))
        if done:
            self._end(done)

    def _end(self, started: Started) -> None:
        started.close()
        self._remove(started.id)

    def _remove(self, container: str) -> None:
        try:
            remove(self._client, container)
        except EngineError as fault:
            log.warning("%s", fault)
