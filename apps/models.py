"""Apps and what is theirs: collaborators, config vars, log drains, and what the modules beside this one have."""

import uuid
from typing import ClassVar, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Owned, Transfer, User
from core import secrets

REVIEW, TEST = "review", "test"  # what apps are ephemeral for


class AppQuerySet(models.QuerySet["App"]):
    """Questions about apps."""

    def alive(self) -> Self:
        """Not being destroyed."""
        return self.filter(destroyed_at__isnull=True)

    def listed(self) -> Self:
        """Those that lists of apps show: all but the apps of test runs."""
        return self.exclude(ephemeral=TEST)

    def by_ref(self, ref: str) -> Self:
        """The app with this name or UUID, as both stand in paths."""
        try:
            return self.filter(pk=uuid.UUID(ref))
        except (ValueError, AttributeError):
            return self.filter(name=ref)


class App(Owned):
    """What is deployed: code, config, processes, and the host names they answer to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=30, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    slot = models.PositiveIntegerField(
        unique=True, editable=False, help_text="Picks the app's own system user."
    )
    maintenance = models.BooleanField(default=False)
    acm = models.BooleanField(default=False, help_text="Certificates of its domains come by themselves.")
    health_path = models.CharField(max_length=200, blank=True)
    buildpacks = models.JSONField(default=list, blank=True, help_text="In order; empty: detected.")
    build_command = models.CharField(max_length=500, blank=True, help_text="Run after the buildpacks.")
    purge_cache = models.BooleanField(
        default=False, editable=False, help_text="The next build starts without the cache of those before it."
    )
    features = models.JSONField(
        default=list, blank=True, help_text="Names of those that are on: apps.features."
    )
    stack = models.CharField(max_length=40, default="slipway-24", editable=False)
    ephemeral = models.CharField(
        max_length=6,
        blank=True,
        editable=False,
        help_text="review or test: the platform made it, and destroys it again.",
    )
    locked = models.BooleanField(
        default=False, help_text="Members of its team who are no collaborators only view it."
    )
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    sleep_minutes = models.PositiveIntegerField(
        default=0, help_text="Without a request for so long, its dynos sleep until the next; 0: never."
    )
    asleep_since = models.DateTimeField(null=True, editable=False)
    woken_at = models.DateTimeField(null=True, editable=False, help_text="Empty unless it has ever slept.")
    destroyed_at = models.DateTimeField(null=True, editable=False, help_text="The conductor clears it away.")
    last_version = models.PositiveIntegerField(default=0, editable=False, help_text="Of its releases.")
    write_only_keys = models.JSONField(
        default=list,
        editable=False,
        help_text="Config vars that are write-only or once were: what old releases hold is not shown either.",
    )

    objects = AppQuerySet.as_manager()

    class Meta(Owned.Meta):
        abstract = False
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def web_url(self) -> str:
        """Where it answers visitors: with the scheme and port that the dashboard is reached by."""
        return url_of(self.name)

    @property
    def git_url(self) -> str:
        """Where git pushes to."""
        return f"{settings.URL}/{self.name}.git"

    @property
    def topic(self) -> str:
        """What its pages watch."""
        return f"app:{self.pk}"

    @property
    def log_stream(self) -> str:
        """Where its log lines are."""
        return f"app/{self.pk}"


def url_of(label: str) -> str:
    """Where the host with this label answers visitors, below that of all apps."""
    outside = urlsplit(settings.URL)
    port = f":{outside.port}" if outside.port else ""
    return f"{outside.scheme}://{label}.{settings.APPS_HOST}{port}/"


class Collaborator(models.Model):
    """A person who has rights in an app without owning it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="collaborators")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="collaborations")
    rights = models.JSONField(default=list, help_text="Of view, deploy, operate, manage.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "user"], name="one_collaborator_per_app")
        ]

    def __str__(self) -> str:
        return f"{self.user} on {self.app}"


class ConfigVarQuerySet(models.QuerySet["ConfigVar"]):
    """Questions about config vars."""

    def readable(self) -> Self:
        """Those whose values may be shown to who asks for them."""
        return self.filter(write_only=False)

    def by_hand(self) -> Self:
        """Those that are the app's own: people set them, and no add-on, stage or pipeline."""
        return self.filter(attachment_id__isnull=True, layer="")


