"""Builds, slugs and releases, for operators."""

from django.contrib import admin

from core.admin import Shown, each
from releases import actions
from releases.models import Build, Release, Slug, Source


@admin.register(Build)
class BuildAdmin(Shown):
    """Builds, and the lease of whoever is at work on one."""

    list_display = (
        "__str__",
        "app",
        "status",
        "by",
        "created_at",
        "finished_at",
        "attempt",
        "lease_until",
        "reason",
    )
    list_filter = ("status", "created_at")
    search_fields = ("app__name", "source__commit", "reason", "id")
    list_select_related = ("app", "source", "by")
    actions = (each(lambda build, by: actions.cancel_build(build, by=by), "Cancel"),)


@admin.register(Release)
class ReleaseAdmin(Shown):
    """The ledger. It is only ever appended to."""

    list_display = (
        "__str__",
        "app",
        "status",
        "current",
        "kind",
        "description",
        "by",
        "created_at",
        "lease_until",
    )
    list_filter = ("status", "kind", "current", "created_at")
    search_fields = ("app__name", "description", "id")
    list_select_related = ("app", "by")
    exclude = ("sealed_config",)


@admin.register(Slug)
class SlugAdmin(Shown):
    """Built code."""

    list_display = ("__str__", "app", "bytes", "stack", "created_at", "expired_at")
    search_fields = ("digest", "commit", "app__name")
    list_select_related = ("app",)


@admin.register(Source)
class SourceAdmin(Shown):
    """What builds were made from."""

    list_display = ("__str__", "app", "branch", "bytes", "created_at")
    search_fields = ("commit", "app__name", "branch")
    list_select_related = ("app",)
    exclude = ("put_digest", "get_digest")
