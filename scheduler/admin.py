"""Scheduled jobs and their runs, for operators to look at."""

from typing import ClassVar

from django.contrib import admin

from core.admin import Endless, Shown, status
from core.deeds import Deed
from scheduler import actions
from scheduler.models import ScheduledJob, ScheduledRun


@admin.register(ScheduledJob)
class ScheduledJobAdmin(Shown):
    """What runs by the clock."""

    list_display = ("__str__", "app", "schedule", "zone", "next_at", "failures")
    list_filter = ("overlap",)
    search_fields = ("app__name", "command")
    list_select_related = ("app",)
    deeds: ClassVar = (
        Deed(
            "pause",
            "Pause",
            "It runs no more until somebody resumes it.",
            lambda job, by: actions.pause_job(job, True, by=by),
            fits=lambda job: not job.paused,
            icon="pause",
        ),
    )


@admin.register(ScheduledRun)
class ScheduledRunAdmin(Endless, Shown):
    """Each time, and what became of it."""

    list_display = ("__str__", "dyno_name", status, "exit_code", "reason", "started_at", "finished_at")
    list_filter = ("status", "due_at")
    search_fields = ("job__app__name", "job__command")
    list_select_related = ("job",)
