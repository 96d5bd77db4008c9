"""Which changes are news, of what, and whom they are about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from accounts.access import managers_of
from accounts.models import User
from apps.alerts import CAME_ON, WENT_OFF
from apps.autoscale import AT_MOST
from apps.models import Alert, App, Autoscale
from ci.models import State, TestRun
from core.changes import MOVED_ON, Change
from flow import hours
from flow.models import Freeze, Hold, Line, Passage, Watch
from notices.deciders import deciders
from pipelines.models import Coupling, Pipeline, Promotion, PromotionTarget
from releases.models import Build, Release
from reviews.models import ReviewApp


@dataclass(frozen=True)
class Occasion:
    """Something to tell of: `event` happened to the row `thing`. `about` are those whom it concerns in person; `by`
    did it, and need not be told. `time` tells apart what happens to the same row again. Who is told of the event
    `cause`, which brought this along and says so, is not told of this."""

    event: str
    thing: Any
    pipeline_id: Any = None
    app_id: Any = None
    about: tuple[User, ...] = ()
    by: User | None = None
    time: str = ""
    cause: str = ""


Source = Callable[[Change], Iterator[Occasion]]


def of(change: Change) -> Iterator[Occasion]:
    """What a change is news of; mostly nothing."""
    source = SOURCES.get(type(change.thing))
    if source is not None:
        yield from source(change)


def _of_build(change: Change) -> Iterator[Occasion]:
    build: Build = change.thing
    if change.verb == MOVED_ON and build.status == Build.Status.FAILED and not build.app.ephemeral:
        yield Occasion("build-failed", build, _pipeline_of(build.app_id), build.app_id, _people(build.by))


def _of_release(change: Change) -> Iterator[Occasion]:
    release: Release = change.thing
    gave_up = change.verb == "gave up"
    if (change.verb != MOVED_ON and not gave_up) or release.app.ephemeral:
        return
    pipeline, app = _pipeline_of(release.app_id), release.app_id
    if gave_up or release.status == Release.Status.FAILED:
        if not PromotionTarget.objects.filter(release=release).exists():  # its promotion says so
            yield Occasion("release-failed", release, pipeline, app, _people(release.by))
    elif _is_rollback_by_hand(release):
        yield Occasion("rolled-back", release, pipeline, app, by=release.by)


def _of_promotion(change: Change) -> Iterator[Occasion]:
    promotion: Promotion = change.thing
    if change.verb != MOVED_ON or promotion.status != Promotion.Status.COMPLETED:
        return
    failed = promotion.targets.filter(status=PromotionTarget.Status.FAILED).exists()
    people, by = _people(promotion.by), None if promotion.automatic else promotion.by
    where = (promotion, promotion.pipeline_id, promotion.source_id)
    if failed:
        yield Occasion("promotion-failed", *where, about=people)
    else:
        yield Occasion("promoted", *where, by=by)


def _is_rollback_by_hand(release: Release) -> bool:
    done = release.status == Release.Status.SUCCEEDED and release.kind == Release.Kind.ROLLBACK
    return done and not Watch.objects.filter(rollback=release).exists()


def _pipeline_of(app_id: Any) -> Any:
    return Coupling.objects.filter(app=app_id).values_list("pipeline", flat=True).first()


def _people(*users: User | None) -> tuple[User, ...]:
    return tuple(user for user in users if user is not None)


# --- lines ---------------------------------------------------------------------------------------------------------------


def _of_line(change: Change) -> Iterator[Occasion]:
    """A line, or all of a pipeline, is held or free again."""
    line = change.thing if isinstance(change.thing, Line) else None
    if change.verb not in ("held", "lifted") or change.pipeline_id is None:
        return
    holds = Hold.objects.filter(pipeline=change.pipeline_id, line=line)
    if change.verb == "held":
        hold = holds.filter(lifted_at=None).order_by("-created_at").first()
        if hold is not None:
            yield Occasion("held", hold, change.pipeline_id, by=change.by, cause=_cause_of(hold))
    else:
        hold = holds.exclude(lifted_at=None).order_by("-lifted_at").first()
        if hold is not None:
            yield Occasion("lifted", hold, change.pipeline_id, by=change.by)


def _cause_of(hold: Hold) -> str:
    """The event that tells of the hold as well, if there is one."""
    if hold.cause == Hold.Cause.ROLLED_BACK:
        return "rolled-back-alone"
    return "promotion-failed" if hold.cause == Hold.Cause.FAILED and hold.app_id else ""


def _of_app(change: Change) -> Iterator[Occasion]:
    app: App = change.thing
    if change.verb == "asked for approval of":
        passage = Passage.objects.select_related("line__stage__pipeline", "slug")
        found = passage.filter(pk=change.details["passage"]).first()
        if found is not None:
            yield Occasion("approval-asked", found, change.pipeline_id, app.pk, about=tuple(deciders(found)))
    elif change.verb == "rolled back by itself":
        watches = Watch.objects.filter(app=app, release__version=change.details["release"])
        watch = watches.select_related("release__by", "line__by").first()
        if watch is not None:
            about = _people(watch.release.by, watch.line.by)
            yield Occasion("rolled-back-alone", watch, change.pipeline_id, app.pk, about=about)
    elif change.verb == AT_MOST:
        row = Autoscale.objects.filter(app=app).select_related("by").first()
        about = _managers_and(app, row.by if row else None)
        yield Occasion(
            "dynos-at-most", app, _pipeline_of(app.pk), app.pk, about=about, time=change.details["at"]
        )


def _of_alert(change: Change) -> Iterator[Occasion]:
    alert: Alert = change.thing
    event = {CAME_ON: "alert-on", WENT_OFF: "alert-off"}.get(change.verb)
    if event is not None:
        about = _managers_and(alert.app, alert.by)
        where = (alert, _pipeline_of(alert.app_id), alert.app_id)
        yield Occasion(event, *where, about=about, time=change.details["at"])


def _managers_and(app: App, somebody: User | None) -> tuple[User, ...]:
    """Who manages the app, and who asked for something of it."""
    people = managers_of(app.owner)
    return _people(*people, *([somebody] if somebody not in people else []))


def _of_freeze(change: Change) -> Iterator[Occasion]:
    """One that begins as it is made; the others begin by the clock."""
    freeze: Freeze = change.thing
    if change.verb == "added the freeze" and hours.frozen(freeze, freeze.created_at):
        yield Occasion(
            "freeze-began", freeze, freeze.pipeline_id, by=change.by, time=freeze.created_at.isoformat()
        )


# --- tests and review apps -----------------------------------------------------------------------------------------------


def _of_test_run(change: Change) -> Iterator[Occasion]:
    run: TestRun = change.thing
    if change.verb != MOVED_ON or not run.is_over:
        return
    if run.state in (State.FAILED, State.ERRORED):
        yield Occasion("tests-failed", run, run.pipeline_id, about=_people(run.by))
    elif run.state == State.SUCCEEDED and _failed_before(run):
        yield Occasion("tests-fixed", run, run.pipeline_id, about=_people(run.by))


def _failed_before(run: TestRun) -> bool:
    rows = TestRun.objects.filter(pipeline=run.pipeline_id, branch=run.branch, number__lt=run.number)
    ended = rows.filter(state__in=[State.SUCCEEDED, State.FAILED, State.ERRORED])
    before = ended.order_by("-number").values_list("state", flat=True).first()
    return before in (State.FAILED, State.ERRORED)


def _of_review_app(change: Change) -> Iterator[Occasion]:
    row: ReviewApp = change.thing
    if change.verb == "failed":
        commit = (row.commit or row.built_commit)[:40]
        yield Occasion("review-failed", row, row.pipeline_id, about=_people(row.by), time=commit)


SOURCES: dict[type, Source] = {
    Build: _of_build,
    Release: _of_release,
    Promotion: _of_promotion,
    Line: _of_line,
    Pipeline: _of_line,
    App: _of_app,
    Alert: _of_alert,
    Freeze: _of_freeze,
    TestRun: _of_test_run,
    ReviewApp: _of_review_app,
}
