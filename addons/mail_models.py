"""What apps have sent to a mailer add-on: it is looked at here, and delivered to nobody."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone


class Mail(models.Model):
    """One mail, as it came. What is beside `raw` is for lists and searching."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    addon = models.ForeignKey("addons.Addon", on_delete=models.CASCADE, related_name="mails")
    sender = models.CharField(max_length=320, blank=True, help_text="Of the envelope.")
    recipients = models.TextField(blank=True, help_text="Of the envelope, with a comma between.")
    author = models.CharField(max_length=300, blank=True, help_text="As its header has it.")
    subject = models.CharField(max_length=300, blank=True)
    size = models.PositiveIntegerField(help_text="Bytes.")
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    raw = models.BinaryField()

    class Meta:
        ordering: ClassVar = ["-received_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["addon", "-received_at"], name="mail_newest_first")]

    def __str__(self) -> str:
        return self.subject or "No subject"
