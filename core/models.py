"""Activity: one row for every change, who made it, through what, and what it was about (promise I-33)."""

import uuid
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone


class Event(models.Model):
    """Something a person or the platform did. Never changed, never deleted through the product."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="events",
        db_constraint=False,
    )
    actor = models.CharField(max_length=254, help_text="The actor's e-mail address then, or “slipway”.")
    through = models.CharField(max_length=20, help_text="web, api, git, admin, console or conductor")
    address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    verb = models.CharField(max_length=60)
    kind = models.CharField(max_length=40, help_text="What it was done to: app, pipeline, release …")
    object_id = models.CharField(max_length=64)
    label = models.CharField(max_length=200, help_text="What the object was called then.")
    app_id = models.UUIDField(null=True, db_index=True)
    pipeline_id = models.UUIDField(null=True, db_index=True)
    details = models.JSONField(default=dict, help_text="Before and after, without secrets.")

    class Meta:
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("An event is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An event is never deleted.")
