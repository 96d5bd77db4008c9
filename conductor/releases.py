"""Releases: bind the slug, run the release phase, start new dynos beside the old, try them on a share of the requests
where that is asked for, switch.

The old release serves, untouched, until the new one answers; whatever fails before that leaves it where it is
(I-03, I-05). What the new one replaces is drained and stopped by the keeper.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps import limits, sleep
from apps.models import TEST, App, Dyno, Formation
from conductor import canary, promotions, wishes
from conductor.crew import Busy
from conductor.dynos import Keeper
from conductor.parts import Parts
from conductor.timeline import turn
from conductor.wishes import RELEASE, WEB, View
from conductor.work import Held
from core import failpoints, live
from core.errors import ReleaseFailed
from engine.plan import ALIVE
from engine.spec import DynoState, ProcessSpec
from pipelines import stages
from pipelines.models import Coupling, Pipeline
from releases.models import Release, Slug

SOON = 0.1  # seconds until the next try when a dyno ended between coming up and the switch, or the app was not ours
PATIENCE = 5.0  # seconds between two looks without news; the engine tells news at once
LAST_WORDS = 30  # lines of a crashed dyno that whoever deploys is shown
MINUTE = 60.0  # seconds
GRACE = 30.0  # seconds beyond the boot time before we stop believing that the engine watches it


class Releases:
    """Moves releases forward."""

    def __init__(self, parts: Parts, keeper: Keeper) -> None:
        self._parts = parts
        self._keeper = keeper
        self._steps: tuple[Callable[[Release], float | None], ...] = (
            self._bind,
            self._phase,
            self._start,
            self._try,
        )
        assert self._steps[wishes.START_STEP] == self._start
        assert self._steps[wishes.CANARY_STEP] == self._try

    def advance(self, held: Held) -> float | None:
        """Run steps until the release has ended or waits for its processes."""
        release: Release = held.job
        while release.status == Release.Status.RUNNING:
            wait = self._steps[release.step](release)
            if wait is not None:
                return wait
        return None

    def fail(self, release: Any, reason: str) -> None:
        """End the release; what ran before goes on. Its own dynos and its release phase are stopped."""
        with transaction.atomic():
            release.end(Release.Status.FAILED, reason=reason[:500], steps=turn(release.steps))
            promotions.release_ended(release, succeeded=False, reason=reason)
            tell(release.app)
        self._stop_phase(release)
        self._parts.say(release.log_stream, f" !     {reason}", dyno="release")
        self._parts.say(release.app.log_stream, f"Release v{release.version} failed: {reason}")
        self._parts.logs.end(release.log_stream)
        self._keeper.poke(release.app_id)

    # --- steps --------------------------------------------------------------------------------------------------

    def _bind(self, release: Release) -> None:
        """Settle the triple: a config change takes the slug that is current now that its turn has come."""
        app = release.app = App.objects.get(pk=release.app_id)
        if app.destroyed_at:
            raise ReleaseFailed(f"{app.name} has been destroyed.")
        slug, process_types = release.slug, release.process_types
        if slug is None:
            current = Release.objects.current_for(app)
            slug, process_types = (current.slug, current.process_types) if current else (None, {})
        if slug is None:
            self._finish(release, started_at=timezone.now())
            self._keeper.poke(app.pk)
            return
        self._check(app, slug)
        bound = {"slug": slug, "process_types": process_types, "started_at": timezone.now()}
        if RELEASE not in process_types or release.skips_phase:
            _to_start(release, **bound)
            return
        release.next_step(steps=turn(release.steps, "release phase"), **bound)
        live.tell(app.topic)
        if app.suspended_at:
            raise ReleaseFailed(f"{app.name} is suspended by an operator: its release command can't run.")

    def _check(self, app: App, slug: Slug) -> None:
        if slug.expired_at or not (slug.image or self._parts.slugs.has(slug.digest)):
            raise ReleaseFailed(f"The slug of {slug} was cleaned away. Deploy {app.name} again.")

    def _phase(self, release: Release) -> float | None:
        """Run the release command in a one-off dyno. After a crash of the platform it may run a second time: the
        first process is dead for certain then, since the engine does not know it any more."""
        state = self._phase_state(release)
        if state is None:
            self._start_phase(release)
            return PATIENCE
        if state.state in ALIVE:
            return PATIENCE
        failpoints.reach("release.phase_done")
        if state.exit_code != 0 or state.state == Dyno.State.CRASHED:
            raise ReleaseFailed(_why_phase_failed(state))
        _to_start(release)
        self._stop_phase(release)
        return None

    def _start(self, release: Release) -> float | None:
        """Have all its dynos up, beside those of the current release."""
        try:
            view, rows = self._look(release)
        except Busy:
            return SOON
        failpoints.reach("release.dynos_started")
        self._demand_none_crashed(release, rows, "did not come up")
        if all(row.state == Dyno.State.UP for row in rows):
            trial = canary.trial_of(release, view)
            if trial is None:
                return self._switch(release, view)
            self._begin_trial(release, trial)
            return None
        return self._be_patient(rows)

    def _begin_trial(self, release: Release, trial: canary.Trial) -> None:
        """Give it its share of the requests from the next step on."""
        until = timezone.now() + timedelta(minutes=trial.minutes)
        with transaction.atomic():
            steps = turn(release.steps, "canary")
            release.next_step(steps=steps, canary_percent=trial.percent, canary_until=until)
            tell(release.app)
        failpoints.reach("release.canary")

    def _try(self, release: Release) -> float | None:
        """Let it have its share for as long as its line says, and see how it does."""
        try:
            view, rows = self._look(release)
        except Busy:
            return SOON
        self._demand_none_crashed(release, rows, "crashed on trial")
        if any(row.state != Dyno.State.UP for row in rows):
            return self._be_patient(rows)  # the platform was interrupted, or it was scaled
        left = canary.judge(release)
        if not left:
            return self._switch(release, view)
        if left % MINUTE < canary.LOOK_SECONDS:
            tell(release.app)  # how many minutes are left
        return min(left, canary.LOOK_SECONDS)

    def _look(self, release: Release) -> tuple[View, list[Dyno]]:
        """Have the app as it should be now, with the dynos of `release` that it should have."""
        view = self._keeper.settle(release.app_id)
        if view is None or view.app.destroyed_at:
            raise ReleaseFailed("The app has been destroyed.")
        return view, [
            row for row in view.dynos if row.release_version == release.version and view.is_wanted(row)
        ]

    def _demand_none_crashed(self, release: Release, rows: Sequence[Dyno], how: str) -> None:
        for row in rows:
            if row.state == Dyno.State.CRASHED:
                self._show_last_words(release, row)
                raise ReleaseFailed(f"{row.name} {how}: {row.reason}")

    def _be_patient(self, rows: Sequence[Dyno]) -> float:
        """Wait for dynos that start, as long as that may take."""
        began = min((row.state_at for row in rows if row.state != Dyno.State.UP), default=timezone.now())
        if (timezone.now() - began).total_seconds() > settings.BOOT_SECONDS + GRACE:
            late = next(row.name for row in rows if row.state != Dyno.State.UP)
            raise ReleaseFailed(f"{late} did not come up within {settings.BOOT_SECONDS} seconds.")
        return PATIENCE

    def _switch(self, release: Release, view: View) -> float | None:
        """Send requests to the new dynos, then say so. The keeper drains and stops the old ones."""
        release.record(steps=turn(release.steps, "switch"))  # and so make sure that the lease is still ours
        try:
            switched = self._keeper.switch(release, view, lambda: self._commit(release))
        except Busy:
            return SOON
        return None if switched else SOON

    def _show_last_words(self, release: Release, row: Dyno) -> None:
        """Copy what a dyno said before it crashed from the app's log to where the deploy is watched."""
        began = (release.started_at or release.created_at).timestamp()
        tail = self._parts.logs.tail(release.app.log_stream, LAST_WORDS, source="app", dyno=row.name)
        said = [entry.line for entry in tail if entry.line.at >= began]
        if said:
            self._parts.logs(release.log_stream, said)

    # --- parts of steps -----------------------------------------------------------------------------------------

    def _commit(self, release: Release) -> None:
        failpoints.reach("release.router_switched")
        self._finish(release)

    def _finish(self, release: Release, **changes: Any) -> None:
        """Make it the current release, in one transaction that a worker without the lease can't make."""
        with transaction.atomic():
            Release.objects.filter(app=release.app_id, current=True).update(current=False)
            release.end(Release.Status.SUCCEEDED, current=True, steps=turn(release.steps), **changes)
            sleep.wake(release.app, by=None)
            promotions.release_ended(release, succeeded=True)
            tell(release.app)
        failpoints.reach("release.done")
        self._parts.logs.end(release.log_stream)

    def _phase_state(self, release: Release) -> DynoState | None:
        found = self._parts.driver.observe(str(release.app_id))
        return next((state for state in found if state.id == _phase_id(release)), None)

    def _start_phase(self, release: Release) -> None:
        if release.phase_started:
            self._parts.say(
                release.log_stream,
                " !     The platform was interrupted; the release command runs again.",
                dyno="release",
            )
        release.record(phase_started=True)
        failpoints.reach("release.phase_started")
        self._parts.driver.run(_phase_spec(release))

    def _stop_phase(self, release: Release) -> None:
        if release.phase_started:
            self._parts.driver.stop(str(release.app_id), _phase_id(release))


