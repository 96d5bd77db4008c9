"""Where requests of an app go, and which dynos still answer some that came before."""

import time
from collections.abc import Sequence

from django.conf import settings

from apps.models import App, Dyno
from conductor.wishes import WEB, View
from core import failpoints
from engine.spec import Backend, DynoState, Route, Router

DRAIN_LOOK = 0.1  # seconds between two looks at a dyno that drains
LINGER = 0.2  # seconds that a dyno out of the route lives at least: a request may be on its way to it
BELIEVED = (
    300.0  # seconds that we go by what we told the router, where others may have told it something else since
)


def backend(row: Dyno, state: DynoState) -> Backend:
    """How the router is told of a web dyno that is up."""
    assert state.port is not None
    return Backend(state.id, row.name, state.host, state.port, row.release_version)


def route(
    view: View, backends: Sequence[Backend], rows: Sequence[Dyno], canary: Sequence[Backend] = ()
) -> Route:
    """All that the router is to know of an app. `rows` are the dynos of the release that it serves; those of a release on
    trial, `canary`, get its share, and all while there are no others."""
    if not backends:
        backends, canary = canary, ()
    return Route(
        app=str(view.app.pk),
        name=view.app.name,
        hosts=view.hosts,
        backends=tuple(backends),
        maintenance=view.app.maintenance and not view.app.suspended_at,
        certificates=view.certificates,
        challenges=view.challenges,
        release=max((row.release_version for row in rows), default=0),
        why_none="H84" if view.app.suspended_at else _why_none([r.state for r in rows if r.type == WEB]),
        canary=tuple(canary),
        share=view.share if canary else 0,
        stakes=tuple(view.stakes),
        asleep=not backends
        and not view.halted
        and _is_waited_for(view.app, [r for r in rows if r.type == WEB]),
    )


def _is_waited_for(app: App, rows: Sequence[Dyno]) -> bool:
    """Whether requests wait for its web dynos: they sleep, or start since somebody came. Rows are read before the app
    (`wishes.views`): of one woken in between, they still say that they sleep."""
    if app.asleep_since:
        return bool(rows)
    coming = (Dyno.State.IDLE, Dyno.State.STARTING)
    return bool(app.woken_at and rows) and all(r.state in coming and not r.crashes for r in rows)


def _why_none(states: Sequence[str]) -> str:
    """The error code for visitors while no web dyno answers: crashed, booting, or none wished."""
    if Dyno.State.CRASHED in states:
        return "H10"
    return "H20" if states else "H14"


class Switchboard:
    """Tells the router what changed, and remembers who left a route when.

    With other conductors about (`shared`) its memory of routes may be behind: the router is told each time, which costs
    it nothing when it knows, and what was told long ago counts as forgotten. A dyno that left by another conductor's
    word is taken to have left when it is first asked for.
    """

    def __init__(self, router: Router, *, shared: bool = False) -> None:
        self._router = router
        self._shared = shared
        self._routes: dict[str, Route] = {}
        self._told: dict[str, float] = {}
        self._left: dict[str, float] = {}

    def put(self, route: Route) -> None:
        """Have the router follow `route`, if that is news. Called with the app's lock held."""
        before = self._routes.get(route.app)
        if route == before and not self._shared:
            return
        if route != before:
            failpoints.reach("router.switch")
        self._router.put(route)
        self._routes[route.app], self._told[route.app] = route, time.monotonic()
        stay = {b.id for b in route.reached}
        for gone in before.reached if before else ():
            if gone.id not in stay:
                self._left.setdefault(gone.id, time.monotonic())
        for id in stay:
            self._left.pop(id, None)

    def drop(self, app: App | str) -> None:
        """Forget an app."""
        key = app if isinstance(app, str) else str(app.pk)
        if self._routes.pop(key, None) or self._shared:
            self._router.drop(key)

    def drains_for(self, state: DynoState) -> float:
        """After how many seconds to look again at a dyno that is out of the route and may still be at work on requests; 0
        when it may go."""
        if self._shared and state.state == Dyno.State.UP and state.port:
            self._left.setdefault(state.id, time.monotonic())
        left = self._left.get(state.id)
        if left is None:
            return 0.0
        age = time.monotonic() - left
        if age < LINGER:
            return LINGER - age
        return DRAIN_LOOK if age < settings.DRAIN_SECONDS and self._router.in_flight(state.id) > 0 else 0.0

    def serves(self, app: str) -> Route | None:
        """The route that was put last, as far as that is known for certain."""
        if self._shared and time.monotonic() - self._told.get(app, float("-inf")) > BELIEVED:
            return None
        return self._routes.get(app)

    def forget(self, backend_id: str) -> None:
        """The dyno is gone."""
        self._left.pop(backend_id, None)
