"""Pipelines and promotions, for operators."""

from django.contrib import admin

from core.admin import Shown, ShownInline
from pipelines.models import Coupling, Pipeline, Promotion, PromotionTarget, Stage


class StageInline(ShownInline):
    """The stages, in order."""

    model = Stage
    fields = ("position", "name", "word")


class CouplingInline(ShownInline):
    """Which app is where."""

    model = Coupling
    fields = ("app", "stage", "created_at")


class TargetInline(ShownInline):
    """Where a promotion goes, and how far it has come."""

    model = PromotionTarget
    fields = ("app", "status", "reason", "release", "attempt", "lease_until", "finished_at")


@admin.register(Pipeline)
class PipelineAdmin(Shown):
    """Pipelines."""

    list_display = ("name", "user", "team", "created_at")
    search_fields = ("name", "id", "user__email", "team__name", "couplings__app__name")
    list_select_related = ("user", "team")
    inlines = (StageInline, CouplingInline)


@admin.register(Promotion)
class PromotionAdmin(Shown):
    """Promotions and their targets."""

    list_display = ("__str__", "pipeline", "status", "by", "created_at", "completed_at")
    list_filter = ("status", "created_at")
    search_fields = ("pipeline__name", "source__name", "id")
    list_select_related = ("pipeline", "source", "release", "by")
    inlines = (TargetInline,)
