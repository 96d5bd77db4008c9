"""Backups of databases, and what else moves a database's content: restores and copies; and when backups are made."""

import uuid
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core.jobs import Job, JobQuerySet


class Schedule(models.Model):
    """That a database is backed up every day at an hour."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    addon = models.OneToOneField("addons.Addon", on_delete=models.CASCADE, related_name="schedule")
    name = models.CharField(max_length=110, help_text="The config var that it was set up for: DATABASE_URL.")
    hour = models.PositiveSmallIntegerField()
    zone = models.CharField(max_length=60, default="UTC")
    next_at = models.DateTimeField(db_index=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "backup schedule"
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(hour__lte=23), name="a_backup_is_at_an_hour_of_the_day")
        ]

    def __str__(self) -> str:
        return f"{self.hour:02}:00 {self.zone}"

    def after(self, moment: datetime) -> datetime:
        """When the hour comes next, in the schedule's own time zone."""
        return next_time(self.hour, self.zone, moment)


class TransferQuerySet(JobQuerySet):
    """Questions about transfers."""

    def kept(self) -> "TransferQuerySet":
        """Backups whose file is there."""
        return self.filter(
            kind=Transfer.Kind.BACKUP, status=Transfer.Status.SUCCEEDED, dropped_at__isnull=True
        )

    def whole(self) -> "TransferQuerySet":
        """With what a line about each says."""
        return self.select_related("app", "source", "target", "backup", "by")

    def listed(self) -> "TransferQuerySet":
        """All but backups that were deleted."""
        return self.filter(dropped_at__isnull=True)


class Transfer(Job):
    """Content of a database on its way: into a file (a backup), out of one (a restore), or into another database."""

    class Kind(models.TextChoices):
        BACKUP = "backup", "backup"
        RESTORE = "restore", "restore"
        COPY = "copy", "copy"

    class Status(models.TextChoices):
        PENDING = "pending", "waiting"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="database_transfers")
    number = models.PositiveIntegerField(help_text="Of the app's transfers.")
    kind = models.CharField(max_length=10, choices=Kind)
    source = models.ForeignKey(
        "addons.Addon", null=True, on_delete=models.SET_NULL, related_name="transfers_from"
    )
    target = models.ForeignKey(
        "addons.Addon", null=True, on_delete=models.SET_NULL, related_name="transfers_to"
    )
    from_name = models.CharField(max_length=120)
    to_name = models.CharField(max_length=120)
    backup = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="restores")
    script = models.TextField(blank=True, help_text="SQL that is run on the copy before anyone sees it.")
    scheduled = models.BooleanField(default=False)
    last = models.BooleanField(
        default=False, help_text="Made because the database was about to be destroyed."
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    cancel_asked = models.BooleanField(default=False)
    reason = models.CharField(max_length=500, blank=True)
    notes = models.JSONField(default=list, editable=False, help_text="[[time, what was done]]")
    processed_bytes = models.BigIntegerField(default=0)
    source_bytes = models.BigIntegerField(default=0)
    warnings = models.PositiveIntegerField(default=0, help_text="Things that had to be left out.")
    tables = models.PositiveIntegerField(null=True, help_text="With data in it, found in the backup.")
    proved_at = models.DateTimeField(null=True, help_text="When it was read back into a database as a proof.")
    started_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = TransferQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-number"]
        verbose_name = "database transfer"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "number"], name="one_transfer_per_number")
        ]

    def __str__(self) -> str:
        return f"{self.letter}{self.number:03}"

    @property
    def letter(self) -> str:
        """How the CLI's names of them begin: b001, a002, r003, c004."""
        if self.kind == self.Kind.BACKUP:
            return "a" if self.scheduled else "b"
        return "r" if self.kind == self.Kind.RESTORE else "c"

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.status in (self.Status.PENDING, self.Status.RUNNING)


def next_time(hour: int, zone: str, moment: datetime) -> datetime:
    """The first time after `moment` that a clock in `zone` shows `hour`:00."""
    here = moment.astimezone(ZoneInfo(zone))
    for days in range(3):
        day = here.date().fromordinal(here.date().toordinal() + days)
        found = datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone))
        if found > moment:
            return found
    raise AssertionError("an hour comes every day")
