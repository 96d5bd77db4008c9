"""The row is the job: what every row that stands for work has, and how it is claimed.

A worker claims a row by an UPDATE that matches only while the row is free, and holds it by a lease that it renews.
A lease that runs out frees the row. Every later write of the worker matches its lease token too, so that a worker
that lost its lease can do no harm (promises I-15, I-16).
"""

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models, transaction
from django.utils import timezone

from core import changes as told
from core import metrics
from core.errors import LeaseLost
from core.text import storable

LEASE_SECONDS = 30
HEARTBEAT_SECONDS = 10


class JobQuerySet(models.QuerySet[Any]):
    """Questions about rows that stand for work."""

    def open(self) -> Self:
        """Not in an end state."""
        return self.filter(status__in=["pending", "running"])

    def claimable(self, now: datetime | None = None) -> Self:
        """Open, nobody's, and due. Models with an order of their own narrow this down."""
        now = now or timezone.now()
        return self.open().filter(
            models.Q(lease_until__isnull=True) | models.Q(lease_until__lt=now),
            models.Q(wake_at__isnull=True) | models.Q(wake_at__lte=now),
        )

    def claim(self, *, seconds: float = LEASE_SECONDS) -> Any:
        """Take the first claimable row for `seconds`, or return None. Safe against any number of rivals."""
        for pk in self.claimable().order_by(*self.claim_order()).values_list("pk", flat=True)[:20]:
            now, token = timezone.now(), uuid.uuid4()
            taken = (
                self._rows()
                .filter(pk=pk)
                .claimable(now)
                .update(
                    status="running",
                    lease_token=token,
                    lease_until=now + timedelta(seconds=seconds),
                    attempt=models.F("attempt") + 1,
                    wake_at=None,
                )
            )
            if taken:
                return self._rows().get(pk=pk)
        return None

    def _rows(self) -> Self:
        return type(self)(self.model, using=self.db)

    def claim_order(self) -> tuple[Any, ...]:
        """Which claimable row comes first."""
        return ("created_at",)


class Job(models.Model):
    """A row that is its own job. The concrete model has a `status` with `pending` and `running` among its words."""

    step = models.PositiveSmallIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    wake_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def record(self, **changes: Any) -> None:
        """Write `changes` if this worker still holds the lease; `LeaseLost` if not. What they quote of others is made
        fit for a row here, since it may be anything."""
        changes = {name: storable(value) for name, value in changes.items()}
        rows: models.Manager[Any] = type(self)._default_manager
        held = rows.filter(pk=self.pk, lease_token=self.lease_token, status="running")
        if self.lease_token is None or held.update(**changes) != 1:
            metrics.LEASES_LOST.labels(self._meta.model_name).inc()
            raise LeaseLost(f"{type(self).__name__} {self.pk}")
        for name, value in changes.items():
            setattr(self, name, value)

    def renew(self, *, seconds: float = LEASE_SECONDS) -> None:
        """Hold the row for another `seconds`; `LeaseLost` if it is someone else's by now."""
        self.record(lease_until=timezone.now() + timedelta(seconds=seconds))

    def next_step(self, **changes: Any) -> None:
        """Note that the current step is done."""
        self.record(step=self.step + 1, **changes)

    def put_back(self, *, seconds: float) -> None:
        """Let go of the row and have it claimed again in `seconds`."""
        wake_at = timezone.now() + timedelta(seconds=seconds)
        self.record(
            lease_until=None, lease_token=None, wake_at=wake_at
        )  # a heartbeat under way renews nothing

    @transaction.atomic
    def end(self, status: str, **changes: Any) -> None:
        """Write the end state, once and for all."""
        self.record(status=status, finished_at=timezone.now(), lease_until=None, **changes)
        told.note(told.Change(self, by=getattr(self, "by", None), app_id=getattr(self, "app_id", None)))
