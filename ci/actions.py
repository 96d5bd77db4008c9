"""What people, pushes and programs do with test runs."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from ci.models import State, TestRun
from core import activity, changes, live
from core.changes import Change
from core.errors import Conflict, Refusal
from core.text import storable
from forge import reports
from forge.code import place_of
from pipelines.models import Pipeline
from releases import remotes, repositories
from releases.models import Source

CONTEXT = "slipway/ci"  # what a commit's status is called at its host
MOST_WAITING = 100  # runs of a pipeline that have not ended
_TOLD = {
    State.SUCCEEDED: ("success", "Tests passed"),
    State.FAILED: ("failure", "Tests failed"),
    State.ERRORED: ("error", "Tests could not run"),
    State.CANCELLED: ("error", "Tests were cancelled"),
}


@transaction.atomic
def start_run(
    pipeline: Pipeline, branch: str, *, by: User, debug: bool = False, clear_cache: bool = False
) -> TestRun:
    """Test a branch (or tag, or commit) of the pipeline's code; `Refusal` when it has no such thing."""
    ref = branch.strip()
    place = place_of(pipeline)
    if place is None:
        raise Refusal(
            f"{pipeline.name} has no code yet. Push to one of its apps, or connect a repository.",
            fields={"branch": "There is no code yet."},
        )
    told: dict[str, str] = {"branch": remotes.check_ref(ref) if place.repository else ref}
    if place.repository:
        told["commit"] = str(place.repository.heads.get(ref, ""))
    else:
        assert place.app is not None
        found = repositories.find(place.app, ref)
        if found is None:
            raise Refusal(
                f"The repository of {place.app.name} has no branch, tag or commit “{ref[:40]}”. Push it first.",
                fields={"branch": "There is no such branch. Push it first."},
            )
        commit, name = found
        told = {
            "branch": name or ref,
            "commit": commit.sha,
            "message": commit.message,
            "author": commit.author,
        }
    return _create(pipeline, cause=TestRun.Cause.HAND, by=by, debug=debug, clear_cache=clear_cache, **told)


@transaction.atomic
def start_run_of_source(
    pipeline: Pipeline,
    source: Source,
    *,
    branch: str,
    commit: str,
    message: str,
    by: User,
    debug: bool = False,
    clear_cache: bool = False,
) -> TestRun:
    """Test an archive that was uploaded, which its sender says is this commit."""
    run = _create(
        pipeline,
        cause=TestRun.Cause.API,
        by=by,
        branch=branch,
        commit=commit,
        message=message,
        debug=debug,
        clear_cache=clear_cache,
        source=source,
    )
    return run


@transaction.atomic
def start_run_of_push(
    pipeline: Pipeline, branch: str, commit: str, *, message: str, author: str, by: User | None
) -> TestRun | None:
    """Test what was pushed; None when that very push has a run already."""
    rows = TestRun.objects.filter(pipeline=pipeline, branch=branch[:255])
    newest = rows.filter(cause=TestRun.Cause.PUSH).order_by("-number").first()
    if newest is not None and newest.commit == commit:
        return None
    return _create(
        pipeline,
        cause=TestRun.Cause.PUSH,
        by=by,
        branch=branch,
        commit=commit,
        message=message,
        author=author,
    )


@transaction.atomic
def rerun(run: TestRun, *, by: User, only_failed: bool = False) -> TestRun:
    """Test the same commit again, with today's config; with `only_failed` on those nodes alone that failed."""
    if not run.is_over:
        raise Conflict(f"Test run {run.number} is {run.state}: wait for its end, or cancel it.")
    failed = list(run.nodes.filter(state__in=[State.FAILED, State.ERRORED]).values_list("index", flat=True))
    if only_failed and not failed:
        raise Refusal(f"No node of test run {run.number} failed.")
    if run.source is not None and not run.source.path:
        raise Refusal("The source of this run was cleaned away. Run the tests with the code anew.")
    return _create(
        run.pipeline,
        cause=TestRun.Cause.RERUN,
        by=by,
        branch=run.branch,
        commit=run.commit,
        message=run.message,
        author=run.author,
        source=run.source,
        rerun_of=run,
        only_failed=failed if only_failed else [],
        nodes_total=run.nodes_total if only_failed else 0,
    )


