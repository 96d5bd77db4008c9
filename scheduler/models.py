"""Commands that run by the clock, and what became of each time."""

import uuid
from datetime import datetime
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from accounts.models import User
from apps.models import App, Dyno
from scheduler import times


class ScheduledJobQuerySet(models.QuerySet["ScheduledJob"]):
    """Questions about scheduled jobs."""

    def with_last_run(self) -> Self:
        """Each with `last_status` and `last_due` of its newest run."""
        newest = ScheduledRun.objects.filter(job=OuterRef("pk")).order_by("-due_at")
        return self.annotate(
            last_status=Subquery(newest.values("status")[:1]), last_due=Subquery(newest.values("due_at")[:1])
        )


class ScheduledJob(models.Model):
    """A command of an app, and when it runs: in one-off dynos, with the code and config that are current then."""

    class Overlap(models.TextChoices):
        SKIP = "skip", "Skip a run while the last one goes on"
        TOGETHER = "together", "Let runs overlap"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="scheduled_jobs")
    command = models.TextField()
    schedule = models.CharField(max_length=100, help_text="Five fields, as cron has them.")
    zone = models.CharField(max_length=60, default="UTC", help_text="The time zone that it is meant in.")
    size = models.CharField(max_length=40, default="standard-1x")
    overlap = models.CharField(max_length=8, choices=Overlap, default=Overlap.SKIP)
    from_app_json = models.BooleanField(default=False, help_text="It comes and goes with the app's releases.")
    next_at = models.DateTimeField(null=True, db_index=True, help_text="None while it is paused.")
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ScheduledJobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["created_at"]

    def __str__(self) -> str:
        return self.command[:60]

    @property
    def paused(self) -> bool:
        """Whether it waits for somebody to let it run again."""
        return self.next_at is None

    @property
    def in_words(self) -> str:
        """“At 05:00 on Monday through Friday”."""
        return times.in_words(self.schedule)

    def after(self, moment: datetime) -> datetime:
        """When it is due next after `moment`."""
        return times.after(self.schedule, ZoneInfo(self.zone), moment)


class ScheduledRun(models.Model):
    """One time that a job was due, and what became of it."""

    class Status(models.TextChoices):
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        SKIPPED = "skipped", "skipped"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(ScheduledJob, on_delete=models.CASCADE, related_name="runs")
    due_at = models.DateTimeField()
    dyno = models.ForeignKey(Dyno, null=True, on_delete=models.SET_NULL, related_name="+")
    dyno_name = models.CharField(max_length=140, blank=True)
    status = models.CharField(max_length=9, choices=Status, default=Status.RUNNING)
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-due_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "due_at"], name="one_run_per_due_time")
        ]

    def __str__(self) -> str:
        return f"{self.job} at {self.due_at:%Y-%m-%d %H:%M}"

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None
