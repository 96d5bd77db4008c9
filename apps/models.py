"""Apps and what is theirs: collaborators, config vars, domains, formation, dynos."""

import json
import uuid
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Owned, Transfer, User
from core import secrets
from core.jobs import Job, JobQuerySet
from engine import certificates

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


class Certificate(models.Model):
    """What an app shows to clients that come by TLS for a domain of its own. The key is sealed to the app and the
    row; what the certificate says is kept beside it, so that pages need not parse it."""

    SEALED: ClassVar = {"sealed_key": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="certificates")
    name = models.CharField(max_length=30)
    chain = models.TextField(help_text="PEM, in order, its own certificate first.")
    sealed_key = models.TextField(editable=False)
    subject = models.TextField()
    issuer = models.TextField()
    cert_domains = models.JSONField(help_text="The host names that it is for; a star stands for one label.")
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    trusted = models.BooleanField(help_text="Up to an authority that this machine trusted when it was added.")
    automatic = models.BooleanField(default=False, help_text="It came by itself, and is renewed so.")
    self_signed = models.BooleanField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "name"], name="one_certificate_per_name")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def bound_to(self) -> str:
        """What the sealed key belongs to."""
        return f"app/{self.app_id}/certificate/{self.pk}"

    @property
    def key(self) -> str:
        """The plain key, PEM; `core.secrets.Tampered` when the row is not what was written."""
        return secrets.unseal(self.sealed_key, to=self.bound_to).decode()

    @key.setter
    def key(self, text: str) -> None:
        self.sealed_key = secrets.seal(text.encode(), to=self.bound_to)

    def take(self, facts: "certificates.Facts") -> None:
        """Be what `facts` says, from the next save on."""
        self.chain, self.key = facts.chain, facts.key
        self.subject, self.issuer = facts.subject, facts.issuer
        self.cert_domains = list(facts.domains)
        self.starts_at, self.expires_at = facts.starts_at, facts.expires_at
        self.trusted, self.self_signed = facts.trusted, facts.self_signed

    def covers(self, hostname: str) -> bool:
        """Whether it is for `hostname`."""
        return certificates.covers(self.cert_domains, hostname)


class Domain(models.Model):
    """A host name of the app's own, beside the one that the platform gives it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="domains")
    hostname = models.CharField(max_length=253, unique=True)
    certificate = models.ForeignKey(
        Certificate, null=True, blank=True, on_delete=models.SET_NULL, related_name="domains"
    )
    acm_status = models.CharField(
        max_length=20, blank=True, editable=False, help_text="How getting its certificate went last."
    )
    acm_reason = models.CharField(max_length=300, blank=True, editable=False)
    acm_at = models.DateTimeField(null=True, editable=False)
    acm_failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    challenge = models.JSONField(
        default=dict, editable=False, help_text="What its router answers to the authority, by token."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["hostname"]

    def __str__(self) -> str:
        return self.hostname


class CertificateOrder(Job):
    """A certificate that is being got for a domain. The key that it will be for is sealed to the row."""

    SEALED: ClassVar = {"sealed_key": "bound_to"}

    class Status(models.TextChoices):
        """Where it stands."""

        PENDING = "pending"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="certificate_orders")
    domain = models.ForeignKey(Domain, on_delete=models.CASCADE, related_name="orders")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    sealed_key = models.TextField(blank=True, editable=False)
    address = models.URLField(max_length=500, blank=True, help_text="Of the order, at the authority.")
    challenge_address = models.URLField(max_length=500, blank=True, editable=False)
    reason = models.CharField(max_length=300, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["domain"],
                condition=models.Q(status__in=["pending", "running"]),
                name="one_open_order_per_domain",
            )
        ]

    def __str__(self) -> str:
        return f"certificate for {self.domain.hostname}"

    @property
    def bound_to(self) -> str:
        """What the sealed key belongs to."""
        return f"app/{self.app_id}/order/{self.pk}"

    @property
    def key(self) -> str:
        """The plain key, PEM; empty while there is none."""
        return secrets.unseal(self.sealed_key, to=self.bound_to).decode() if self.sealed_key else ""


class AuthorityAccount(models.Model):
    """This platform's account at a certificate authority."""

    SEALED: ClassVar = {"sealed_key": "bound_to"}

    url = models.URLField(max_length=500, unique=True, help_text="Of the authority's directory.")
    sealed_key = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.url

    @property
    def bound_to(self) -> str:
        """What the sealed key belongs to."""
        return f"authority/{self.url}"

    @property
    def key(self) -> str:
        """The plain key, PEM."""
        return secrets.unseal(self.sealed_key, to=self.bound_to).decode()


