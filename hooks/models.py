"""Webhooks: who wants to be told of what, what happened, and each delivery of it."""

import uuid
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from pipelines.models import Pipeline

OPEN = ("pending", "running")


class Webhook(models.Model):
    """A receiver that somebody wants told of changes of one app, or of one pipeline. It outlives that by as long as
    the news of its end takes to be delivered."""

    class Level(models.TextChoices):
        NOTIFY = "notify", "notify"
        SYNC = "sync", "sync"

    SEALED: ClassVar = {"sealed_secret": "secret_bound_to", "sealed_authorization": "authorization_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, null=True, on_delete=models.SET_NULL, related_name="webhooks")
    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.SET_NULL, related_name="webhooks")
    include = models.JSONField(default=list, help_text="What it is told of: api:release …")
    level = models.CharField(
        max_length=6, choices=Level, help_text="notify: a few tries; sync: in order, until it takes them."
    )
    url = models.CharField(max_length=2000)
    sealed_secret = models.TextField(editable=False)
    sealed_authorization = models.TextField(blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row without an answer.")
    rests_until = models.DateTimeField(null=True, editable=False, help_text="It did not answer lately.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(app__isnull=True) | Q(pipeline__isnull=True), name="webhook_of_app_or_pipeline"
            )
        ]

    def __str__(self) -> str:
        return f"webhook to {urlsplit(self.url).hostname}"

    @property
    def secret_bound_to(self) -> str:
        """What the sealed secret belongs to."""
        return f"webhook/{self.pk}/secret"

    @property
    def authorization_bound_to(self) -> str:
        """What the sealed header belongs to."""
        return f"webhook/{self.pk}/authorization"

    @property
    def secret(self) -> str:
        """What deliveries are signed with."""
        return secrets.unseal(self.sealed_secret, to=self.secret_bound_to).decode()

    @secret.setter
    def secret(self, text: str) -> None:
        self.sealed_secret = secrets.seal(text.encode(), to=self.secret_bound_to)

    @property
    def authorization(self) -> str:
        """The Authorization header that deliveries carry; empty for none."""
        sealed = self.sealed_authorization
        return secrets.unseal(sealed, to=self.authorization_bound_to).decode() if sealed else ""

    @authorization.setter
    def authorization(self, text: str) -> None:
        sealed = secrets.seal(text.encode(), to=self.authorization_bound_to) if text else ""
        self.sealed_authorization = sealed


class News(models.Model):
    """Something that happened and that some webhook wanted to know. `seq` is its place among all."""

    seq = models.BigAutoField(primary_key=True)
    ref = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    app_id = models.UUIDField(null=True, db_index=True)
    pipeline_id = models.UUIDField(null=True, db_index=True)
    include = models.CharField(max_length=40, help_text="What kind of thing it happened to: api:release …")
    action = models.CharField(max_length=10, help_text="create, update or destroy")
    actor = models.JSONField(help_text="{id, email} of who did it.")
    data = models.JSONField(help_text="The thing as the API shows it, without secrets.")
    previous_data = models.JSONField(default=dict, help_text="What was different before.")
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering: ClassVar = ["-seq"]
        verbose_name_plural = "news"

    def __str__(self) -> str:
        return f"{self.action} {self.resource}"

    @property
    def resource(self) -> str:
        """What kind of thing it is, as the payload says it."""
        return self.include.removeprefix("api:")


class DeliveryQuerySet(JobQuerySet):
    """Questions about deliveries."""

    def claimable(self, now: Any = None) -> Self:
        """Due, of webhooks that don't rest; to a sync webhook in order, to others also past what waits to be retried."""
        now = now or timezone.now()
        resting = Webhook.objects.filter(pk=OuterRef("webhook"), rests_until__gt=now)
        earlier = Delivery._base_manager.filter(
            webhook=OuterRef("webhook"), status__in=OPEN, news__lt=OuterRef("news")
        )
        in_turn = ~Q(level=Webhook.Level.SYNC) | ~Exists(earlier)
        return super().claimable(now).filter(~Exists(resting), in_turn)

    def claim_order(self) -> tuple[Any, ...]:
        return ("news_id",)

    def placed(self) -> Self:
        """With `seq`, the place of their news among all."""
        return self.annotate(seq=models.F("news"))

    def of_word(self, word: str) -> Self:
        """Those whose public status is `word`."""
        return self.filter(WORDS.get(word, Q(pk__in=[])))


class Delivery(Job):
    """One piece of news on its way to one webhook."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    news = models.ForeignKey(News, on_delete=models.CASCADE, related_name="deliveries")
    level = models.CharField(max_length=6, choices=Webhook.Level)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0, help_text="Tries that came to an end.")
    last_attempt = models.JSONField(
        null=True, help_text="{id, code, error_class, status, created_at, updated_at}"
    )
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-news_id"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["webhook", "news"], name="one_delivery_of_news_per_webhook")
        ]
        indexes: ClassVar = [
            models.Index(fields=["webhook", "news"], condition=Q(status__in=OPEN), name="open_deliveries")
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    @property
    def word(self) -> str:
        """Its status in public words."""
        if self.status not in OPEN:
            return self.status
        if self.attempts:
            return "retrying"
        return "scheduled" if self.status == self.Status.RUNNING else "pending"


WORDS = {
    "pending": Q(status="pending", attempts=0),
    "scheduled": Q(status="running", attempts=0),
    "retrying": Q(status__in=OPEN, attempts__gt=0),
    "failed": Q(status="failed"),
    "succeeded": Q(status="succeeded"),
}
