"""Add-ons and attachments, for operators."""

from django.contrib import admin

from addons.models import Addon, Attachment
from core.admin import Shown, ShownInline


class AttachmentInline(ShownInline):
    """Which apps it is attached to."""

    model = Attachment
    fields = ("app", "name", "created_at")
    related = ("app",)


@admin.register(Addon)
class AddonAdmin(Shown):
    """Add-ons."""

    list_display = ("name", "service", "plan", "app", "created_at")
    list_filter = ("service", "plan")
    search_fields = ("name", "app__name")
    list_select_related = ("app",)
    inlines = (AttachmentInline,)
