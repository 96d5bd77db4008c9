"""A process in the walls of a dyno that runs: its user, view of the files, limits and end are that dyno's."""

from dataclasses import replace
from typing import Any

from core.errors import EngineError
from engine.drivers.local.dyno import Dyno
from engine.drivers.local.request import request
from engine.drivers.local.services import Services
from engine.spec import ProcessSpec

ENDED = "The dyno that it ran in has ended."
NOT_UP = "The dyno does not run, or not yet. Look at heroku ps."


class Visitor(Dyno):
    """A one-off dyno without walls of its own. It joins the host's control group, and is known by its marker."""

    def __init__(self, spec: ProcessSpec, services: Services, host: Dyno) -> None:
        super().__init__(spec, services)
        self._host = host

    def _prepare(self) -> None:  # in the pool
        self._folder.mkdir(parents=True, exist_ok=True)
        self._services.loop.post(self._enter)

    def _enter(self) -> None:
        host = self._host
        if host.seen.state != "up" or host.over or host.part is None or not host.has_begun():
            return self._never(NOT_UP)
        host.visitors.append(self)
        self._launch({**host.part, "join": host.pidfd, "folder": str(self._folder)})

    def _keep(self) -> tuple[int, ...]:
        assert self._host.pidfd is not None
        return (*super()._keep(), self._host.pidfd)

    def _whole(self, part: dict[str, Any]) -> dict[str, Any]:
        """Its command, with the environment, the name and the port of its host."""
        host = self._host
        spec = replace(self.spec, dyno=host.spec.dyno)
        return request(
            spec,
            part,
            port=host.seen.port,
            tag=self._services.tag,
            group=host.group,
            streams=self._streams.theirs if self._streams else None,
        )

    def put_out(self) -> None:
        """The host stops, so this ends too, at once: nobody's shell may hold up its stop."""
        self._kill_because(ENDED)


def visit(spec: ProcessSpec, services: Services, host: Dyno | None) -> Visitor:
    """The start of `spec` in the walls of `host`; `EngineError` when that can't be."""
    if host is None or host.spec.app != spec.app:
        raise EngineError(NOT_UP)
    if host.pidfd is None:
        raise EngineError("This system has no way into a dyno that runs. heroku run starts a new one.")
    return Visitor(spec, services, host)
