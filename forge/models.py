"""Where a pipeline's code lives, and what its host has told us: the repository, its pull requests, hooks received."""

import uuid
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from pipelines.models import Pipeline
from releases.models import Build, Source

OPEN = ("pending", "running")


class Repository(models.Model):
    """The repository of a pipeline's code at a host of git. Its token and the secret of its hooks are sealed to it."""

    class Host(models.TextChoices):
        GITHUB = "github", "GitHub"
        GITLAB = "gitlab", "GitLab"
        GITEA = "gitea", "Gitea or Forgejo"
        BITBUCKET = "bitbucket", "Bitbucket"
        GIT = "git", "Another git server"

    SEALED: ClassVar = {"sealed_token": "token_bound_to", "sealed_secret": "secret_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.OneToOneField(Pipeline, on_delete=models.CASCADE, related_name="repository")
    host = models.CharField(max_length=10, choices=Host)
    url = models.CharField(max_length=1000, help_text="What git fetches from.")
    full_name = models.CharField(max_length=250, help_text="As its host calls it: acme/shop.")
    api_url = models.CharField(max_length=1000, blank=True, help_text="Of the host's API; empty: none.")
    default_branch = models.CharField(max_length=255, default="main")
    sealed_token = models.TextField(blank=True, editable=False)
    sealed_secret = models.TextField(blank=True, editable=False)
    polls = models.BooleanField(default=False, help_text="It is looked at from time to time, without hooks.")
    polled_at = models.DateTimeField(null=True, editable=False)
    heads = models.JSONField(default=dict, editable=False, help_text="{branch: commit}, when last looked at.")
    past = models.JSONField(
        default=dict, editable=False, help_text="{branch: the commits that it named before}, for late news."
    )
    pulls = models.JSONField(
        default=dict, editable=False, help_text="{number: commit} of pull requests, when last looked at."
    )
    error = models.CharField(max_length=300, blank=True, editable=False, help_text="Of the last look.")
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Looks in a row that failed.")
    hook_ref = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text="How its host knows the hook that we made there.",
    )
    private = models.BooleanField(default=False, help_text="git needs the token to fetch it.")
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="Who answers for it."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["full_name"]

    def __str__(self) -> str:
        return self.full_name

    @property
    def token_bound_to(self) -> str:
        """What the sealed token belongs to."""
        return f"repository/{self.pk}/token"

    @property
    def secret_bound_to(self) -> str:
        """What the sealed secret of its hooks belongs to."""
        return f"repository/{self.pk}/secret"

    @property
    def token(self) -> str:
        """What we show to its host; empty: nothing."""
        return secrets.unseal(self.sealed_token, to=self.token_bound_to).decode() if self.sealed_token else ""

    @token.setter
    def token(self, text: str) -> None:
        self.sealed_token = secrets.seal(text.encode(), to=self.token_bound_to) if text else ""

    @property
    def secret(self) -> str:
        """What its hooks are signed with; empty: hooks are not taken."""
        return (
            secrets.unseal(self.sealed_secret, to=self.secret_bound_to).decode() if self.sealed_secret else ""
        )

    @secret.setter
    def secret(self, text: str) -> None:
        self.sealed_secret = secrets.seal(text.encode(), to=self.secret_bound_to) if text else ""


class Grant(models.Model):
    """A source that was made from a connected repository: git may show its token where this is fetched."""

    source = models.OneToOneField(Source, primary_key=True, on_delete=models.CASCADE, related_name="+")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"grant of {self.repository}"


