"""What pushes are to move, from before git does until it has been told."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import User
from apps.models import App


class Move(models.Model):
    """A branch of an app's repository that git may move; it goes when whoever follows has heard of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="+")
    branch = models.CharField(max_length=255)
    commit = models.CharField(max_length=64, blank=True, help_text="None when it is to go.")
    before = models.CharField(max_length=64, blank=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    tries = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]

    def __str__(self) -> str:
        return f"{self.branch} → {self.commit[:7] or 'gone'}"
