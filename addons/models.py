"""What can be ordered (services and their plans), what was (add-ons), and under which names apps use it (attachments)."""

import json
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet

Config = Mapping[str, Mapping[str, str]]  # {credential: {suffix: value}}; "" is the default credential


class AddonService(models.Model):
    """Something that can be ordered. The defaults come with Slipway; what an operator edits stays as they left it."""

    class State(models.TextChoices):
        ALPHA = "alpha", "alpha"
        BETA = "beta", "beta"
        GA = "ga", "available"
        SHUTDOWN = "shutdown", "not offered any more"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    human_name = models.CharField(max_length=100)
    summary = models.CharField(max_length=200, blank=True, help_text="What it is, in one sentence.")
    icon = models.CharField(max_length=20, default="plug", help_text="Of the pages' own set.")
    state = models.CharField(max_length=10, choices=State, default=State.GA)
    stem = models.CharField(
        max_length=40, help_text="How the names of its add-ons begin: postgresql-curly-12345."
    )
    first_name = models.CharField(
        max_length=60, help_text="What an app calls its first one: DATABASE makes DATABASE_URL."
    )
    further_name = models.CharField(
        max_length=60, help_text="What further ones are called, with a colour: HEROKU_POSTGRESQL_AMBER."
    )
    config = models.JSONField(
        default=list, blank=True, help_text="Suffixes of its config vars; an empty one is the bare name."
    )
    sharable = models.BooleanField(default=True, help_text="It can be attached to several apps.")
    several = models.BooleanField(default=True, help_text="An app can have more than one.")
    of_apps = models.BooleanField(default=True, help_text="An app can own one.")
    of_pipelines = models.BooleanField(default=False, help_text="A pipeline can own one.")
    by_partner = models.BooleanField(
        default=False, editable=False, help_text="Somebody else provides it: their manifest is loaded."
    )
    position = models.PositiveIntegerField(default=100)
    edited = models.BooleanField(
        default=False, editable=False, help_text="An operator changed it: upgrades leave it alone."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["position", "name"]
        verbose_name = "add-on service"

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """A service in one size, at one price."""

    class State(models.TextChoices):
        PUBLIC = "public", "offered"
        DEPRECATED = "deprecated", "kept for those that have it"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service = models.ForeignKey(AddonService, on_delete=models.CASCADE, related_name="plans")
    name = models.SlugField(max_length=60)
    human_name = models.CharField(max_length=100)
    description = models.CharField(max_length=200, blank=True)
    price_cents = models.PositiveIntegerField(default=0, help_text="Per month.")
    limits = models.JSONField(
        default=dict,
        blank=True,
        help_text="{connections, storage_mb, memory_mb …}; the provider holds to them.",
    )
    features = models.JSONField(default=list, blank=True, help_text="Sentences for the page of plans.")
    state = models.CharField(max_length=12, choices=State, default=State.PUBLIC)
    default = models.BooleanField(default=False, help_text="What the service's bare name means.")
    position = models.PositiveIntegerField(default=100)
    edited = models.BooleanField(
        default=False, editable=False, help_text="An operator changed it: upgrades leave it alone."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["service__position", "position", "price_cents", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["service", "name"], name="one_plan_per_name")
        ]

    def __str__(self) -> str:
        return f"{self.service.name}:{self.name}"

    @property
    def full_name(self) -> str:
        """As app.json and the CLI write it: `heroku-postgresql:essential-0`."""
        return str(self)


class AddonQuerySet(JobQuerySet):
    """Questions about add-ons."""

    def there(self) -> Self:
        """Those that have not been asked to go."""
        return self.exclude(state="deprovisioning")

    def whole(self) -> Self:
        """With what a line about each says: its plan, service and owner."""
        return self.select_related("plan__service", "app", "pipeline")


class Addon(Job):
    """A resource that belongs to an app or a pipeline.

    The row is also the job of whoever makes it: `tasks` are what its provider has still to be asked for, in order, and
    `status` is `pending` or `running` until there are none. The secret, which passwords are made from, is there before
    the first try, so that a second one makes the very same thing.
    """

    class State(models.TextChoices):
        PROVISIONING = "provisioning", "being made"
        PROVISIONED = "provisioned", "ready"
        CHANGING = "changing", "changing"
        DEPROVISIONING = "deprovisioning", "being removed"
        FAILED = "failed", "failed"

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "at rest"
        FAILED = "failed", "failed"

    SEALED: ClassVar = {"sealed_secret": "secret_bound_to", "sealed_config": "config_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, null=True, on_delete=models.PROTECT, related_name="addons")
    pipeline = models.ForeignKey(
        "pipelines.Pipeline", null=True, on_delete=models.PROTECT, related_name="addons"
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="addons")
    name = models.CharField(max_length=100, unique=True)
    options = models.JSONField(default=dict, editable=False, help_text="What was asked for besides the plan.")
    state = models.CharField(max_length=14, choices=State, default=State.PROVISIONED)
    status = models.CharField(max_length=10, choices=Status, default=Status.SUCCEEDED, editable=False)
    tasks = models.JSONField(default=list, editable=False, help_text="[[verb, argument …]] for the provider.")
    message = models.CharField(max_length=500, blank=True, help_text="What its provider says, for people.")
    sealed_secret = models.TextField(blank=True, editable=False)
    sealed_config = models.TextField(blank=True, editable=False)
    config_keys = models.JSONField(
        default=dict, editable=False, help_text="{credential: [suffix]} of its config."
    )
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    objects = AddonQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "add-on"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(app__isnull=False, pipeline__isnull=True)
                | Q(app__isnull=True, pipeline__isnull=False),
                name="an_addon_has_one_owner",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def service(self) -> AddonService:
        """What it is one of."""
        return self.plan.service

    @property
    def public_state(self) -> str:
        """The Platform API's word: it knows no failure, and none for a change of plan."""
        return {"changing": "provisioned", "failed": "deprovisioned"}.get(self.state, self.state)

    @property
    def owner(self) -> Any:
        """The app or the pipeline that it belongs to."""
        return self.app or self.pipeline

    @property
    def secret_bound_to(self) -> str:
        """What the sealed secret belongs to."""
        return f"addon/{self.pk}/secret"

    @property
    def config_bound_to(self) -> str:
        """What the sealed config belongs to."""
        return f"addon/{self.pk}/config"

    @property
    def secret(self) -> str:
        """What the provider makes passwords from."""
        return secrets.unseal(self.sealed_secret, to=self.secret_bound_to).decode()

    @secret.setter
    def secret(self, text: str) -> None:
        self.sealed_secret = secrets.seal(text.encode(), to=self.secret_bound_to)

    @property
    def config(self) -> dict[str, dict[str, str]]:
        """What apps get that are attached to it, by credential and suffix; empty until it is ready."""
        if not self.sealed_config:
            return {}
        return json.loads(secrets.unseal(self.sealed_config, to=self.config_bound_to))

    @config.setter
    def config(self, values: Config) -> None:
        text = json.dumps({name: dict(of) for name, of in values.items()}, sort_keys=True)
        self.sealed_config = secrets.seal(text.encode(), to=self.config_bound_to)
        self.config_keys = {name: sorted(of) for name, of in values.items()}


class Attachment(models.Model):
    """An add-on as one app sees it, under a name of the app's own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="attachments")
    addon = models.ForeignKey(Addon, on_delete=models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=100)
    namespace = models.CharField(
        max_length=100, blank=True, help_text="credential:<name> when it has a credential of its own."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "name"], name="one_attachment_per_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def credential(self) -> str:
        """Which of the add-on's credentials it has; empty: the default one."""
        return self.namespace.removeprefix("credential:")

    @property
    def keys(self) -> list[str]:
        """The config vars that it sets, or will once the add-on is ready. Needs the add-on with its service."""
        known = self.addon.config_keys.get(self.credential)
        return [
            key_of(self.name, suffix) for suffix in (self.addon.service.config if known is None else known)
        ]

    def values(self, config: Config) -> dict[str, str]:
        """Those vars with their values, of the add-on's `config`."""
        found = config.get(self.credential, {})
        return {key_of(self.name, suffix): value for suffix, value in found.items()}


def key_of(name: str, suffix: str) -> str:
    """`DATABASE` and `URL` make `DATABASE_URL`; no suffix, the bare name."""
    return f"{name}_{suffix}" if suffix else name


from addons.archive_models import SavedSearch  # noqa: E402 - Django finds models here
from addons.mail_models import Mail  # noqa: E402 - Django finds models here
from addons.partner_models import Partner, PartnerResource  # noqa: E402 - Django finds models here
from addons.transfer_models import Schedule, Transfer  # noqa: E402 - Django finds models here

__all__ = [
    "Addon",
    "AddonService",
    "Attachment",
    "Config",
    "Mail",
    "Partner",
    "PartnerResource",
    "Plan",
    "SavedSearch",
    "Schedule",
    "Transfer",
    "key_of",
]
