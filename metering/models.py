"""What dynos and add-ons cost: prices, meters that run, the ledger of what they counted, and budgets.

The ledger outlives what it is about: it knows apps, pipelines and add-ons by id and by the name they had. Amounts are
whole *micros*, millionths of a cent, so that a sum over seconds loses nothing.
"""

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Team, User
from apps.models import App
from pipelines.models import Pipeline

MICROS = 1_000_000  # in a cent


class DynoPrice(models.Model):
    """What a dyno of a size costs when it runs a whole month. A size without a row is free."""

    size = models.CharField(max_length=40, primary_key=True)
    cents_per_month = models.PositiveIntegerField(default=0, help_text="For one that runs the whole month.")

    class Meta:
        ordering: ClassVar = ["cents_per_month", "size"]

    def __str__(self) -> str:
        return self.size


class Usage(models.Model):
    """Something that costs, and where it belongs while it does. What a meter and an entry have in common."""

    class Kind(models.TextChoices):
        DYNO = "dyno", "dyno"
        ADDON = "addon", "add-on"

    CONTEXT: ClassVar = (
        "app_name",
        "team_id",
        "user_id",
        "owner_name",
        "pipeline_id",
        "pipeline_name",
        "stage_name",
        "what",
        "cents_per_month",
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=5, choices=Kind)
    app_id = models.UUIDField(
        null=True, db_index=True, help_text="None for an add-on that belongs to a pipeline."
    )
    app_name = models.CharField(max_length=30, blank=True)
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=254)
    pipeline_id = models.UUIDField(null=True, db_index=True)
    pipeline_name = models.CharField(max_length=30, blank=True)
    stage_name = models.CharField(max_length=30, blank=True)
    item = models.CharField(max_length=140, help_text="web.1, or the add-on's name.")
    what = models.CharField(max_length=200, help_text="The size of the dyno, or service and plan.")
    cents_per_month = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def context(self) -> dict[str, Any]:
        """All that makes a new entry begin when it changes."""
        return {name: getattr(self, name) for name in self.CONTEXT}


class Meter(Usage):
    """What runs now and has not been written into the ledger since `since`."""

    key = models.CharField(max_length=255, unique=True, help_text="dyno/<app>/web.1 or addon/<id>.")
    since = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["app_name", "kind", "item"]

    def __str__(self) -> str:
        return f"{self.item} of {self.app_name or self.pipeline_name}"


class Entry(Usage):
    """What ran from one moment to another, within one month. Never changed, never deleted."""

    key = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_index=True)
    microseconds = models.PositiveBigIntegerField(help_text="How long it ran.")
    micros = models.PositiveBigIntegerField(help_text="What it cost, in millionths of a cent.")

    class Meta:
        ordering: ClassVar = ["-ended_at"]
        verbose_name_plural = "entries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "started_at"], name="no_moment_is_counted_twice"),
            models.CheckConstraint(
                condition=Q(ended_at__gte=models.F("started_at")), name="entries_run_forward"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.item} of {self.app_name or self.pipeline_name}"


class Budget(models.Model):
    """How much a team, a person, a pipeline or an app means to spend a month; who owns it is told on the way there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.OneToOneField(Team, null=True, on_delete=models.CASCADE, related_name="budget")
    user = models.OneToOneField(User, null=True, on_delete=models.CASCADE, related_name="budget")
    pipeline = models.OneToOneField(Pipeline, null=True, on_delete=models.CASCADE, related_name="budget")
    app = models.OneToOneField(App, null=True, on_delete=models.CASCADE, related_name="budget")
    cents = models.PositiveIntegerField()
    told_month = models.DateField(null=True, editable=False, help_text="The month of the last alert.")
    told_percent = models.PositiveIntegerField(default=0, editable=False, help_text="What it said.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="a_budget_is_of_one_thing",
                condition=(
                    Q(team__isnull=False, user=None, pipeline=None, app=None)
                    | Q(team=None, user__isnull=False, pipeline=None, app=None)
                    | Q(team=None, user=None, pipeline__isnull=False, app=None)
                    | Q(team=None, user=None, pipeline=None, app__isnull=False)
                ),
            )
        ]

    def __str__(self) -> str:
        return f"budget of {self.thing}"

    @property
    def thing(self) -> Team | User | Pipeline | App:
        """What it is the budget of."""
        found = self.team or self.user or self.pipeline or self.app
        assert found is not None
        return found
