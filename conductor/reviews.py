"""Review apps: make what is there be what is wanted, a step at a time.

A row is looked at again whenever somebody asks (`reviews.actions.ask`): then it rests, is put back for a while because
it waits, or has ended. Nothing is remembered between two looks but what the row says, so that a conductor that dies
is followed by one that goes on from there.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps import actions as app_actions
from apps import one_offs, sleep
from apps.models import App, Dyno
from ci.results import NONE, result_of
from conductor.work import Held
from core import changes, failpoints, live
from core.changes import Change
from core.errors import Conflict, Refusal
from forge.code import source_of
from pipelines import access
from pipelines.actions import couple_review_app
from releases.actions import cancel_build, create_build, set_config
from releases.models import OPEN, Release, Source
from releases.sources import adopt
from reviews import actions, names, setups, told
from reviews.models import AppSetup, ReviewApp, ReviewSettings

AT_ONCE = 32
STALE_SECONDS = 60.0  # between two looks for stale ones
WAIT_SECONDS = 5.0  # between two looks at what has to come from outside
SOON = 1.0  # between two looks at what goes away
AGAIN = 60.0  # until what could not be removed is tried once more
PREDESTROY_SECONDS = 600  # that a pre-destroy script may take
GRACE = timedelta(seconds=60)  # beyond the time that a script may take
TRIES = 20  # random names
State, Status = ReviewApp.State, ReviewApp.Status


def advance(held: Held) -> float | None:
    """Bring one as far as it goes now."""
    while True:
        row = _load(held)
        wait = _destroy(row) if row.gone else _make(row)
        if row.status == Status.ENDED:
            return None
        if wait is not None:
            _put_back(row, wait)
            return None
        if _rest(row):
            return None


def fail(job: Any, reason: str) -> None:
    """Say what is wrong. What is to go is tried again, for good."""
    row = ReviewApp.objects.select_related("pipeline", "pull_request", "app").get(pk=job.pk)
    row.lease_token = job.lease_token
    if row.gone:
        row.record(message=reason[:500])
        _put_back(row, AGAIN)
        return
    _fail(row, reason)
    row.record(status=Status.RESTING, attempt=0, lease_until=None)


def look_for_stale() -> None:
    """Give up those of which nothing was heard for so many days, where the pipeline has it so."""
    now = timezone.now()
    rows = ReviewApp.objects.filter(gone=False, pipeline__review_settings__destroy_stale=True)
    for row in rows.select_related("pipeline__review_settings", "pull_request"):
        days = row.pipeline.review_settings.stale_days
        if row.news_at < now - timedelta(days=days):
            actions.destroy(row, by=None, why=f"Nothing was pushed for {days} days.")


# --- making --------------------------------------------------------------------------------------------------------------


def _make(row: ReviewApp) -> float | None:
    if row.app is None and row.app_name:
        ReviewApp.objects.filter(pk=row.pk).update(gone=True, message="Its app was destroyed.")
        row.gone = True
        return _destroy(row)
    if row.state == State.ERRORED:
        return None
    if row.app is None or row.setup is None:
        return _create(row)
    if row.setup.status in OPEN:
        return None  # its end asks for us
    if row.state == State.CREATING:
        _note_setup(row, row.setup)
    if row.state == State.CREATED and row.commit and row.commit != row.built_commit:
        _build_again(row)
    return None


def _create(row: ReviewApp) -> float | None:
    """Make the app and have it set up, unless it has to wait."""
    config = actions.settings_of(row.pipeline)
    waits = _waits_for(row, config)
    if waits:
        if row.message != waits:
            row.record(message=waits)
            told.report(row, "pending", waits)
            live.tell(row.pipeline.topic)
        return WAIT_SECONDS
    try:
        with transaction.atomic():
            _make_app(row, config)
    except Refusal as refusal:
        _fail(row, refusal.message)
    failpoints.reach("review.created")
    return None


def _waits_for(row: ReviewApp, config: ReviewSettings) -> str:
    """What it has to wait for, in words; empty when it need not."""
    before = ReviewApp.objects.filter(pipeline=row.pipeline, subject=row.subject, state=State.DELETING)
    if before.exclude(pk=row.pk).exists():
        return "Waits until the one before it is gone."
    others = ReviewApp.objects.filter(pipeline=row.pipeline, app__isnull=False).exclude(pk=row.pk)
    if row.app is None and others.count() >= config.most:
        return f"Waits for room: {config.most} review apps at once are the most."
    if row.wait_for_ci:
        return _waits_for_ci(row)
    return ""


def _waits_for_ci(row: ReviewApp) -> str:
    """What our own tests and the host's checks say against its commit; one of them has to have passed."""
    told = [
        result_of(row.pipeline, row.commit),
        result_of(row.pipeline, row.commit, runs=False, host=True),
    ]
    known = [result for result in told if result.state != NONE]
    against = next((result for result in known if not result.holds), None)
    if against is not None or not known:
        return f"Waits for CI. {(against or told[0]).words}"[:500]
    return ""


