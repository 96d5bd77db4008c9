"""Pipelines and promotions, for operators."""

from django.contrib import admin

from core.admin import Endless, Shown, ShownInline, status
from pipelines.models import (
    Coupling,
    Pipeline,
    PipelineTransfer,
    PipelineVar,
    Promotion,
    PromotionTarget,
    Stage,
    StageVar,
)


class StageInline(ShownInline):
    """The stages, in order."""

    model = Stage
    fields = ("position", "name", "word")
    related = ("pipeline",)


class CouplingInline(ShownInline):
    """Which app is where."""

    model = Coupling
    fields = ("app", "stage", "created_at")
    related = ("app", "stage", "pipeline")


class TargetInline(ShownInline):
    """Where a promotion goes, and how far it has come."""

    model = PromotionTarget
    fields = ("app", "status", "reason", "release", "attempt", "lease_until", "finished_at")
    related = ("app", "release", "promotion__source", "promotion__release")


@admin.register(Pipeline)
class PipelineAdmin(Shown):
    """Pipelines."""

    list_display = ("name", "user", "team", "created_at")
    search_fields = ("name", "id", "user__email", "team__name", "couplings__app__name")
    list_select_related = ("user", "team")
    inlines = (StageInline, CouplingInline)


@admin.register(Promotion)
class PromotionAdmin(Endless, Shown):
    """Promotions and their targets."""

    list_display = ("__str__", "pipeline", status, "by", "created_at", "completed_at")
    list_filter = ("status", "created_at")
    search_fields = ("pipeline__name", "source__name", "id")
    list_select_related = ("pipeline", "source", "release", "by")
    inlines = (TargetInline,)


@admin.register(PipelineTransfer)
class PipelineTransferAdmin(Shown):
    """Pipelines on their way to somebody else."""

    list_display = ("pipeline", "state", "owner", "recipient", "created_at")
    list_filter = ("state", "created_at")
    search_fields = ("pipeline__name", "owner__email", "recipient__email", "id")
    list_select_related = ("pipeline", "owner", "recipient")


@admin.register(StageVar)
class StageVarAdmin(Shown):
    """Which config vars the apps of a stage inherit; never their values."""

    list_display = ("key", "stage", "set_at", "set_by")
    search_fields = ("key", "stage__pipeline__name", "stage__name")
    list_select_related = ("stage__pipeline", "set_by")
    exclude = ("sealed",)


@admin.register(PipelineVar)
class PipelineVarAdmin(Shown):
    """Which config vars all apps of a pipeline inherit; never their values."""

    list_display = ("key", "pipeline", "set_at", "set_by")
    search_fields = ("key", "pipeline__name")
    list_select_related = ("pipeline", "set_by")
    exclude = ("sealed",)
