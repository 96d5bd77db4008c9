"""Add-ons and their attachments. What provisions them comes with the catalog."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps.models import App


class Addon(models.Model):
    """A resource that belongs to one app."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="addons")
    name = models.CharField(max_length=100, unique=True)
    service = models.CharField(max_length=100)
    plan = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Attachment(models.Model):
    """An add-on as one app sees it, under a name of the app's own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="attachments")
    addon = models.ForeignKey(Addon, on_delete=models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "name"], name="one_attachment_per_name")
        ]

    def __str__(self) -> str:
        return self.name
