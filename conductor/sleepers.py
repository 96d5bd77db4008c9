"""Puts apps to sleep that nobody comes for, and wakes those that somebody came for."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, Max, OuterRef, Q
from django.utils import timezone

from apps import sleep
from apps.models import App, Dyno
from conductor.parts import Parts
from conductor.turns import Turns
from conductor.wishes import WEB
from releases.models import Release

log = logging.getLogger(__name__)
LOOK_SECONDS = 15.0
MINUTE = 60.0  # seconds
NEVER = float("-inf")  # before any clock began: a machine that has just started is at nearly 0


class Sleepers:
    """Looks now and then who is quiet, and hears from the router who is wanted."""

    def __init__(self, parts: Parts, poke: Callable[[UUID], None]) -> None:
        self._parts = parts
        self._poke = poke
        self._busy: dict[UUID, float] = {}  # when an app was last seen at work: a tunnel may last for hours
        self._turns: Turns[UUID] = Turns(self._wake, threads=2, name="wake")

    def start(self) -> None:
        """Begin to wake."""
        self._turns.start()

    def stop(self) -> None:
        """Wake nobody more."""
        self._turns.stop()

    def wake(self, app: str) -> None:
        """Somebody came for an app that sleeps. From any thread; never blocks."""
        self._turns.ask(UUID(app))

    def look(self) -> None:
        """Put to sleep whoever had no request for long enough."""
        rows = list(_candidates())
        self._busy = {app.pk: self._busy.get(app.pk, NEVER) for app in rows}
        for app in rows:
            if self._quiet(app) >= app.sleep_minutes * MINUTE and sleep.put_to_sleep(app, by=None):
                self._say(app, "Idling", "State changed from up to idle")
                self._poke(app.pk)

    def _quiet(self, app: App) -> float:
        """For how many seconds nobody has come."""
        now, quiet = time.monotonic(), self._parts.router.quiet(str(app.pk))
        if quiet == 0:
            self._busy[app.pk] = now
        return min(quiet, now - self._busy[app.pk])

    def _wake(self, app_id: UUID) -> None:
        app = App.objects.filter(pk=app_id).first()
        if app is not None and sleep.wake(app, by=None):
            self._say(app, "Unidling", "State changed from idle to starting")
        self._poke(app_id)

    def _say(self, app: App, *texts: str) -> None:
        for dyno in Dyno.objects.filter(app=app, one_off=False):
            self._parts.say(app.log_stream, *texts, source="heroku", dyno=dyno.name)


def _candidates() -> list[App]:
    """Apps that may sleep, are awake for long enough, and have web dynos that are not starting: nobody would come for
    an app without."""
    serving = Q(dynos__one_off=False, dynos__type=WEB)
    under_way = Release.objects.open().filter(app=OuterRef("pk"))
    starting = Dyno.objects.filter(app=OuterRef("pk"), type=WEB, one_off=False, state=Dyno.State.STARTING)
    awake = App.objects.alive().filter(sleep_minutes__gt=0, asleep_since=None, suspended_at=None)
    rows = awake.filter(~Exists(under_way), ~Exists(starting)).annotate(
        since=Max("dynos__state_at", filter=serving)
    )
    now = timezone.now()
    return [app for app in rows if app.since and app.since <= now - timedelta(minutes=app.sleep_minutes)]
