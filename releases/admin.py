"""Builds, slugs and releases, for operators."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core.admin import Endless, Shown, status
from core.deeds import Deed
from releases import actions
from releases.models import OPEN, Build, Release, Slug, SlugUpload, Source


@admin.register(Build)
class BuildAdmin(Endless, Shown):
    """Builds, and the lease of whoever is at work on one."""

    list_display = ("__str__", "app", status, "by", "created_at", "finished_at", "attempt", "reason")
    list_filter = ("status", "created_at")
    search_fields = ("app__name", "source__commit", "reason", "id")
    search_help_text = "App, commit, reason or id"
    list_select_related = ("app", "source", "by")
    exclude = ("lease_token",)
    deeds: ClassVar = (
        Deed(
            "cancel",
            "Cancel",
            "What it has made so far is thrown away, and whoever pushed is told. The running release is untouched.",
            lambda build, by: actions.cancel_build(build, by=by),
            icon="cancel",
            grave=True,
            fits=lambda build: build.status in OPEN,
        ),
    )


@admin.register(Release)
class ReleaseAdmin(Endless, Shown):
    """The ledger. It is only ever appended to."""

    list_display = ("__str__", "app", status, "current", "kind", "description", "by", "created_at")
    list_filter = ("status", "kind", "current", "created_at")
    search_fields = ("app__name", "description", "slug__commit", "id")
    search_help_text = "App, description, commit or id"
    list_select_related = ("app", "by")
    ordering = ("-created_at",)
    exclude = ("sealed_config", "lease_token")
    deeds: ClassVar = (
        Deed(
            "fail",
            "Give up",
            "It ends as failed and its dynos stop; the release that serves is untouched. For one that gets nowhere.",
            lambda release, by: actions.fail_release(release, "An operator ended it.", by=by),
            icon="cancel",
            grave=True,
            fits=lambda release: release.status in OPEN,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        return super().get_queryset(request).defer("sealed_config")


@admin.register(Slug)
class SlugAdmin(Endless, Shown):
    """Built code."""

    list_display = ("__str__", "app", "branch", "message", "bytes", "stack", "created_at", "expired_at")
    list_filter = ("created_at", ("expired_at", admin.EmptyFieldListFilter))
    search_fields = ("digest", "commit", "app__name", "id")
    list_select_related = ("app",)
    ordering = ("-created_at",)


@admin.register(SlugUpload)
class SlugUploadAdmin(Endless, Shown):
    """Slugs that programs have still to upload."""

    list_display = ("__str__", "checksum", "created_at")
    search_fields = ("slug__app__name", "slug__id")
    list_select_related = ("slug",)
    ordering = ("-created_at",)
    exclude = ("put_digest",)


@admin.register(Source)
class SourceAdmin(Endless, Shown):
    """What builds were made from."""

    list_display = ("__str__", "app", "branch", "message", "bytes", "created_at")
    list_filter = ("created_at",)
    search_fields = ("commit", "app__name", "branch", "id")
    list_select_related = ("app",)
    ordering = ("-created_at",)
    exclude = ("put_digest", "get_digest")
