"""What the conductor works with: driver, router, stores, and how it speaks in logs."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from conductor.crew import Crew, Lone
from engine.builder import BuildResult, build
from engine.builder.ahead import Ahead
from engine.builder.slugs import SlugStore
from engine.logstore import LogStore
from engine.nodes import Machines
from engine.servers import Servers
from engine.spec import Driver, Line, Route, Router
from engine.tally import Tally


class Leftovers(Protocol):
    """What builds leave on an engine of containers or have ready there, and who removes it."""

    def sweep(self, running: Iterable[str]) -> None:
        """Remove what is left of builds whose ids are not among `running`."""
        ...

    def keep(self, caches: Iterable[str], images: Iterable[str], *, older_than: float) -> None:
        """Remove what is `older_than` seconds old: caches but those of these names, images that are not among `images`."""
        ...

    def close(self) -> None:
        """Nothing is built any more: end what waits for builds."""
        ...


@dataclass(frozen=True)
class Parts:
    """One of each, for the whole process."""

    driver: Driver
    router: Router
    logs: LogStore
    slugs: SlugStore
    data: Path  # the data folder
    build: Callable[..., BuildResult] = build  # where builds run; see `engine.builder.build`
    ahead: Ahead | None = None  # the processes of builds beside us
    leftovers: Leftovers | None = None  # of builds in containers
    servers: Servers | None = None  # of databases, that the platform runs itself
    crew: Crew = field(default_factory=Lone)  # who else conducts
    machines: Machines | None = None  # of an engine that has several
    tally: Tally = field(default_factory=Tally)  # where the router counts requests

    def say(self, stream: str, *texts: str, source: str = "app", dyno: str = "api") -> None:
        """Write lines of the platform's own into a log stream."""
        now = time.time()
        self.logs(stream, [Line(source, dyno, text.encode(), now) for text in texts])

    def writer(self, stream: str, dyno: str) -> Callable[[bytes], None]:
        """What takes one line of output after the other into `stream`."""
        return lambda text: self.logs(stream, [Line("app", dyno, text, time.time())])


class NoRouter:
    """For a conductor without a router: dynos run, and nobody reaches them by host name."""

    def put(self, route: Route) -> None:
        """Nothing to tell."""

    def drop(self, app: str) -> None:
        """Nothing to tell."""

    def in_flight(self, backend_id: str) -> int:
        """No request comes through."""
        return 0

    def quiet(self, app: str) -> float:
        """Nobody can tell."""
        return 0.0