class AppTransfer(Transfer):
    """An app on the way to another person."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="transfers")

    class Meta(Transfer.Meta):
        abstract = False
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app"], condition=models.Q(state="pending"), name="one_open_transfer_per_app"
            )
        ]

    @property
    def thing(self) -> App:
        """What is handed over."""
        return self.app


class ConfigVar(models.Model):
    """One config var as it will be in the next release. Its value is sealed to the app and the key."""

    class Layer(models.TextChoices):
        """Whose value it is, where the app inherits it and has none of its own."""

        OWN = "", "the app"
        STAGE = "stage", "its stage"
        PIPELINE = "pipeline", "its pipeline"

    SEALED: ClassVar = {"sealed": "bound_to"}

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="config_vars")
    key = models.CharField(max_length=255)
    sealed = models.TextField(editable=False)
    set_at = models.DateTimeField(default=timezone.now, editable=False)
    set_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    origin = models.CharField(
        max_length=100,
        blank=True,
        help_text="What gave the value when no person typed it: a stage, an add-on.",
    )
    write_only = models.BooleanField(
        default=False, help_text="Dynos get the value; no page and no answer of the API shows it again."
    )
    attachment_id = models.UUIDField(
        null=True, editable=False, help_text="The attachment of an add-on that sets it, and nobody else may."
    )
    layer = models.CharField(
        max_length=8,
        choices=Layer,
        blank=True,
        editable=False,
        help_text="What the value is inherited from; a value of the app's own replaces it.",
    )

    objects = ConfigVarQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["key"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "key"], name="one_value_per_config_var")
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def bound_to(self) -> str:
        """What the sealed value belongs to."""
        return f"app/{self.app_id}/config/{self.key}"

    @property
    def value(self) -> str:
        """The plain value; `core.secrets.Tampered` when the row is not what was written."""
        return secrets.unseal(self.sealed, to=self.bound_to).decode()

    @value.setter
    def value(self, text: str) -> None:
        self.sealed = secrets.seal(text.encode(), to=self.bound_to)


class LogDrain(models.Model):
    """Where else the app's log goes. The conductor sends on what comes after line `position`."""

    SEALED: ClassVar = {"sealed_url": "url_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="log_drains")
    addon = models.UUIDField(
        null=True, editable=False, help_text="Of the add-on whose provider gets it; empty: people added it."
    )
    sealed_url = models.TextField(editable=False)
    shown_url = models.CharField(max_length=2000, help_text="Its address without the secrets in it.")
    url_digest = models.CharField(max_length=64, editable=False)
    token = models.CharField(max_length=40, unique=True, help_text="d.… : by this receivers know it.")
    position = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="The last line it was sent."
    )
    sent_at = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    last_error = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app", "url_digest"], condition=models.Q(addon=None), name="one_drain_per_url"
            ),
            models.UniqueConstraint(fields=["addon"], name="one_drain_per_addon"),
        ]

    def __str__(self) -> str:
        return f"log drain to {urlsplit(self.shown_url).hostname}"

    @property
    def url_bound_to(self) -> str:
        """What the sealed address belongs to."""
        return f"drain/{self.pk}/url"

    @property
    def url(self) -> str:
        """The whole address, with whatever secrets are in it."""
        return secrets.unseal(self.sealed_url, to=self.url_bound_to).decode()

    @url.setter
    def url(self, text: str) -> None:
        self.sealed_url = secrets.seal(text.encode(), to=self.url_bound_to)
        self.url_digest = secrets.digest(text)


from apps.alert_models import Alert  # noqa: E402 - Django finds models here
from apps.domain_models import AuthorityAccount, Certificate, CertificateOrder, Domain  # noqa: E402 - Django finds models here
from apps.dyno_models import Autoscale, Crash, Dyno, DynoEvent, Formation, MemoryUse, Traffic  # noqa: E402 - Django finds models here

__all__ = [
    "REVIEW",
    "TEST",
    "Alert",
    "App",
    "AppQuerySet",
    "AppTransfer",
    "AuthorityAccount",
    "Autoscale",
    "Certificate",
    "CertificateOrder",
    "Collaborator",
    "ConfigVar",
    "ConfigVarQuerySet",
    "Crash",
    "Domain",
    "Dyno",
    "DynoEvent",
    "Formation",
    "LogDrain",
    "MemoryUse",
    "Traffic",
    "url_of",
]