def _make_app(row: ReviewApp, config: ReviewSettings) -> None:
    """The app and its setup, with the row that says so."""
    by = row.by
    if by is None or access.DEPLOY not in access.rights_in(by, row.pipeline):
        who = by.get_full_name() if by else "Who asked for it"
        raise Refusal(
            f"{who} may not deploy in {row.pipeline.name} any more. Someone else can ask for it again."
        )
    app = row.app or _new_app(row, config)
    source = _source(row, app)
    setup = setups.create(app, source, by=by)
    row.record(
        app=app,
        app_name=app.name,
        setup=setup,
        state=State.CREATING,
        message="",
        built_commit=source.commit or row.commit,
    )
    told.report(row, "pending", "The review app is being made.")
    told.comment(row)
    live.tell(row.pipeline.topic)


def _new_app(row: ReviewApp, config: ReviewSettings) -> App:
    by = row.by
    assert by is not None
    app = app_actions.create_app(_free_name(row, config), owner=row.pipeline.owner, by=by)
    app.ephemeral = "review"
    App.objects.filter(pk=app.pk).update(ephemeral=app.ephemeral)
    couple_review_app(app, actions.review_stage(row.pipeline), inherits=not row.from_fork, by=by)
    facts = {"HEROKU_APP_NAME": app.name, "HEROKU_BRANCH": row.branch}
    if row.pull_request:
        facts["HEROKU_PR_NUMBER"] = str(row.pull_request.number)
    set_config(app, facts, by=by, description="What a review app is told of itself", origin="Review app")
    if config.sleep_minutes:
        sleep.set_sleep(app, config.sleep_minutes, by=by)
    return app


def _free_name(row: ReviewApp, config: ReviewSettings) -> str:
    """A predictable name has to be free; of random ones, one that is."""
    for _ in range(1 if config.predictable else TRIES):
        name = names.app_name(row, config)
        if not names.is_taken(name):
            break
    return name


def _source(row: ReviewApp, app: App) -> Source:
    """What is built: what the API client gave, the first time; else the commit that is wanted, or the branch."""
    if row.source is not None and not row.built_commit:
        return adopt(row.source, app, version=row.source.version)
    source = source_of(row.pipeline, row.commit or row.branch, into=app, by=row.by, branch=row.branch)
    if row.path:
        source.folder = row.path
        source.save(update_fields=["folder"])
    return source


def _note_setup(row: ReviewApp, setup: AppSetup) -> None:
    """The setup has ended: so the app is there, or not."""
    source = setup.source
    commit = source.commit if source else ""
    if setup.status == AppSetup.Status.FAILED:
        _fail(row, setup.failure)
        return
    row.record(
        state=State.CREATED, message="", commit=row.commit or commit, built_commit=commit or row.built_commit
    )
    told.report(row, "success", "The review app is running.")
    told.comment(row)
    live.tell(row.pipeline.topic)


@transaction.atomic
def _fail(row: ReviewApp, reason: str) -> None:
    row.record(state=State.ERRORED, message=reason[:500])
    changes.note(Change(row, "failed", pipeline_id=row.pipeline_id))
    told.report(row, "failure", reason[:140])
    live.tell(row.pipeline.topic)