class LogDrain(models.Model):
    """Where else the app's log goes. The conductor sends on what comes after line `position`."""

    SEALED: ClassVar = {"sealed_url": "url_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="log_drains")
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
            models.UniqueConstraint(fields=["app", "url_digest"], name="one_drain_per_url")
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


class Formation(models.Model):
    """How many dynos of a process type should run, and of what size."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="formation")
    type = models.CharField(max_length=128)
    quantity = models.PositiveIntegerField(default=0)
    size = models.CharField(max_length=40, default="standard-1x")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["type"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "type"], name="one_formation_per_type")
        ]

    def __str__(self) -> str:
        return f"{self.type}={self.quantity}:{self.size}"


class Dyno(models.Model):
    """One process of an app: what is wished of it, and what was last seen of it. Kept by the conductor.

    Old and new release have dynos side by side during a switch. A one-off dyno runs a command of its own once.
    """

    class State(models.TextChoices):
        STARTING = "starting", "starting"
        UP = "up", "up"
        CRASHED = "crashed", "crashed"
        DOWN = "down", "down"
        IDLE = "idle", "idle"

    SEALED: ClassVar = {"sealed_env": "env_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="dynos")
    type = models.CharField(max_length=128)
    number = models.PositiveIntegerField()
    size = models.CharField(max_length=40, default="standard-1x")
    command = models.TextField()
    release_version = models.PositiveIntegerField()
    one_off = models.BooleanField(default=False)
    sealed_env = models.TextField(blank=True, editable=False, help_text="A one-off dyno's own variables.")
    attached = models.CharField(
        max_length=5, blank=True, editable=False, help_text="tty or plain, when somebody sits at its streams."
    )
    attach_digest = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        editable=False,
        help_text="Of the secret to attach with, once.",
    )
    inside = models.CharField(
        max_length=80, blank=True, editable=False, help_text="The start of a dyno in whose walls it runs."
    )
    code = models.UUIDField(
        null=True, editable=False, help_text="The slug that a one-off dyno runs, if not its release's."
    )
    stream = models.CharField(
        max_length=80, blank=True, editable=False, help_text="The log of its output, if not the app's."
    )
    time_to_live = models.PositiveIntegerField(null=True, help_text="Seconds that a one-off dyno may run.")
    stop_asked = models.BooleanField(default=False)
    generation = models.PositiveIntegerField(default=0, help_text="A restart raises it.")
    state = models.CharField(max_length=10, choices=State, default=State.STARTING)
    state_at = models.DateTimeField(default=timezone.now)
    crashes = models.PositiveIntegerField(default=0, help_text="In a row; sets the back-off.")
    start_after = models.DateTimeField(null=True, help_text="Not to be started again before.")
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it crashed, for people.")
    port = models.PositiveIntegerField(null=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["type", "number"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app", "release_version", "type", "number"], name="one_dyno_per_name_and_release"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """As logs and `ps` show it: `web.1`."""
        return f"{self.type}.{self.number}"

    @property
    def incarnation(self) -> str:
        """What the engine knows this very start of it by."""
        return f"{self.pk}.{self.generation}.{self.crashes}"

    @property
    def env_bound_to(self) -> str:
        """What the sealed variables belong to."""
        return f"dyno/{self.pk}/env"

    @property
    def env(self) -> dict[str, str]:
        """A one-off dyno's own variables."""
        return json.loads(secrets.unseal(self.sealed_env, to=self.env_bound_to)) if self.sealed_env else {}

    @env.setter
    def env(self, variables: dict[str, Any]) -> None:
        self.sealed_env = secrets.seal(json.dumps(variables).encode(), to=self.env_bound_to)


class Traffic(models.Model):
    """What the router says of one minute of an app's requests, by the release that answered."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="traffic")
    minute = models.DateTimeField(help_text="Its beginning.")
    release_version = models.PositiveIntegerField(default=0)
    requests = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0, help_text="Answered with 5xx, by the app or for it.")
    spread = models.JSONField(default=list, help_text="How many took so long: apps.traffic.BOUNDS.")

    class Meta:
        ordering: ClassVar = ["minute"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "minute", "release_version"], name="one_count_per_minute")
        ]

    def __str__(self) -> str:
        return f"{self.app} at {self.minute:%H:%M}"


class Crash(models.Model):
    """One crash of a dyno: rows of dynos come and go, and a gate asks about what was."""

    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="crashes")
    release_version = models.PositiveIntegerField()
    dyno = models.CharField(max_length=140)
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-at"]
        indexes: ClassVar = [models.Index(fields=["app", "at"], name="crashes_by_app")]

    def __str__(self) -> str:
        return f"{self.dyno} of {self.app}"
