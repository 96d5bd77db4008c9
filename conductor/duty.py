"""The driver of one of several conductors: only the one that leads has one, since each follows all dynos and their logs."""

import threading
from collections.abc import Callable, Sequence

from core.errors import EngineError
from engine.spec import Attached, Driver, DynoState, ProcessSpec


class NotOnDuty(EngineError):
    """Another conductor has the driver now."""


class OnDuty:
    """A driver that is made when its conductor begins to lead, and let go of when it does not any more: dynos go on."""

    def __init__(self, make: Callable[[], Driver]) -> None:
        self._make = make
        self._driver: Driver | None = None
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Take over what runs; `EngineError` when the engine can't be reached."""
        with self._lock:
            if self._driver is None:
                driver = self._make()
                for listener in self._listeners:
                    driver.on_change(listener)
                self._driver = driver

    def end(self) -> None:
        """Leave everything to whoever leads now."""
        with self._lock:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    # --- engine.spec.Driver -------------------------------------------------------------------------------------

    def apply(self, app: str, wanted: Sequence[ProcessSpec]) -> None:
        """See `engine.spec.Driver`."""
        self._now().apply(app, wanted)

    def observe(self, app: str) -> list[DynoState]:
        """See `engine.spec.Driver`."""
        return self._now().observe(app)

    def apps(self) -> set[str]:
        """See `engine.spec.Driver`."""
        return self._now().apps()

    def run(self, spec: ProcessSpec) -> str:
        """See `engine.spec.Driver`."""
        return self._now().run(spec)

    def attach(self, dyno_id: str) -> Attached | None:
        """See `engine.spec.Driver`."""
        return self._now().attach(dyno_id)

    def stop(self, app: str, dyno_id: str) -> None:
        """See `engine.spec.Driver`."""
        self._now().stop(app, dyno_id)

    def on_change(self, listener: Callable[[str], None]) -> None:
        """See `engine.spec.Driver`."""
        with self._lock:
            self._listeners.append(listener)
            if self._driver is not None:
                self._driver.on_change(listener)

    def close(self) -> None:
        """See `engine.spec.Driver`."""
        self.end()

    # --- beyond it ----------------------------------------------------------------------------------------------

    @property
    def level(self) -> str:
        """How well dynos are kept apart, for those who lead."""
        return str(getattr(self._driver, "level", ""))

    @property
    def isolation(self) -> str:
        """The same in words."""
        return str(getattr(self._driver, "isolation", ""))

    @property
    def controllers(self) -> list[str]:
        """What is limited."""
        return list(getattr(self._driver, "controllers", []))

    def _now(self) -> Driver:
        driver = self._driver
        if driver is None:
            raise NotOnDuty("Another conductor keeps the dynos now.")
        return driver
