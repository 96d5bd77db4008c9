"""Signals to what one start of a dyno runs in."""

import logging
import time
from collections.abc import Callable

from core.errors import EngineError
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.creation import RETRY_SECONDS
from engine.drivers.swarm.services import Services

log = logging.getLogger(__name__)
DEAF_SECONDS = 0.2  # that a launcher takes at most to listen to signals


class Signals:
    """Has the engine send them, however often it has to be asked. Methods belong to the loop's thread; what asks the engine
    runs in the pool.

    `engine` says whom to ask about its container, and the id to name. Where nobody can be asked, the Swarm is told to
    remove the service, whose name is `service()`: SIGTERM comes with that. `wanted` is asked before each try.
    """

    def __init__(
        self,
        start: str,
        services: Services,
        *,
        after: Callable[[float, Callable[[], None]], None],
        wanted: Callable[[], bool],
        engine: Callable[[], tuple[Client, str] | None],
        service: Callable[[], str],
    ) -> None:
        self.began = 0.0  # when its process did, on the monotonic clock
        self._start, self._services = start, services
        self._after, self._wanted, self._engine, self._service = after, wanted, engine, service

    def send(self, name: str) -> None:
        """Send it, once the launcher is there to hear it: the first process of a container misses others."""
        if not self._wanted():
            return
        early = DEAF_SECONDS - (time.monotonic() - self.began)
        if early > 0 and name != "SIGKILL":
            self._after(early, lambda: self.send(name))
        else:
            self._services.pool.submit(self._tell, name)

    def _tell(self, name: str) -> None:  # in the pool
        try:
            if engine := self._engine():
                client, id = engine
                client.kill(id, name)
            else:
                self._services.client.remove_service(
                    self._service()
                )  # with SIGTERM first, by the node's engine
        except EngineError as error:
            log.warning("%s did not get %s: %s", self._start, name, error)
            self._services.loop.post(lambda: self._after(RETRY_SECONDS, lambda: self.send(name)))
