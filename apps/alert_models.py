"""What people want to be told of an app's figures and log."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import User


class Alert(models.Model):
    """A bound that somebody drew for an app: see `apps.alerts`. It is on, with `since`, while the app is beyond it."""

    class Kind(models.TextChoices):
        RESPONSE = "response", "Response time"
        ERRORS = "errors", "Errors"
        LOG = "log", "Lines in the log"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey("apps.App", on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=10, choices=Kind)
    bound = models.PositiveIntegerField(help_text="Milliseconds, percent, or lines.")
    text = models.CharField(max_length=200, blank=True, help_text="Of lines: the words to look for.")
    minutes = models.PositiveIntegerField(default=5, help_text="That are looked back on.")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    since = models.DateTimeField(
        null=True, editable=False, help_text="When it came on; empty while it is off."
    )
    found = models.CharField(max_length=100, blank=True, editable=False, help_text="What was there then.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app", "kind", "bound", "text", "minutes"], name="one_alert_of_its_kind"
            )
        ]

    def __str__(self) -> str:
        if self.kind == self.Kind.RESPONSE:
            return f"p95 over {self.bound} ms for {self.minutes} min"
        if self.kind == self.Kind.ERRORS:
            return f"Errors over {self.bound} % for {self.minutes} min"
        lines = "line" if self.bound == 1 else "lines"
        return f"{self.bound} {lines} with {self.text} within {self.minutes} min"
