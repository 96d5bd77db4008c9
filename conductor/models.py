"""What conductors that share their work tell each other, and the machines that the engine runs on.

None of it is the truth about an app: a conductor that finds these tables empty fills them again.
"""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from core import secrets
from core.jobs import Job, JobQuerySet


class Beat(models.Model):
    """What one of several conductors said of itself last. A conductor alone writes a file instead."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    leads = models.BooleanField(default=False)
    told = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["hostname", "pid"]

    def __str__(self) -> str:
        return f"{self.hostname}/{self.pid}"


class Place(models.Model):
    """How far a duty has come that one conductor takes over from another."""

    name = models.CharField(primary_key=True, max_length=40)
    at = models.DateTimeField()
    done = models.JSONField(default=list, help_text="Ids of what was done already, of those near `at`.")

    def __str__(self) -> str:
        return self.name


class Swarm(models.Model):
    """Where and with what another machine joins. There is one row at most."""

    SEALED: ClassVar = {"sealed_token": "bound_to"}

    name = models.CharField(primary_key=True, max_length=40)
    address = models.CharField(max_length=255, help_text="Of a manager, with its port.")
    sealed_token = models.TextField(editable=False)
    then = models.TextField(blank=True, help_text="What a machine runs once it has joined.")
    told_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        """What the sealed token belongs to."""
        return f"swarm/{self.name}"

    @property
    def token(self) -> str:
        """The plain token that lets a machine in; `core.secrets.Tampered` when the row is not what was written."""
        return secrets.unseal(self.sealed_token, to=self.bound_to).decode()

    @token.setter
    def token(self, text: str) -> None:
        self.sealed_token = secrets.seal(text.encode(), to=self.bound_to)

    @property
    def command(self) -> str:
        """What to run on a machine with Docker, so that it becomes a node."""
        join = f"docker swarm join --token {self.token} {self.address}"
        return f"{join} && {self.then}" if self.then else join


class Node(models.Model):
    """A machine of the engine, as the engine told of it last."""

    id = models.CharField(primary_key=True, max_length=64)
    hostname = models.CharField(max_length=255)
    address = models.CharField(max_length=255, blank=True)
    role = models.CharField(max_length=10, help_text="manager or worker")
    leads = models.BooleanField(default=False, help_text="The manager that decides for all of them now.")
    state = models.CharField(max_length=20, help_text="ready, down, disconnected or unknown")
    availability = models.CharField(max_length=10, help_text="active, pause or drain")
    engine = models.CharField("engine's version", max_length=40, blank=True)
    system = models.CharField(max_length=80, blank=True)
    cores = models.FloatField(default=0)
    memory = models.BigIntegerField(default=0, help_text="Bytes that the machine has.")
    dynos = models.PositiveIntegerField(default=0, help_text="That run on it now.")
    promised = models.BigIntegerField(default=0, help_text="Bytes of memory that its dynos may use together.")
    state_at = models.DateTimeField("in this state since", default=timezone.now)
    told_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["role", "hostname"]

    def __str__(self) -> str:
        return self.hostname or self.id


class NodeRequest(Job):
    """What an operator wants done to a node, or to the token that lets nodes in. The conductor does it."""

    class Verb(models.TextChoices):
        DRAIN = "drain", "drain"
        ACTIVATE = "activate", "activate"
        REMOVE = "remove", "remove"
        ROTATE = "rotate", "rotate the token"

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verb = models.CharField(max_length=10, choices=Verb)
    node = models.CharField(max_length=64, blank=True, help_text="The engine's id of it.")
    label = models.CharField(max_length=255, help_text="What it was called then.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} {self.label}"

    @property
    def app_id(self) -> None:
        """No app's, unlike other jobs."""
        return None
