"""Where news of a pipeline goes: to channels in chats and by mail, and to people who asked for it or whom it is about.

A notice says *that* something happened to a row; what it says is written when it is sent, from that row, so that it
never tells more than is true then. Nothing of it is secret but where a channel is.
"""

import uuid
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from pipelines.models import Pipeline


class Channel(models.Model):
    """A place where a team reads: a chat's incoming webhook, or a mail address. Where that is, is sealed to it: who
    knows the URL of such a webhook may write there."""

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack"
        MATTERMOST = "mattermost", "Mattermost"
        DISCORD = "discord", "Discord"
        TEAMS = "teams", "Microsoft Teams"
        EMAIL = "email", "E-mail"

    SEALED: ClassVar = {"sealed": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(max_length=60, help_text="What people call it: #releases.")
    kind = models.CharField(max_length=10, choices=Kind)
    sealed = models.TextField(editable=False)
    events = models.JSONField(default=list, help_text="What it is told of.")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    rests_until = models.DateTimeField(null=True, editable=False)
    error = models.CharField(max_length=300, blank=True, editable=False, help_text="Of the last try.")
    told_at = models.DateTimeField(null=True, editable=False, help_text="When it last took something.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name", "created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pipeline", "name"], name="one_channel_per_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        """What the sealed address belongs to."""
        return f"channel/{self.pk}/address"

    @property
    def address(self) -> str:
        """The URL of its webhook, or its mail address."""
        return secrets.unseal(self.sealed, to=self.bound_to).decode()

    @address.setter
    def address(self, text: str) -> None:
        self.sealed = secrets.seal(text.encode(), to=self.bound_to)

    @property
    def by_mail(self) -> bool:
        """Whether it is a mail address."""
        return self.kind == self.Kind.EMAIL


class Preference(models.Model):
    """What a person wants to be mailed, of one pipeline or (without one) of all that have no preference of their own."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="preferences")
    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.CASCADE, related_name="preferences")
    email = models.BooleanField(
        default=True,
        help_text="Mail what is about them: what they began and that failed, what they are asked for.",
    )
    events = models.JSONField(default=list, help_text="What they are mailed besides, whoever began it.")
    summary = models.BooleanField(default=False, help_text="Mail a summary of each day.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["pipeline__name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "pipeline"], name="one_preference_per_pipeline"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(pipeline=None), name="one_preference_for_all"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} of {self.pipeline or 'every pipeline'}"


class NoticeQuerySet(JobQuerySet):
    """Questions about notices."""

    def claimable(self, now: Any = None) -> Self:
        """Due, and of no channel that rests."""
        now = now or timezone.now()
        return super().claimable(now).exclude(channel__rests_until__gt=now)


class Notice(Job):
    """One piece of news on its way to one channel or one person. The same news is written once for each."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "sent"
        FAILED = "failed", "failed"
        SKIPPED = "skipped", "not sent"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.CharField(max_length=20)
    kind = models.CharField(max_length=40, help_text="What it is about: releases.release.")
    thing = models.UUIDField(help_text="The id of that.")
    occasion = models.CharField(
        max_length=40, blank=True, help_text="Which time, of what happens to it again."
    )
    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.CASCADE, related_name="notices")
    app = models.ForeignKey(App, null=True, on_delete=models.CASCADE, related_name="notices")
    channel = models.ForeignKey(Channel, null=True, on_delete=models.CASCADE, related_name="notices")
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="notices")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was not sent.")

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["channel", "event", "thing", "occasion"],
                condition=Q(channel__isnull=False),
                name="one_notice_per_channel",
            ),
            models.UniqueConstraint(
                fields=["user", "event", "thing", "occasion"],
                condition=Q(user__isnull=False),
                name="one_notice_per_person",
            ),
            models.CheckConstraint(
                condition=Q(channel__isnull=False, user=None) | Q(channel=None, user__isnull=False),
                name="notice_to_a_channel_or_a_person",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["created_at"], condition=Q(status__in=["pending", "running"]), name="open_notices"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel or self.user}"
