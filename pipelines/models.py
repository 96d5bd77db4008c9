"""Pipelines, their stages, which app is in which, and promotions between them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import Owned, Transfer, User
from addons.models import Addon
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from releases.models import Release


class PipelineQuerySet(models.QuerySet["Pipeline"]):
    """Questions about pipelines."""

    def by_ref(self, ref: str) -> "PipelineQuerySet":
        """The pipeline with this UUID or name. A name belongs to one owner at a time, everywhere."""
        try:
            return self.filter(pk=uuid.UUID(str(ref)))
        except ValueError:
            return self.filter(name=ref)


class Pipeline(Owned):
    """Apps that share a codebase, in stages."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=30, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PipelineQuerySet.as_manager()

    class Meta(Owned.Meta):
        abstract = False
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        """What its board watches."""
        return f"pipeline:{self.pk}"


class Stage(models.Model):
    """A column of the board. `word` is the Platform API's word that it answers to."""

    class Word(models.TextChoices):
        REVIEW = "review", "review"
        DEVELOPMENT = "development", "development"
        STAGING = "staging", "staging"
        PRODUCTION = "production", "production"

    class Promoters(models.TextChoices):
        """Who may promote into the stage, of those who may deploy the app."""

        DEPLOYERS = "deployers", "Everybody who may deploy the app"
        ADMINS = "admins", "Admins only"
        PEOPLE = "people", "Named people"

    class Readers(models.TextChoices):
        """Who may see config vars here, of those who may deploy the app."""

        DEPLOYERS = "deployers", "Everybody who may deploy the app"
        ADMINS = "admins", "Admins only"

    class Origin(models.TextChoices):
        """Where the releases of apps here come from."""

        ANY = "any", "Anywhere: promotions, pushes and builds"
        OWN = "own", "Builds of their own"
        PROMOTION = "promotion", "Promotions only"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="stages")
    name = models.CharField(max_length=30)
    word = models.CharField(max_length=12, choices=Word)
    position = models.PositiveIntegerField()
    promoters = models.CharField(max_length=10, choices=Promoters, default=Promoters.DEPLOYERS)
    people = models.ManyToManyField(
        User, blank=True, related_name="+", help_text="Who may promote into it, where people are named."
    )
    readers = models.CharField(max_length=10, choices=Readers, default=Readers.DEPLOYERS)
    source = models.CharField(
        max_length=9, choices=Origin, default=Origin.ANY, help_text="Where releases of apps here come from."
    )
    buildpacks = models.JSONField(default=list, blank=True, help_text="Of new apps here; empty: detected.")
    build_command = models.CharField(
        max_length=500, blank=True, help_text="Of new apps here: run after their buildpacks."
    )
    stack = models.CharField(
        max_length=40, blank=True, help_text="Of new apps here; empty: the platform's own."
    )
    health_path = models.CharField(max_length=200, blank=True, help_text="Of new apps here.")
    formation = models.JSONField(
        default=dict, blank=True, help_text="{type: {quantity, size}} of new apps here."
    )
    addons = models.JSONField(
        default=list, blank=True, help_text="Plans of add-ons that apps here get: heroku-postgresql:mini."
    )

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pipeline", "name"], name="one_stage_per_name"),
            models.UniqueConstraint(fields=["pipeline", "position"], name="one_stage_per_position"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        """As the board's column is headed."""
        return "Review apps" if self.name == "review" else self.name.replace("-", " ").capitalize()

    def next(self) -> "Stage | None":
        """The stage that promotions from here go to by default; none after production, nor from review."""
        if self.word in (self.Word.REVIEW, self.Word.PRODUCTION):
            return None
        return Stage.objects.filter(pipeline=self.pipeline_id, position__gt=self.position).first()


class SharedAddon(models.Model):
    """An add-on of a pipeline's own, attached to every app of a stage, or of the whole pipeline: to those that are
    there, and to those that join later."""

    addon = models.OneToOneField(Addon, on_delete=models.CASCADE, related_name="shared")
    stage = models.ForeignKey(
        Stage,
        null=True,
        on_delete=models.CASCADE,
        related_name="shared_addons",
        help_text="Empty: every stage.",
    )
    name = models.CharField(max_length=100, help_text="What apps have it attached as.")

    class Meta:
        ordering: ClassVar = ["addon__name"]

    def __str__(self) -> str:
        return str(self.addon)


class LayerVar(models.Model):
    """A config var that apps inherit as long as they have no value of their own. Sealed to its place and the key."""

    SEALED: ClassVar = {"sealed": "bound_to"}

    key = models.CharField(max_length=255)
    sealed = models.TextField(editable=False)
    set_at = models.DateTimeField(default=timezone.now, editable=False)
    set_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        abstract = True
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key

    @property
    def bound_to(self) -> str:
        """What the sealed value belongs to."""
        raise NotImplementedError

    @property
    def value(self) -> str:
        """The plain value; `core.secrets.Tampered` when the row is not what was written."""
        return secrets.unseal(self.sealed, to=self.bound_to).decode()

    @value.setter
    def value(self, text: str) -> None:
        self.sealed = secrets.seal(text.encode(), to=self.bound_to)


class StageVar(LayerVar):
    """A config var that the apps of a stage inherit."""

    stage = models.ForeignKey(Stage, on_delete=models.CASCADE, related_name="config_vars")

    class Meta(LayerVar.Meta):
        abstract = False
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["stage", "key"], name="one_value_per_stage_var")
        ]

    @property
    def bound_to(self) -> str:
        """What the sealed value belongs to."""
        return f"stage/{self.stage_id}/config/{self.key}"


