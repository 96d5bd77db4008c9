"""From source to running code: sources, builds, slugs, and the numbered ledger of releases."""

import json
import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet

OPEN = ["pending", "running"]


class Source(models.Model):
    """A tree of files to build: pushed by git, uploaded, or fetched. The archive is a tar, plain or gzipped."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, null=True, on_delete=models.CASCADE, related_name="sources")
    origin = models.ForeignKey(
        App,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Another app, in whose repository the commit is; empty: its own.",
    )
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    path = models.CharField(max_length=200, blank=True, editable=False, help_text="Below the data folder.")
    checksum = models.CharField(max_length=80, blank=True, help_text="sha256:… of the archive.")
    bytes = models.PositiveBigIntegerField(default=0)
    commit = models.CharField(max_length=64, blank=True)
    branch = models.CharField(max_length=255, blank=True)
    message = models.CharField(max_length=500, blank=True, help_text="First line of the commit.")
    author = models.CharField(max_length=200, blank=True)
    author_email = models.CharField(max_length=254, blank=True)
    committed_at = models.DateTimeField(null=True)
    version = models.CharField(max_length=200, blank=True, help_text="As an API client called it.")
    ref = models.CharField(
        max_length=255,
        blank=True,
        help_text="The branch, tag or commit that a build takes from a repository.",
    )
    repository = models.CharField(
        max_length=1000, blank=True, help_text="Where that is, by URL; empty: the app's own repository."
    )
    folder = models.CharField(
        max_length=255, blank=True, help_text="Of the commit, what is built; empty: all of it."
    )
    image = models.CharField(
        max_length=250,
        blank=True,
        help_text="A ready-made container image, by its name: there is nothing to build.",
    )
    put_digest = models.CharField(max_length=64, blank=True, help_text="Of the one-time upload token.")
    get_digest = models.CharField(max_length=64, blank=True, help_text="Of the download token.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.short or str(self.pk)

    @property
    def short(self) -> str:
        """The commit as people write it, or what else the source was called."""
        return self.commit[:7] or self.version[:12] or self.ref[:12] or self.image.rpartition("/")[2][:40]


class BuildQuerySet(JobQuerySet):
    """Questions about builds."""

    def claimable(self, now: Any = None) -> Self:
        """One build at a time per app, in order, since they share the app's cache."""
        others = Build._base_manager.filter(app=OuterRef("app"), status__in=OPEN).exclude(pk=OuterRef("pk"))
        before = others.filter(Q(created_at__lt=OuterRef("created_at")) | Q(status="running"))
        return super().claimable(now).filter(~Exists(before), ~Exists(_owners_at_their_limit()))

    def claim_order(self) -> tuple[Any, ...]:
        """Whoever has the fewest builds running comes first, so that no owner's backlog holds up others (I-17)."""
        same_owner = Q(app__user=OuterRef("app__user")) | Q(app__team=OuterRef("app__team"))
        return (_running(same_owner), "created_at")


def _running(which: Q) -> Coalesce:
    """How many builds run of those that `which` chooses."""
    rows = Build._base_manager.filter(which, status="running").order_by()
    return Coalesce(models.Subquery(rows.values("status").annotate(n=models.Count("pk")).values("n")), 0)


def _owners_at_their_limit() -> models.QuerySet[App]:
    """The app of a build when its owner has as many builds running as they may. No joins in the build's own query:
    rivals must see each other's claims."""
    app = App._base_manager.filter(pk=OuterRef("app"))
    of_team = Q(team__max_builds__lte=_running(Q(app__team=OuterRef("team"))))
    if not settings.MAX_BUILDS:
        return app.filter(of_team)
    return app.annotate(busy=_running(Q(app__user=OuterRef("user")))).filter(
        of_team | Q(team__isnull=True, busy__gte=settings.MAX_BUILDS)
    )


