"""What people do with scheduled jobs."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import activity, live
from core.errors import Conflict, Refusal
from engine.spec import SIZES
from scheduler import runs, times
from scheduler.models import ScheduledJob, ScheduledRun

MOST = 100  # jobs of an app
MOST_COMMAND = 2000  # characters


@transaction.atomic
def add_job(
    app: App,
    command: str,
    *,
    schedule: str,
    zone: str = "UTC",
    size: str = "standard-1x",
    overlap: str = ScheduledJob.Overlap.SKIP,
    by: User,
) -> ScheduledJob:
    """Have `command` run by the clock from now on; `Refusal` says which field is wrong."""
    App.objects.select_for_update().get(pk=app.pk)
    if app.scheduled_jobs.count() >= MOST:
        raise Refusal(f"{app.name} has {MOST} scheduled jobs, which is the most.")
    job = ScheduledJob(app=app, by=by, **_checked(command, schedule, zone, size, overlap))
    job.next_at = job.after(timezone.now())
    job.save(force_insert=True)
    _record(by, "scheduled", job)
    return job


@transaction.atomic
def change_job(
    job: ScheduledJob, command: str, *, schedule: str, zone: str, size: str, overlap: str, by: User
) -> ScheduledJob:
    """Run another command, or at other times. A paused job stays paused."""
    job = ScheduledJob.objects.select_for_update().select_related("app").get(pk=job.pk)
    _demand_own(job)
    for name, value in _checked(command, schedule, zone, size, overlap).items():
        setattr(job, name, value)
    if not job.paused:
        job.next_at = job.after(timezone.now())
    job.save()
    _record(by, "changed the scheduled job", job)
    return job


@transaction.atomic
def pause_job(job: ScheduledJob, on: bool, *, by: User) -> ScheduledJob:
    """Let it rest, or run by the clock again: from now on, without what it has missed."""
    job = ScheduledJob.objects.select_for_update().select_related("app").get(pk=job.pk)
    if job.paused != on:
        job.next_at = None if on else job.after(timezone.now())
        job.save(update_fields=["next_at"])
        _record(by, "paused" if on else "resumed", job)
    return job


@transaction.atomic
def remove_job(job: ScheduledJob, *, by: User) -> None:
    """Forget the job and its history. A run that is under way goes on."""
    _demand_own(job)
    _record(by, "unscheduled", job)
    job.delete()


@transaction.atomic
def run_now(job: ScheduledJob, *, by: User) -> ScheduledRun:
    """Run it once now, besides its schedule; `Refusal` when it can't."""
    job = ScheduledJob.objects.select_for_update().select_related("app").get(pk=job.pk)
    return runs.begin(job, timezone.now(), by=by)


def _demand_own(job: ScheduledJob) -> None:
    if job.from_app_json:
        raise Conflict("This job is in the app's app.json: change it there and deploy, or pause it here.")


def _checked(command: str, schedule: str, zone: str, size: str, overlap: str) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    if not command.strip() or len(command) > MOST_COMMAND or "\0" in command:
        wrong["command"] = f"Give a command, of {MOST_COMMAND:,} characters at most."
    if size.lower() not in SIZES:
        wrong["size"] = f"One of {', '.join(SIZES)}."
    if overlap not in ScheduledJob.Overlap.values:
        wrong["overlap"] = f"One of {', '.join(ScheduledJob.Overlap.values)}."
    if wrong:
        raise Refusal(" ".join(wrong.values()), fields=wrong)
    return {
        "command": command.strip(),
        "schedule": times.check(schedule),
        "zone": times.check_zone(zone),
        "size": size.lower(),
        "overlap": overlap,
    }


def _record(by: User, verb: str, job: ScheduledJob) -> None:
    activity.record(by, verb, job, app=job.app, what=f"{job.schedule} {job.zone}")
    live.tell(job.app.topic)
