"""Channels and what is sent to them and to people, for operators to look at."""

from django.contrib import admin

from core.admin import Endless, Shown, status
from notices.models import Channel, Notice, Preference


@admin.register(Channel)
class ChannelAdmin(Shown):
    """Where news of pipelines goes."""

    list_display = ("__str__", "pipeline", "kind", "failures", "error", "told_at")
    list_filter = ("kind",)
    search_fields = ("name", "pipeline__name")
    list_select_related = ("pipeline",)
    exclude = ("sealed",)


@admin.register(Preference)
class PreferenceAdmin(Shown):
    """What people want to be mailed."""

    list_display = ("__str__", "email", "summary", "updated_at")
    list_filter = ("email", "summary")
    search_fields = ("user__email", "pipeline__name")
    list_select_related = ("user", "pipeline")


@admin.register(Notice)
class NoticeAdmin(Endless, Shown):
    """What was sent, and what waits to be."""

    list_display = ("__str__", status, "pipeline", "reason", "created_at", "finished_at")
    list_filter = ("status", "event", "created_at")
    search_fields = ("pipeline__name", "user__email", "channel__name")
    list_select_related = ("channel", "user", "pipeline")
    exclude = ("lease_token",)