def tell(app: App) -> None:
    """Nudge the app's pages and the board it is on."""
    live.tell(app.topic)
    for pipeline in Coupling.objects.filter(app=app).order_by().values_list("pipeline", flat=True):
        live.tell(Pipeline(pk=pipeline).topic)


def _to_start(release: Release, **changes: Any) -> None:
    """Go on to the start of its dynos, for which there has to be a formation."""
    with transaction.atomic():
        release.record(step=wishes.START_STEP, steps=turn(release.steps, "start"), **changes)
        _make_formation(release)
        live.tell(release.app.topic)


def _make_formation(release: Release) -> None:
    """A process type that the app has for the first time starts as its stage says. Without a word of the stage, web has
    one dyno, and other types wait until they are scaled. The owner's limit holds for both."""
    if release.app.ephemeral == TEST:
        return  # its code is tested, and runs no processes of its own
    have = set(Formation.objects.filter(app=release.app_id).values_list("type", flat=True))
    new = [type for type in release.process_types if type != RELEASE and type not in have]
    said = stages.formation_of(release.app) if new else {}
    for type in new:
        start = {"quantity": int(type == WEB), **said.get(type, {})}
        start["quantity"] = limits.room_for_dynos(release.app.owner, start["quantity"])
        Formation.objects.get_or_create(app_id=release.app_id, type=type, defaults=start)


def _phase_id(release: Release) -> str:
    return f"release.{release.pk}"


def _phase_spec(release: Release) -> ProcessSpec:
    row = Dyno(
        app=release.app,
        type=RELEASE,
        number=release.version,
        command=release.release_command,
        release_version=release.version,
        one_off=True,
        time_to_live=settings.RELEASE_PHASE_SECONDS,
    )
    return wishes.spec(release.app, row, _phase_id(release), stream=release.log_stream)


def _why_phase_failed(state: DynoState) -> str:
    if state.reason:
        return f"The release command was ended: {state.reason}"
    return f"The release command exited with status {state.exit_code}."