@transaction.atomic
def cancel(run: TestRun, *, by: User | None, reason: str = "") -> None:
    """End a run before its tests are over; what it made is destroyed. No effect on one that was cancelled, as a debug
    run is by the end of its shell; `Conflict` when it has ended otherwise."""
    why = reason or (f"Cancelled by {by.get_full_name()}." if by else "Cancelled.")
    open_ = TestRun.objects.filter(pk=run.pk).open()
    if not open_.update(cancel_asked=True, reason=why[:500], wake_at=None, updated_at=timezone.now()):
        run.refresh_from_db()
        if run.state == State.CANCELLED:
            return
        raise Conflict(f"Test run {run.number} has ended: {run.state}.")
    activity.record(by, "cancelled", run, pipeline=run.pipeline)
    _end_if_it_has_not_begun(run)
    live.tell(run.pipeline.topic)
    live.wake_conductor()


def supersede(pipeline: Pipeline, branch: str, *, by: TestRun) -> list[TestRun]:
    """Cancel the runs of older pushes of the branch that have not begun; returns them."""
    older = TestRun.objects.filter(
        pipeline=pipeline,
        branch=branch[:255],
        cause=TestRun.Cause.PUSH,
        status=TestRun.Status.PENDING,
        cancel_asked=False,
        number__lt=by.number,
    )
    gone = list(older)
    for run in gone:
        run.pipeline = pipeline
        cancel(run, by=None, reason=f"A newer push of {branch} took its place: test run {by.number}.")
    return gone


def tell_host(run: TestRun) -> None:
    """Have the host of the pipeline's code show how the commit's tests stand."""
    if run.debug or not run.commit:
        return
    state, words = _TOLD.get(State(run.state), ("pending", "Tests are running"))
    described = f"{words}: {run.reason}" if run.reason and run.is_over else f"{words}."
    url = settings.URL + run.url_path
    reports.report(run.pipeline, run.commit, CONTEXT, state, described, url)


def _create(pipeline: Pipeline, *, by: User | None, **fields: Any) -> TestRun:
    """The next run of the pipeline: its row is locked, so numbers have no gap and no twin."""
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    rows = TestRun.objects.filter(pipeline=pipeline)
    if rows.open().count() >= MOST_WAITING:
        raise Conflict(
            f"{pipeline.name} has {MOST_WAITING} test runs that have not ended. Cancel some, or wait.",
            id="too_many_runs",
        )
    number = (rows.aggregate(top=Max("number"))["top"] or 0) + 1
    for name, most in (("branch", 255), ("commit", 64), ("message", 500), ("author", 200)):
        text = storable(str(fields.get(name, ""))).splitlines()
        fields[name] = text[0][:most] if text else ""
    run = TestRun.objects.create(pipeline=pipeline, number=number, by=by, **fields)
    activity.record(by, "started", run, pipeline=pipeline, branch=run.branch, commit=run.commit)
    tell_host(run)
    live.tell(pipeline.topic)
    live.wake_conductor()
    return run


def _end_if_it_has_not_begun(run: TestRun) -> None:
    """What nobody has in hand is over at once."""
    ended = TestRun.objects.filter(pk=run.pk, status=TestRun.Status.PENDING).update(
        status=TestRun.Status.ENDED, state=State.CANCELLED, finished_at=timezone.now()
    )
    if ended:
        run.refresh_from_db(fields=["status", "state", "reason", "finished_at"])
        tell_host(run)
        changes.note(Change(run, pipeline_id=run.pipeline_id))