class PipelineVar(LayerVar):
    """A config var that all apps of a pipeline inherit, unless their stage has it too."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="config_vars")

    class Meta(LayerVar.Meta):
        abstract = False
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pipeline", "key"], name="one_value_per_pipeline_var")
        ]

    @property
    def bound_to(self) -> str:
        """What the sealed value belongs to."""
        return f"pipeline/{self.pipeline_id}/config/{self.key}"


class PipelineTransfer(Transfer):
    """A pipeline, and the apps in it, on the way to another person."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="transfers")

    class Meta(Transfer.Meta):
        abstract = False
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["pipeline"], condition=Q(state="pending"), name="one_open_transfer_per_pipeline"
            )
        ]

    @property
    def thing(self) -> Pipeline:
        """What is handed over."""
        return self.pipeline


class Coupling(models.Model):
    """An app in a stage. An app is in one pipeline only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.OneToOneField(App, on_delete=models.CASCADE, related_name="coupling")
    stage = models.ForeignKey(Stage, on_delete=models.PROTECT, related_name="couplings")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="couplings")
    inherits = models.BooleanField(
        default=True, help_text="The config vars of stage and pipeline; not so where a stranger's code runs."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["stage__position", "app__name"]

    def __str__(self) -> str:
        return f"{self.app} in {self.stage}"

    def downstream(self) -> "list[Coupling]":
        """The apps of the next stage: where a promotion goes when no target is named."""
        following = self.stage.next()
        if following is None:
            return []
        return list(following.couplings.filter(app__destroyed_at__isnull=True).select_related("app", "stage"))

    def likely_targets(self) -> "list[Coupling]":
        """Those of `downstream` that a person means, where apps of several codebases share the stages: the ones that
        run code which was built where ours was; without any, those that run nothing yet; without any, all."""
        rows = self.downstream()
        current = Release.objects.filter(current=True, app__in=[self.app_id, *(row.app_id for row in rows)])
        return self.likely(rows, dict(current.exclude(slug=None).values_list("app", "slug__app")))

    def likely(
        self, rows: "Sequence[Coupling]", built: Mapping[uuid.UUID, uuid.UUID | None]
    ) -> "list[Coupling]":
        """The same of `rows` at hand. `built` says in which app the code was built that each app runs."""
        own = built.get(self.app_id)
        kin = [row for row in rows if own is not None and built.get(row.app_id) == own]
        return kin or [row for row in rows if row.app_id not in built] or list(rows)


class Promotion(models.Model):
    """One release on its way from an app to others. Its status follows from its targets."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        COMPLETED = "completed", "completed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="promotions")
    source = models.ForeignKey(App, on_delete=models.CASCADE, related_name="promotions_from")
    release = models.ForeignKey(
        Release, on_delete=models.PROTECT, related_name="+", help_text="The source's."
    )
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    automatic = models.BooleanField(default=False, help_text="The line made it, in the name of `by`.")
    override = models.CharField(
        max_length=500, blank=True, help_text="Why it passes although something says that it should not."
    )
    one_by_one = models.BooleanField(
        default=False, help_text="Its targets in turn, in their order, stopping at the first that fails."
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"promotion of {self.source} {self.release}"


class PromotionTargetQuerySet(JobQuerySet):
    """Questions about targets of promotions."""

    def claimable(self, now: datetime | None = None) -> Self:
        """Those of a promotion in turn wait until every one before them has succeeded."""
        before = PromotionTarget.objects.filter(
            promotion=OuterRef("promotion"), created_at__lt=OuterRef("created_at")
        ).exclude(status=PromotionTarget.Status.SUCCEEDED)
        return super().claimable(now).exclude(Q(promotion__one_by_one=True) & Exists(before))


class PromotionTarget(Job):
    """A promotion's way to one app: a release of the source's slug there, with the app's own config."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"  # the API says pending until the end
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    promotion = models.ForeignKey(Promotion, on_delete=models.CASCADE, related_name="targets")
    app = models.ForeignKey(App, on_delete=models.CASCADE, related_name="promotions_to")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True)
    release = models.ForeignKey(
        Release, null=True, on_delete=models.SET_NULL, related_name="promotion_targets"
    )

    objects = PromotionTargetQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["created_at", "app__name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["promotion", "app"], name="one_target_per_app"),
            models.UniqueConstraint(
                fields=["release"], condition=Q(release__isnull=False), name="one_target_per_release"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.promotion} to {self.app}"

    @property
    def skipped(self) -> bool:
        """Whether its turn never came, since one before it failed."""
        return self.status == self.Status.FAILED and self.release_id is None and self.attempt == 0

    @property
    def public_status(self) -> str:
        """The Platform API's word."""
        return "pending" if self.status == self.Status.RUNNING else self.status


from pipelines.balancer_models import Balancer  # noqa: E402 - Django finds models here

__all__ = [
    "Balancer",
    "Coupling",
    "LayerVar",
    "Pipeline",
    "PipelineTransfer",
    "PipelineVar",
    "Promotion",
    "PromotionTarget",
    "SharedAddon",
    "Stage",
    "StageVar",
]
