"""Review apps: an app per pull request or branch, made and destroyed by the platform; and setups of apps as their
app.json says, which is how a review app begins."""

import json
import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from forge.models import PullRequest
from pipelines.models import Pipeline
from releases.models import Build, Source

DEFAULT_MOST, DEFAULT_STALE_DAYS = 10, 5


class ReviewSettings(models.Model):
    """How a pipeline's review apps come and go. Without a row, or switched off, none comes."""

    class Forks(models.TextChoices):
        ASK = "ask", "After a person’s yes, without config vars"
        NEVER = "never", "Never"

    pipeline = models.OneToOneField(
        Pipeline, primary_key=True, on_delete=models.CASCADE, related_name="review_settings"
    )
    enabled = models.BooleanField(default=False)
    automatic = models.BooleanField(default=False, help_text="For each pull request, as it opens.")
    drafts = models.BooleanField(default=False, help_text="Also while it is a draft.")
    wait_for_ci = models.BooleanField(default=False)
    destroy_stale = models.BooleanField(default=False)
    stale_days = models.PositiveIntegerField(default=DEFAULT_STALE_DAYS)
    predictable = models.BooleanField(default=False, help_text="Names without a random part.")
    base_name = models.CharField(
        max_length=20, blank=True, help_text="What names begin with; empty: as the pipeline."
    )
    most = models.PositiveIntegerField(default=DEFAULT_MOST, help_text="At once; the next one waits.")
    sleep_minutes = models.PositiveIntegerField(
        default=0, help_text="Without a request; 0: they never sleep."
    )
    forks = models.CharField(max_length=5, choices=Forks, default=Forks.ASK)
    parts = models.JSONField(
        default=list, help_text="[{name, path}]: several apps, each of a folder; empty: one of the whole."
    )
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="In whose name they are made."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"review apps of {self.pipeline}"


class AppSetup(Job):
    """Making an app what the app.json of its source says: config vars, add-ons, formation, a first release, postdeploy.
    What the caller gave in place of app.json's config vars is sealed to the row."""

    SEALED: ClassVar = {"sealed_env": "bound_to"}

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"  # the API says pending until the end
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, null=True, on_delete=models.SET_NULL, related_name="setups")
    source = models.ForeignKey(Source, null=True, on_delete=models.SET_NULL, related_name="+")
    build = models.ForeignKey(Build, null=True, on_delete=models.SET_NULL, related_name="setups")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    sealed_env = models.TextField(blank=True, editable=False)
    buildpacks = models.JSONField(default=list, help_text="Instead of those of app.json.")
    scripts = models.JSONField(default=dict, help_text="{name: command}, as app.json says.")
    success_url = models.CharField(max_length=2000, blank=True)
    manifest_errors = models.JSONField(default=list, help_text="What is wrong with its app.json.")
    failure = models.CharField(max_length=500, blank=True, help_text="Why it failed, for people.")
    postdeploy_dyno = models.UUIDField(null=True, editable=False)
    postdeploy_code = models.IntegerField(null=True, help_text="What postdeploy exited with.")
    postdeploy_output = models.TextField(blank=True, help_text="Its last lines.")
    updated_at = models.DateTimeField(auto_now=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"setup of {self.app}" if self.app else "setup of an app that is gone"

    @property
    def bound_to(self) -> str:
        """What the sealed config vars belong to."""
        return f"setup/{self.pk}/env"

    @property
    def env(self) -> dict[str, str]:
        """The config vars that the caller gave."""
        return json.loads(secrets.unseal(self.sealed_env, to=self.bound_to)) if self.sealed_env else {}

    @env.setter
    def env(self, variables: dict[str, str]) -> None:
        self.sealed_env = secrets.seal(json.dumps(variables).encode(), to=self.bound_to) if variables else ""


class ReviewApp(Job):
    """What is wanted for a pull request or a branch, and how far it has come. `status` says whether there is work to
    do, `state` is the Platform API's word. The conductor makes what is the case be what is wanted, again whenever
    `asked` has grown since it looked: so the last word counts, however fast words change."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        RESTING = "resting", "resting"  # everything is as it is wanted
        ENDED = "ended", "ended"

    class State(models.TextChoices):
        PENDING = "pending", "waiting"
        CREATING = "creating", "creating"
        CREATED = "created", "created"
        DELETING = "deleting", "going"
        DELETED = "deleted", "gone"
        ERRORED = "errored", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="review_apps")
    pull_request = models.ForeignKey(
        PullRequest, null=True, on_delete=models.SET_NULL, related_name="review_apps"
    )
    branch = models.CharField(max_length=255)
    subject = models.CharField(
        max_length=300,
        editable=False,
        help_text="What one app at most is wanted for: reviews.actions.subject_of.",
    )
    from_fork = models.CharField(max_length=250, blank=True, help_text="It gets no secrets then.")
    part = models.CharField(max_length=20, blank=True, help_text="Which of several apps it is.")
    path = models.CharField(max_length=255, blank=True, help_text="The folder that it is built from.")
    app = models.OneToOneField(App, null=True, on_delete=models.SET_NULL, related_name="review_app")
    app_name = models.CharField(max_length=30, blank=True, help_text="What its app is, or was, called.")
    setup = models.ForeignKey(AppSetup, null=True, on_delete=models.SET_NULL, related_name="review_apps")
    source = models.ForeignKey(
        Source, null=True, on_delete=models.SET_NULL, related_name="+", help_text="As an API client gave it."
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    asked = models.PositiveIntegerField(default=0, editable=False)
    gone = models.BooleanField(default=False, help_text="It is wanted no more.")
    automatic = models.BooleanField(default=False, help_text="It came with its pull request.")
    wait_for_ci = models.BooleanField(default=False)
    commit = models.CharField(max_length=64, blank=True, help_text="That is wanted; empty: the branch's.")
    built_commit = models.CharField(max_length=64, blank=True, help_text="That was built, or is being built.")
    message = models.CharField(
        max_length=500, blank=True, help_text="What it waits for, or why it failed, for people."
    )
    predestroy_dyno = models.UUIDField(null=True, editable=False)
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="Who answers for it."
    )
    news_at = models.DateTimeField(
        default=timezone.now, help_text="When anything was last heard of its code."
    )
    updated_at = models.DateTimeField(auto_now=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["pipeline", "subject"],
                condition=Q(gone=False),
                name="one_review_app_per_subject",
            ),
        ]

    def __str__(self) -> str:
        what = f"#{self.pull_request.number}" if self.pull_request else self.branch
        return f"review app of {what}" + (f", {self.part}" if self.part else "")