class PullRequest(models.Model):
    """A pull request as its host last told of it. Every text of it is a stranger's."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        CLOSED = "closed", "closed"
        MERGED = "merged", "merged"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="pull_requests")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=300, blank=True)
    branch = models.CharField(max_length=255)
    commit = models.CharField(max_length=64)
    author = models.CharField(max_length=200, blank=True)
    from_fork = models.CharField(
        max_length=250, blank=True, help_text="The repository that it comes from; empty: this one."
    )
    draft = models.BooleanField(default=False)
    state = models.CharField(max_length=6, choices=State, default=State.OPEN)
    url = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False, help_text="As its host dates it.")
    comment_ref = models.CharField(
        max_length=100,
        blank=True,
        editable=False,
        help_text="How its host knows the comment that we keep there.",
    )

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["repository", "number"], name="one_pull_request_per_number")
        ]

    def __str__(self) -> str:
        return f"#{self.number}"


class CommitStatus(models.Model):
    """What somebody, at the host, says of a commit: a check of another service, mostly."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"
        SUCCESS = "success", "success"
        FAILURE = "failure", "failure"
        ERROR = "error", "error"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="commit_statuses")
    commit = models.CharField(max_length=64)
    context = models.CharField(max_length=200, help_text="Who says it: ci/build.")
    state = models.CharField(max_length=7, choices=State)
    description = models.CharField(max_length=300, blank=True)
    url = models.CharField(max_length=1000, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False, help_text="As its host dates it.")

    class Meta:
        ordering: ClassVar = ["context"]
        verbose_name_plural = "commit statuses"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["repository", "commit", "context"], name="one_status_per_commit_and_context"
            )
        ]

    def __str__(self) -> str:
        return f"{self.context}: {self.state}"


class Receipt(models.Model):
    """A hook that came for a repository, and what it caused. Of those turned down only how many there were."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="receipts")
    event = models.CharField(max_length=60, blank=True, help_text="As its host calls it.")
    delivery = models.CharField(max_length=100, blank=True, help_text="As its host counts it.")
    digest = models.CharField(max_length=64, blank=True, db_index=True, help_text="Of the body.")
    accepted = models.BooleanField()
    about = models.CharField(max_length=300, blank=True, help_text="What it told, in a few words.")
    caused = models.JSONField(default=list, help_text="What came of it, in sentences.")
    times = models.PositiveIntegerField(default=1)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-at"]
        indexes: ClassVar = [models.Index(fields=["repository", "-at"], name="receipts_by_age")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["repository", "delivery"], condition=~Q(delivery=""), name="one_receipt_per_delivery"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event or 'hook'} {self.delivery}".strip()


class ReportQuerySet(JobQuerySet):
    """Questions about reports."""

    def claimable(self, now: Any = None) -> Self:
        """One at a time about the same thing, in the order they were made: the newest is what the host keeps."""
        earlier = Report._base_manager.filter(
            repository=OuterRef("repository"),
            subject=OuterRef("subject"),
            status__in=OPEN,
            created_at__lt=OuterRef("created_at"),
        )
        return super().claimable(now).filter(~Exists(earlier))


class Report(Job):
    """What we have to say to a repository's host: how it stands with a commit, or a comment on a pull request."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="reports")
    subject = models.CharField(
        max_length=300, help_text="What it is about: a newer one about it replaces it."
    )
    commit = models.CharField(max_length=64, blank=True)
    context = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=7, choices=CommitStatus.State, blank=True)
    description = models.CharField(max_length=140, blank=True)
    url = models.CharField(max_length=1000, blank=True)
    pull_request = models.ForeignKey(
        PullRequest, null=True, on_delete=models.CASCADE, related_name="reports", help_text="To comment on."
    )
    text = models.TextField(blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(fields=["repository", "subject"], condition=Q(status__in=OPEN), name="open_reports")
        ]

    def __str__(self) -> str:
        return f"report on {self.subject}"


class AutoDeploy(models.Model):
    """A branch of the pipeline's code whose new commits are built on an app by themselves."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="auto_deploy")
    branch = models.CharField(max_length=255)
    wait_for_ci = models.BooleanField(default=False)
    path = models.CharField(
        max_length=255, blank=True, help_text="Only when a file below it changed; empty: at any change."
    )
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="In whose name it deploys."
    )
    commit = models.CharField(
        max_length=64, blank=True, editable=False, help_text="The newest that it was told of."
    )
    waits = models.BooleanField(default=False, editable=False, help_text="For tests of that commit.")
    build = models.ForeignKey(Build, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    note = models.CharField(max_length=300, blank=True, editable=False, help_text="What came of it.")
    noted_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.branch} to {self.app}"
