"""Running what is due. A run, its dyno and the job's next time are written in one transaction: whatever dies, and however
many conductors look, each time comes once or not at all, and then says why."""

import logging
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from accounts.access import managers_of
from accounts.models import User
from apps.models import Dyno
from apps.one_offs import run_detached
from core import activity, live
from core.changes import Change
from core.errors import Refusal
from releases.models import Release
from scheduler.models import ScheduledJob, ScheduledRun

log = logging.getLogger(__name__)

TYPE = "scheduler"  # of its dynos: scheduler.1234
AT_ONCE = 100
KEEP = 200  # runs of a job


def run_due(now: datetime | None = None) -> int:
    """Begin every run that is due; returns how many were due. What was missed while nobody looked runs once."""
    now = now or timezone.now()
    due = ScheduledJob.objects.filter(next_at__lte=now, app__destroyed_at=None).order_by("next_at")
    ids = list(due.values_list("pk", flat=True)[:AT_ONCE])
    return sum(_run(pk, now) for pk in ids)


def begin(job: ScheduledJob, due_at: datetime, *, by: User | None = None) -> ScheduledRun:
    """A run of `job`, which is locked, with its dyno; `Refusal` when the app can't run it now."""
    release = Release.objects.filter(app=job.app, current=True).exclude(slug=None).first()
    if release is None:
        raise Refusal(f"{job.app.name} has no code yet: deploy it first.")
    dyno = run_detached(
        job.app, job.command, release_version=release.version, size=job.size, type=TYPE, by=by
    )
    run = ScheduledRun.objects.create(
        job=job, due_at=due_at, dyno=dyno, dyno_name=dyno.name, started_at=timezone.now()
    )
    live.tell(job.app.topic)
    return run


def heard(change: Change) -> None:
    """Listens to `core.changes`: the end of a run's dyno is the end of the run."""
    dyno = change.thing
    if not isinstance(dyno, Dyno) or dyno.type != TYPE or dyno.state != Dyno.State.DOWN:
        return
    run = ScheduledRun.objects.filter(dyno=dyno, status="running").select_related("job__app").first()
    if run is not None:
        well = dyno.exit_code == 0
        reason = "" if well else dyno.reason or f"It exited with status {dyno.exit_code}."
        _end(run, "succeeded" if well else "failed", reason, dyno.exit_code)


@transaction.atomic
def _run(pk: UUID, now: datetime) -> bool:
    job = ScheduledJob.objects.select_for_update().select_related("app").filter(pk=pk).first()
    if job is None or job.next_at is None or job.next_at > now:
        return False  # another conductor was here
    due_at, job.next_at = job.next_at, job.after(now)
    job.save(update_fields=["next_at"])
    if job.overlap == ScheduledJob.Overlap.SKIP and job.runs.filter(status="running").exists():
        _note(job, due_at, "skipped", "The last run goes on still.")
        return True
    try:
        with transaction.atomic():
            begin(job, due_at)
    except Refusal as refusal:
        _note(job, due_at, "failed", refusal.message)
    old = job.runs.order_by("-due_at").values_list("pk", flat=True)[KEEP:]
    job.runs.filter(pk__in=list(old)).delete()
    return True


def _note(job: ScheduledJob, due_at: datetime, status: str, reason: str) -> None:
    """A run that did not begin."""
    run = ScheduledRun.objects.create(job=job, due_at=due_at, started_at=timezone.now())
    _end(run, status, reason)


def _end(run: ScheduledRun, status: str, reason: str, exit_code: int | None = None) -> None:
    run.status, run.reason, run.exit_code = status, reason[:300], exit_code
    run.finished_at = timezone.now()
    run.save()
    job = run.job
    if status != "skipped":
        job.failures = 0 if status == "succeeded" else job.failures + 1
        job.save(update_fields=["failures"])
    if status == "failed":
        activity.record(None, "failed to run", job, app=job.app, what=run.reason)
        if job.failures == 1:  # of many in a row the first is told of
            transaction.on_commit(lambda: _mail(job, run))
    live.tell(job.app.topic)


def _mail(job: ScheduledJob, run: ScheduledRun) -> None:
    if not settings.MAIL:
        return
    text = (
        f"{job.command}\n\nof {job.app.name} was due at {run.due_at:%Y-%m-%d %H:%M} UTC and failed: {run.reason}\n"
        f"{settings.URL}/apps/{job.app.name}/schedule/\n\nYou are told once until it succeeds again.\n"
    )
    for person in managers_of(job.app.owner):
        try:
            send_mail(f"{job.app.name}: a scheduled job failed", text, None, [person.email])
        except OSError as fault:
            log.warning("The failure of a scheduled job could not be told: %s", fault)
