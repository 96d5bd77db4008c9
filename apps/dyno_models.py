"""What runs of an app: its formation, its dynos, and what was counted of both."""

import json
import uuid
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import User
from core import secrets


class Formation(models.Model):
    """How many dynos of a process type should run, and of what size."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="formation")
    type = models.CharField(max_length=128)
    quantity = models.PositiveIntegerField(default=0)
    size = models.CharField(max_length=40, default="standard-1x")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["type"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "type"], name="one_formation_per_type")
        ]

    def __str__(self) -> str:
        return f"{self.type}={self.quantity}:{self.size}"


class Autoscale(models.Model):
    """How many web dynos an app may have as the platform sees fit: see `apps.autoscale`. Without a row, and while it is
    not enabled, people alone scale it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.OneToOneField("apps.App", on_delete=models.CASCADE, related_name="autoscale")
    enabled = models.BooleanField(default=True)
    minimum = models.PositiveIntegerField(help_text="Dynos that it always has.")
    maximum = models.PositiveIntegerField(help_text="Dynos that it never exceeds.")
    p95 = models.PositiveIntegerField(help_text="Milliseconds that 95 % of the answers should keep to.")
    notify = models.BooleanField(default=False, help_text="Mail when it has come to its maximum.")
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="Who turned it on."
    )
    changed_at = models.DateTimeField(null=True, help_text="When the platform last changed the quantity.")
    reason = models.CharField(max_length=300, blank=True, help_text="Why it did, or why it could not.")
    told_at = models.DateTimeField(null=True, help_text="When somebody was last told of the maximum.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["app__name"]

    def __str__(self) -> str:
        return f"{self.minimum}–{self.maximum} web dynos"


class Dyno(models.Model):
    """One process of an app: what is wished of it, and what was last seen of it. Kept by the conductor.

    Old and new release have dynos side by side during a switch. A one-off dyno runs a command of its own once.
    """

    class State(models.TextChoices):
        STARTING = "starting", "starting"
        UP = "up", "up"
        CRASHED = "crashed", "crashed"
        DOWN = "down", "down"
        IDLE = "idle", "idle"

    SEALED: ClassVar = {"sealed_env": "env_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="dynos")
    type = models.CharField(max_length=128)
    number = models.PositiveIntegerField()
    size = models.CharField(max_length=40, default="standard-1x")
    command = models.TextField()
    release_version = models.PositiveIntegerField()
    one_off = models.BooleanField(default=False)
    sealed_env = models.TextField(blank=True, editable=False, help_text="A one-off dyno's own variables.")
    attached = models.CharField(
        max_length=5, blank=True, editable=False, help_text="tty or plain, when somebody sits at its streams."
    )
    attach_digest = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        editable=False,
        help_text="Of the secret to attach with, once.",
    )
    inside = models.CharField(
        max_length=80, blank=True, editable=False, help_text="The start of a dyno in whose walls it runs."
    )
    code = models.UUIDField(
        null=True, editable=False, help_text="The slug that a one-off dyno runs, if not its release's."
    )
    stream = models.CharField(
        max_length=80, blank=True, editable=False, help_text="The log of its output, if not the app's."
    )
    time_to_live = models.PositiveIntegerField(null=True, help_text="Seconds that a one-off dyno may run.")
    stop_asked = models.BooleanField(default=False)
    generation = models.PositiveIntegerField(default=0, help_text="A restart raises it.")
    state = models.CharField(max_length=10, choices=State, default=State.STARTING)
    state_at = models.DateTimeField(default=timezone.now)
    crashes = models.PositiveIntegerField(default=0, help_text="In a row; sets the back-off.")
    start_after = models.DateTimeField(null=True, help_text="Not to be started again before.")
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it crashed, for people.")
    port = models.PositiveIntegerField(null=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["type", "number"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app", "release_version", "type", "number"], name="one_dyno_per_name_and_release"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As logs and `ps` show it: `web.1`."""
        return f"{self.type}.{self.number}"

    @property
    def incarnation(self) -> str:
        """What the engine knows this very start of it by."""
        return f"{self.pk}.{self.generation}.{self.crashes}"

    @property
    def env_bound_to(self) -> str:
        """What the sealed variables belong to."""
        return f"dyno/{self.pk}/env"

    @property
    def env(self) -> dict[str, str]:
        """A one-off dyno's own variables."""
        return json.loads(secrets.unseal(self.sealed_env, to=self.env_bound_to)) if self.sealed_env else {}

    @env.setter
    def env(self, variables: dict[str, Any]) -> None:
        self.sealed_env = secrets.seal(json.dumps(variables).encode(), to=self.env_bound_to)


class Traffic(models.Model):
    """What the router says of one minute of an app's requests, by the release that answered."""

    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="traffic")
    minute = models.DateTimeField(help_text="Its beginning.")
    release_version = models.PositiveIntegerField(default=0)
    requests = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0, help_text="Answered with 5xx, by the app or for it.")
    spread = models.JSONField(default=list, help_text="How many took so long: apps.traffic.BOUNDS.")

    class Meta:
        ordering: ClassVar = ["minute"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "minute", "release_version"], name="one_count_per_minute")
        ]

    def __str__(self) -> str:
        return f"{self.app} at {self.minute:%H:%M}"


class MemoryUse(models.Model):
    """What the dynos of a process type used of memory within a few minutes, each looked at several times."""

    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="memory_uses")
    type = models.CharField(max_length=128)
    at = models.DateTimeField(help_text="When these minutes begin.")
    highest = models.PositiveBigIntegerField(help_text="Bytes of the dyno that used most.")
    total = models.PositiveBigIntegerField(help_text="Bytes of all looks together.")
    looks = models.PositiveIntegerField()

    class Meta:
        ordering: ClassVar = ["at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "type", "at"], name="one_use_of_memory_at_a_time")
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.app} at {self.at:%H:%M}"


class Crash(models.Model):
    """One crash of a dyno: rows of dynos come and go, and a gate asks about what was."""

    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="crashes")
    release_version = models.PositiveIntegerField()
    dyno = models.CharField(max_length=140)
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-at"]
        indexes: ClassVar = [models.Index(fields=["app", "at"], name="crashes_by_app")]

    def __str__(self) -> str:
        return f"{self.dyno} of {self.app}"


class DynoEvent(models.Model):
    """That a dyno of a formation went from one state to another. A state that is empty is that of a dyno that is not
    there; where both are the same it is a warning, with its reason."""

    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="dyno_events")
    release_version = models.PositiveIntegerField()
    dyno = models.CharField(max_length=140)
    before = models.CharField(max_length=10, blank=True)
    state = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["app", "at"], name="dyno_events_by_app")]

    def __str__(self) -> str:
        return f"{self.dyno} of {self.app}: {self.state or 'gone'}"
