"""Lines between stages and what passes over them, for operators to look at."""

from django.contrib import admin

from core.admin import Endless, Shown, status
from flow.models import Hold, Line, Passage, Probe, Watch


@admin.register(Line)
class LineAdmin(Shown):
    """How releases pass into stages."""

    list_display = ("__str__", "mode", "by", "soak_minutes", "canary")
    list_filter = ("mode", "canary")
    search_fields = ("stage__pipeline__name", "stage__name")
    list_select_related = ("stage", "by")


@admin.register(Passage)
class PassageAdmin(Endless, Shown):
    """What is, or was, on its way."""

    list_display = ("__str__", "state", "reason", "created_at", "ended_at")
    list_filter = ("state", "created_at")
    search_fields = ("source__name",)
    list_select_related = ("source", "release", "line__stage")


@admin.register(Probe)
class ProbeAdmin(Endless, Shown):
    """Commands, requests and webhooks that gates have tried."""

    list_display = ("__str__", status, "reason", "created_at", "finished_at")
    list_filter = ("status", "created_at")
    search_fields = ("passage__source__name",)
    list_select_related = ("gate", "passage__source", "passage__release", "passage__line__stage")
    exclude = ("lease_token",)


@admin.register(Hold)
class HoldAdmin(Endless, Shown):
    """What stood still, and why."""

    list_display = ("__str__", "pipeline", "line", "cause", "by", "created_at", "lifted_at")
    list_filter = ("cause", "created_at")
    search_fields = ("pipeline__name", "reason")
    list_select_related = ("pipeline", "line__stage", "by")


@admin.register(Watch)
class WatchAdmin(Endless, Shown):
    """Targets after a promotion."""

    list_display = ("__str__", status, "reason", "until", "created_at", "finished_at")
    list_filter = ("status", "created_at")
    search_fields = ("app__name",)
    list_select_related = ("app", "release", "line__stage")
    exclude = ("lease_token",)
