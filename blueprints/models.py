"""What the repository's own slipway.yml asks for, and whether it may have that."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from core.jobs import Job, JobQuerySet
from pipelines.models import Pipeline


class Following(models.Model):
    """Whether a pipeline is made what its repository says, by itself. Without a row, or switched off, that is only
    offered."""

    pipeline = models.OneToOneField(
        Pipeline, primary_key=True, on_delete=models.CASCADE, related_name="following"
    )
    on = models.BooleanField(default=False)
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="In whose name it is applied."
    )
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"slipway.yml of {self.pipeline}"


class Proposal(Job):
    """The slipway.yml of one commit. `status` says whether it is still to be looked at, `state` what came of it."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        ENDED = "ended", "ended"

    class State(models.TextChoices):
        PENDING = "pending", "not looked at yet"
        NOTHING = "nothing", "asks for nothing else"
        OFFERED = "offered", "waits for somebody"
        WRONG = "wrong", "can’t be applied"
        APPLIED = "applied", "applied"
        DECLINED = "declined", "declined"
        OUTDATED = "outdated", "a newer one took its place"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="proposals")
    commit = models.CharField(max_length=64)
    branch = models.CharField(max_length=255)
    message = models.CharField(max_length=500, blank=True, help_text="First line of the commit.")
    author = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True, help_text="The file.")
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    reason = models.TextField(blank=True, help_text="What is wrong, for people.")
    changes = models.JSONField(default=list, help_text="What it would change, or has changed, in words.")
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="Who pushed it."
    )
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["pipeline", "commit"],
                condition=Q(status__in=["pending", "running"]),
                name="one_open_proposal_per_commit",
            )
        ]

    def __str__(self) -> str:
        return f"slipway.yml of {self.commit[:7]}"
