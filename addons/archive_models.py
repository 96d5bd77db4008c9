"""Searches of an app's log archive that people want to see again."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import User
from engine.logstore import Query


class SavedSearch(models.Model):
    """What is looked for in an archive, by a name. It goes with its add-on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    addon = models.ForeignKey("addons.Addon", on_delete=models.CASCADE, related_name="searches")
    name = models.CharField(max_length=60)
    text = models.CharField(max_length=200, blank=True, help_text="Words, -words and “phrases”.")
    sources = models.JSONField(
        default=list, blank=True, help_text="Some of app, router, platform; empty: all."
    )
    dyno = models.CharField(max_length=200, blank=True)
    level = models.CharField(max_length=10, blank=True, help_text="error or warning; empty: every line.")
    seconds = models.PositiveIntegerField(default=0, help_text="How far it looks back; 0: as far as it goes.")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name_plural = "saved searches"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["addon", "name"], name="one_search_per_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def query(self) -> Query:
        """The same for the log store, as far as it does not hang on the time."""
        return Query(self.text.encode(), self.level, dyno=self.dyno.encode(), kinds=tuple(self.sources))