def _build_again(row: ReviewApp) -> None:
    """Build the commit that is wanted by now, and none before it."""
    app = row.app
    assert app is not None
    message = ""
    try:
        with transaction.atomic():
            for build in app.builds.filter(status__in=OPEN):
                _cancel(build, row)
            create_build(app, _source(row, app), by=row.by)
    except Refusal as refusal:
        message = f"{row.commit[:7]} can't be built: {refusal.message}"[:500]
    with transaction.atomic():
        row.record(built_commit=row.commit, message=message)
        told.report(
            row, "failure" if message else "pending", message[:140] or "The newest commit is being built."
        )
        live.tell(row.pipeline.topic)


def _cancel(build: Any, row: ReviewApp) -> None:
    try:
        cancel_build(build, by=row.by)
    except Conflict:  # it has just ended
        return


# --- destroying ----------------------------------------------------------------------------------------------------------


def _destroy(row: ReviewApp) -> float | None:
    """Run its pre-destroy script, have the app destroyed, and wait until nothing is left of it."""
    if row.state != State.DELETING:
        still = ReviewApp.objects.filter(pk=row.pk, lease_token=row.lease_token, gone=True)
        if not still.update(state=State.DELETING):
            return None  # it was asked for again since it was read: the next look sees that
        row.state = State.DELETING
        live.tell(row.pipeline.topic)
    app = row.app
    if app is None:
        _end(row)
        return None
    if app.destroyed_at is None:
        if _script_runs(row, app):
            return SOON
        failpoints.reach("review.destroying")
        app_actions.destroy_app(app, confirm=app.name, by=row.by)
        failpoints.reach("review.destroyed")
    return SOON


def _script_runs(row: ReviewApp, app: App) -> bool:
    """Whether its pre-destroy script has to be waited for; it is started, once, if it has one."""
    if row.predestroy_dyno is None:
        return _start_script(row, app)
    dyno = Dyno.objects.filter(pk=row.predestroy_dyno).first()
    if dyno is None or dyno.state in (Dyno.State.DOWN, Dyno.State.CRASHED):
        return False
    return timezone.now() < dyno.created_at + timedelta(seconds=PREDESTROY_SECONDS) + GRACE


def _start_script(row: ReviewApp, app: App) -> bool:
    command = row.setup.scripts.get("pr-predestroy", "") if row.setup else ""
    current = Release.objects.current_for(app)
    if not command or current is None or current.slug is None:
        return False
    try:
        with transaction.atomic():
            dyno = one_offs.run_detached(
                app,
                command,
                release_version=current.version,
                by=row.by,
                time_to_live=PREDESTROY_SECONDS,
                type="predestroy",
            )
            row.record(predestroy_dyno=dyno.pk)
    except Refusal:  # no room, or suspended: it goes all the same
        return False
    failpoints.reach("review.predestroy")
    return True


def _end(row: ReviewApp) -> None:
    with transaction.atomic():
        row.end(Status.ENDED, state=State.DELETED)
        told.comment(row)
        actions.ask(actions.waiting_in(row.pipeline))
        live.tell(row.pipeline.topic)
    failpoints.reach("review.done")


# --- the row -------------------------------------------------------------------------------------------------------------


def _load(held: Held) -> ReviewApp:
    """The row as it is now, held by our lease."""
    rows = ReviewApp.objects.select_related(
        "pipeline__user", "pipeline__team", "pull_request", "by", "source"
    )
    row = rows.select_related("app__user", "app__team", "setup__source").get(pk=held.job.pk)
    row.lease_token = held.job.lease_token
    return row


def _rest(row: ReviewApp) -> bool:
    """Let go of it, unless somebody has asked again since it was read."""
    mine = ReviewApp.objects.filter(
        pk=row.pk, lease_token=row.lease_token, status=Status.RUNNING, asked=row.asked
    )
    if mine.update(status=Status.RESTING, attempt=0, lease_until=None):
        return True
    row.renew(seconds=settings.LEASE_SECONDS)
    return False


def _put_back(row: ReviewApp, seconds: float) -> None:
    """Look again in `seconds`, or at once when somebody asks; waiting is no failed attempt."""
    mine = ReviewApp.objects.filter(
        pk=row.pk, lease_token=row.lease_token, status=Status.RUNNING, asked=row.asked
    )
    at = timezone.now() + timedelta(seconds=seconds)
    if not mine.update(attempt=0, lease_until=None, lease_token=None, wake_at=at):
        row.record(attempt=0, lease_until=None, lease_token=None, wake_at=None)
