"""How releases pass from stage to stage: gates, what people said, holds, freezes, and the watch after a promotion.

A *line* leads into a stage. A *passage* is one slug of one app on its way over a line. What a gate says of a passage
is computed from facts each time it is asked (`flow.gates`); only what was found out by doing something, a *probe*, and
what people said, a *verdict*, is kept.
"""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from pipelines.models import Pipeline, Promotion, Stage
from releases.models import Release, Slug


class Line(models.Model):
    """How releases pass into a stage. A stage without a line of its own takes them by hand, without gates."""

    class Mode(models.TextChoices):
        HAND = "hand", "By hand"
        ASK = "ask", "Ask, then promote"
        AUTO = "auto", "By itself"

    class Canary(models.TextChoices):
        NONE = "none", "All at once"
        APP = "app", "One app first"
        SHARE = "share", "A share of the traffic first"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stage = models.OneToOneField(Stage, on_delete=models.CASCADE, related_name="line")
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.HAND)
    by = models.ForeignKey(
        User,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="In whose name it promotes by itself: who said that it should.",
    )
    soak_minutes = models.PositiveIntegerField(default=10, help_text="A target is watched after a promotion.")
    watch = models.BooleanField(default=True, help_text="Roll a target back that fails while it is watched.")
    most_crashes = models.PositiveIntegerField(default=0, help_text="While it is watched.")
    most_errors = models.FloatField(
        null=True, help_text="Percent of answers with a 5xx, while it is watched."
    )
    most_p95 = models.PositiveIntegerField(null=True, help_text="Milliseconds, while it is watched.")
    canary = models.CharField(max_length=5, choices=Canary, default=Canary.NONE)
    canary_percent = models.PositiveIntegerField(
        default=10, help_text="Of the traffic, where a share goes first."
    )
    canary_minutes = models.PositiveIntegerField(default=5, help_text="Until the rest follows.")
    needs_config = models.BooleanField(
        default=False, help_text="Nothing passes to an app that lacks a config var that app.json requires."
    )
    stale = models.BooleanField(
        default=True, editable=False, help_text="What wants to pass may have changed: the conductor looks."
    )
    shown = models.JSONField(
        default=dict, editable=False, help_text="Rules and stops, for boards: flow.stands."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["stage__position"]

    def __str__(self) -> str:
        return f"into {self.stage}"


class Gate(models.Model):
    """One condition of a line. `settings` are the kind's own, as `flow.kinds` checks them; what is secret in them (the
    signing secret of a webhook) is sealed."""

    class Kind(models.TextChoices):
        CI = "ci", "CI passed"
        HEALTHY = "healthy", "Healthy for a while"
        APPROVAL = "approval", "Approved by people"
        COMMAND = "command", "A command succeeds"
        HTTP = "http", "An address answers"
        WEBHOOK = "webhook", "A webhook says yes"
        WINDOW = "window", "Only at certain hours"

    SEALED: ClassVar = {"sealed_secret": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    line = models.ForeignKey(Line, on_delete=models.CASCADE, related_name="gates")
    kind = models.CharField(max_length=8, choices=Kind)
    position = models.PositiveIntegerField(default=0)
    settings = models.JSONField(default=dict)
    sealed_secret = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True, help_text="Probes from before do not count any more.")

    class Meta:
        ordering: ClassVar = ["position", "created_at"]

    def __str__(self) -> str:
        return self.get_kind_display()

    @property
    def bound_to(self) -> str:
        """What the sealed secret belongs to."""
        return f"gate/{self.pk}/secret"

    @property
    def secret(self) -> str:
        """What calls of its webhook are signed with."""
        return secrets.unseal(self.sealed_secret, to=self.bound_to).decode() if self.sealed_secret else ""

    @secret.setter
    def secret(self, text: str) -> None:
        self.sealed_secret = secrets.seal(text.encode(), to=self.bound_to) if text else ""


class Passage(models.Model):
    """A slug that an app runs, on its way over a line. One at a time per line and app: the newest, which supersedes
    those before it."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        PROMOTED = "promoted", "promoted"
        SUPERSEDED = "superseded", "superseded"
        REFUSED = "refused", "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    line = models.ForeignKey(Line, on_delete=models.CASCADE, related_name="passages")
    source = models.ForeignKey(App, on_delete=models.CASCADE, related_name="passages")
    slug = models.ForeignKey(Slug, on_delete=models.CASCADE, related_name="passages")
    release = models.ForeignKey(
        Release, on_delete=models.CASCADE, related_name="+", help_text="The source's newest of this slug."
    )
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    reason = models.CharField(max_length=500, blank=True)
    promotion = models.ForeignKey(Promotion, null=True, on_delete=models.SET_NULL, related_name="passages")
    asked_at = models.DateTimeField(
        null=True, editable=False, help_text="When people were told that it waits."
    )
    look_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="When its gates are to be looked at again."
    )
    shown = models.JSONField(
        default=list,
        editable=False,
        help_text="How its gates stood at the last look, for boards: flow.gates.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["line", "source"], condition=Q(state="open"), name="one_open_passage_per_source"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["look_at"], condition=Q(state="open"), name="open_passages_by_look")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.release} {self.line}"


class Verdict(models.Model):
    """What a person said of a passage: yes or no. It is about that slug alone, so it ends with the passage."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="verdicts")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    approves = models.BooleanField()
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["passage", "user"], name="one_verdict_per_person")
        ]

    def __str__(self) -> str:
        return f"{'yes' if self.approves else 'no'} of {self.user}"


