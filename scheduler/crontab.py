"""The jobs that an app brings along in its app.json, as Dokku has them: `"cron": [{"command": "…", "schedule": "@daily"}]`.

They come and go with the release that is current: each release that succeeds brings its own.
"""

from typing import Any

from django.utils import timezone

from apps.models import App
from core import activity, live
from core.changes import Change
from core.errors import Refusal
from releases.models import Manifest, Release
from scheduler import actions, times
from scheduler.models import ScheduledJob

Wanted = dict[tuple[str, str], None]  # (command, schedule), in order, each once


def read(app_json: dict[str, Any]) -> Wanted:
    """What app.json asks for; `Refusal` says which entry is wrong, and how."""
    entries = app_json.get("cron", [])
    if not isinstance(entries, list) or len(entries) > actions.MOST:
        raise Refusal(f"app.json: cron has to be a list of {actions.MOST} jobs at most.")
    return dict.fromkeys(_entry(number, entry) for number, entry in enumerate(entries))


def heard(change: Change) -> None:
    """Listens to `core.changes`: the release that has just become current brings its jobs."""
    release = change.thing
    if isinstance(release, Release) and release.status == Release.Status.SUCCEEDED and release.slug_id:
        current = Release.objects.filter(pk=release.pk, current=True).select_related("app").first()
        if current is not None:
            manifest = Manifest.objects.filter(slug=current.slug_id).first()
            bring(current.app, read(manifest.app_json if manifest else {}))


def bring(app: App, wanted: Wanted) -> None:
    """Have the app's jobs of app.json be these. Those that stay keep their history, and whether they are paused."""
    rows = ScheduledJob.objects.filter(app=app, from_app_json=True)
    have = {(row.command, row.schedule): row for row in rows}
    gone = [row for key, row in have.items() if key not in wanted]
    new = [key for key in wanted if key not in have]
    for row in gone:
        activity.record(None, "unscheduled", row, app=app, what="no longer in app.json")
        row.delete()
    for command, schedule in new:
        job = ScheduledJob(app=app, command=command, schedule=schedule, from_app_json=True)
        job.next_at = job.after(timezone.now())
        job.save(force_insert=True)
        activity.record(None, "scheduled", job, app=app, what=f"{schedule}, from app.json")
    if gone or new:
        live.tell(app.topic)


def _entry(number: int, entry: Any) -> tuple[str, str]:
    where = f"app.json: cron[{number}]"
    if not isinstance(entry, dict):
        raise Refusal(f"{where} has to be an object with command and schedule.")
    command, schedule = entry.get("command"), entry.get("schedule")
    if not isinstance(command, str) or not 0 < len(command.strip()) <= actions.MOST_COMMAND:
        raise Refusal(f"{where} needs a command, of {actions.MOST_COMMAND:,} characters at most.")
    if not isinstance(schedule, str):
        raise Refusal(f"{where} needs a schedule, like 0 5 * * *.")
    try:
        return command.strip(), times.check(schedule)
    except Refusal as refusal:
        raise Refusal(f"{where}: {schedule[:60]} is no schedule that ever comes.") from refusal