class Build(Job):
    """One attempt to turn a source into a slug."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="builds")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="builds")
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True)
    cancel_asked = models.BooleanField(default=False)
    clear_cache = models.BooleanField(default=False)
    buildpacks = models.JSONField(default=list, help_text="Asked for; after the build: those that were used.")
    stack = models.CharField(max_length=40, default="slipway-24")
    command = models.CharField(max_length=500, blank=True, help_text="Run after the buildpacks.")
    steps = models.JSONField(default=list, help_text="[{name, at, seconds}], for the timeline.")
    started_at = models.DateTimeField(null=True, editable=False)
    slug = models.ForeignKey("Slug", null=True, on_delete=models.SET_NULL, related_name="builds")
    release = models.ForeignKey("Release", null=True, on_delete=models.SET_NULL, related_name="builds")

    objects = BuildQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="builds_by_age")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["app"], condition=Q(status="running"), name="one_running_build_per_app"
            )
        ]

    def __str__(self) -> str:
        return f"build of {self.source}"

    @property
    def log_stream(self) -> str:
        """Where its output is."""
        return f"build/{self.pk}"


class Slug(models.Model):
    """Built code, ready to run anywhere: an archive that is known by the digest of its bytes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(
        App, null=True, on_delete=models.SET_NULL, related_name="slugs", help_text="Where it was built."
    )
    digest = models.CharField(max_length=80, db_index=True, help_text="sha256:…")
    bytes = models.PositiveBigIntegerField(default=0)
    image = models.CharField(
        max_length=300,
        blank=True,
        help_text="Of a container image instead of an archive: how the engine knows it.",
    )
    images = models.JSONField(
        default=dict, help_text="{process type: image}, for those that have one of their own."
    )
    process_types = models.JSONField(default=dict)
    buildpacks = models.JSONField(default=list)
    stack = models.CharField(max_length=40, default="slipway-24")
    commit = models.CharField(max_length=64, blank=True)
    branch = models.CharField(max_length=255, blank=True)
    message = models.CharField(max_length=500, blank=True)
    author = models.CharField(max_length=200, blank=True)
    author_email = models.CharField(max_length=254, blank=True)
    committed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expired_at = models.DateTimeField(null=True, help_text="When its archive was cleaned away.")

    def __str__(self) -> str:
        return self.commit[:7] or self.digest[7:19] or str(self.pk)[:8]

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:7]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been uploaded to it yet."""
        return not self.digest

    def image_of(self, type: str) -> str:
        """The image that dynos of this process type run; empty when they run the archive."""
        return self.images.get(type, self.image)


class SlugUpload(models.Model):
    """A slug that a program makes elsewhere and has still to upload. The row goes when it has."""

    slug = models.OneToOneField(Slug, primary_key=True, on_delete=models.CASCADE, related_name="upload")
    put_digest = models.CharField(max_length=64, help_text="Of the one-time upload token.")
    checksum = models.CharField(max_length=80, blank=True, help_text="sha256:… that the archive is to have.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"upload of {self.slug}"


class Manifest(models.Model):
    """What the source of a slug says of itself in its app.json. A table of its own: it may be long, and few ask."""

    slug = models.OneToOneField(Slug, primary_key=True, on_delete=models.CASCADE, related_name="manifest")
    app_json = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"app.json of {self.slug}"


class ReleaseQuerySet(JobQuerySet):
    """Questions about releases."""

    def claimable(self, now: Any = None) -> Self:
        """In version order, one at a time per app: an older release can never overwrite a newer one (I-06)."""
        earlier = Release._base_manager.filter(
            app=OuterRef("app"), status__in=OPEN, version__lt=OuterRef("version")
        )
        return super().claimable(now).filter(~Exists(earlier))

    def claim_order(self) -> tuple[Any, ...]:
        return ("created_at", "version")

    def current_for(self, app: App) -> "Release | None":
        """The release that serves `app` now."""
        return self.filter(app=app, current=True).select_related("slug", "by").first()


class Release(Job):
    """A numbered, immutable triple: slug, config snapshot, process types.

    A config change binds its slug late: when its turn comes it takes the slug that is current then, so that a deploy
    that was under way when the config was set is not undone by it. From then on nothing of the triple changes.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        EXPIRED = "expired", "expired"

    class Kind(models.TextChoices):
        DEPLOY = "deploy", "deploy"
        CONFIG = "config", "config"
        PROMOTE = "promote", "promote"
        ROLLBACK = "rollback", "rollback"
        ADDON = "addon", "add-on"

    SEALED: ClassVar = {"sealed_config": "bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="releases")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    description = models.CharField(max_length=200)
    note = models.CharField(
        max_length=500, blank=True, help_text="The reason given for a rollback or promotion."
    )
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    slug = models.ForeignKey(Slug, null=True, on_delete=models.PROTECT, related_name="releases")
    sealed_config = models.TextField(editable=False)
    config_keys = models.JSONField(default=list)
    changed_keys = models.JSONField(
        default=dict, help_text="{key: added | changed | removed} since the last release."
    )
    process_types = models.JSONField(default=dict)
    addon_plans = models.JSONField(default=list)
    attached_keys = models.JSONField(
        default=list, help_text="Config vars that add-ons set: a rollback leaves them as they are by then."
    )
    inherited_keys = models.JSONField(
        default=list, help_text="Config vars whose values its stage or pipeline gave."
    )
    skips_phase = models.BooleanField(
        default=False,
        help_text="Its release command is left out: an add-on has only changed its own values.",
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True)
    current = models.BooleanField(default=False)
    steps = models.JSONField(default=list, help_text="[{name, at, seconds}], for the timeline.")
    started_at = models.DateTimeField(null=True, editable=False)
    phase_started = models.BooleanField(
        default=False, help_text="Whether its release command has run or runs."
    )
    from_release = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    canary_percent = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Of the requests that it gets while it is on trial."
    )
    canary_until = models.DateTimeField(null=True, editable=False, help_text="Of one that was on trial.")

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-version"]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="releases_by_age")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["app", "version"], name="one_release_per_version"),
            models.UniqueConstraint(
                fields=["app"], condition=Q(current=True), name="one_current_release_per_app"
            ),
            models.UniqueConstraint(
                fields=["app"], condition=Q(status="running"), name="one_running_release_per_app"
            ),
        ]

    def __str__(self) -> str:
        return f"v{self.version}"

    @property
    def log_stream(self) -> str:
        """Where the release phase's output is."""
        return f"release/{self.pk}"

    @property
    def bound_to(self) -> str:
        """What the sealed config belongs to."""
        return f"app/{self.app_id}/release/{self.version}/config"

    @property
    def config(self) -> dict[str, str]:
        """The config vars that its dynos get."""
        return json.loads(secrets.unseal(self.sealed_config, to=self.bound_to))

    @config.setter
    def config(self, variables: dict[str, str]) -> None:
        self.sealed_config = secrets.seal(json.dumps(variables, sort_keys=True).encode(), to=self.bound_to)
        self.config_keys = sorted(variables)

    @property
    def release_command(self) -> str:
        """What its release phase runs; empty when there is none."""
        return self.process_types.get("release", "")

    @property
    def eligible_for_rollback(self) -> bool:
        """Whether its triple is whole and worked once."""
        return self.status == self.Status.SUCCEEDED and self.slug is not None and self.slug.expired_at is None


from releases.push_models import Move as Move  # noqa: E402 - Django finds models here