class Probe(Job):
    """One try of a gate that finds out by doing something: a command, a request, a webhook."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    gate = models.ForeignKey(Gate, on_delete=models.CASCADE, related_name="probes")
    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="probes")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True, help_text="What came out, for people.")
    facts = models.JSONField(default=dict, help_text="Exit code, HTTP status, seconds.")
    dyno_id = models.UUIDField(null=True, editable=False, help_text="The one-off dyno of a command.")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["gate", "passage"],
                condition=Q(status__in=["pending", "running"]),
                name="one_open_probe_per_gate",
            )
        ]

    def __str__(self) -> str:
        return f"{self.gate} of {self.passage}"

    @property
    def log_stream(self) -> str:
        """Where the output of a command is."""
        return f"probe/{self.pk}"


class Hold(models.Model):
    """A line that nothing passes until somebody lifts it. With `line` empty the whole pipeline stands still."""

    class Cause(models.TextChoices):
        PERSON = "person", "somebody stopped it"
        OLDER = "older", "an older release was put there by hand"
        ROLLED_BACK = "rolled-back", "the last one failed and was rolled back"
        FAILED = "failed", "the last promotion failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="holds")
    line = models.ForeignKey(Line, null=True, on_delete=models.CASCADE, related_name="holds")
    cause = models.CharField(max_length=11, choices=Cause, default=Cause.PERSON)
    reason = models.CharField(max_length=500)
    app = models.ForeignKey(App, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(null=True, editable=False)
    lifted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    lifted_note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.reason


class Freeze(models.Model):
    """Hours or days in which nothing passes: every week, or once. With `stage` empty, in the whole pipeline."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="freezes")
    stage = models.ForeignKey(Stage, null=True, on_delete=models.CASCADE, related_name="freezes")
    name = models.CharField(max_length=100, help_text="Why: “Christmas”.")
    zone = models.CharField(max_length=60, default="UTC", help_text="The time zone that it is meant in.")
    starts_at = models.DateTimeField(null=True, help_text="Of one that is once.")
    ends_at = models.DateTimeField(null=True)
    days = models.JSONField(default=list, help_text="Of one that is weekly: 0 is Monday.")
    from_minute = models.PositiveIntegerField(default=0, help_text="Of the day, on each of the days.")
    to_minute = models.PositiveIntegerField(default=24 * 60)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]

    def __str__(self) -> str:
        return self.name


class Watch(Job):
    """A target after a promotion, watched for its soak time. It ends well, or the target is rolled back."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        SUPERSEDED = "superseded", "superseded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    line = models.ForeignKey(Line, on_delete=models.CASCADE, related_name="watches")
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="watches")
    release = models.OneToOneField(Release, on_delete=models.CASCADE, related_name="watch")
    back_to = models.ForeignKey(
        Release, null=True, on_delete=models.SET_NULL, related_name="+", help_text="What served before."
    )
    until = models.DateTimeField()
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(
        default=dict, help_text="Crashes, requests, errors in percent, p95 in ms: at the end."
    )
    rollback = models.ForeignKey(Release, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"watch over {self.app} {self.release}"
