"""Where a pipeline's code lives, and what its host has told us: the repository, its pull requests, hooks received."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import User
from core import secrets
from pipelines.models import Pipeline


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
    error = models.CharField(max_length=300, blank=True, editable=False, help_text="Of the last look.")
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

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["repository", "number"], name="one_pull_request_per_number")
        ]

    def __str__(self) -> str:
        return f"#{self.number}"
