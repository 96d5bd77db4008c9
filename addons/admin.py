"""Add-ons and their catalog, for operators: services, plans and prices are theirs to edit."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.models import User
from addons import actions
from addons.models import Addon, AddonService, Attachment, Partner, Plan, SavedSearch, Transfer
from core.admin import Endless, Looked, Shown, ShownInline, is_operator, status


class AttachmentInline(ShownInline):
    """Which apps it is attached to."""

    model = Attachment
    fields = ("app", "name", "namespace", "created_at")
    related = ("app",)


class SavedSearchInline(ShownInline):
    """Searches that are saved in a log archive."""

    model = SavedSearch
    fields = ("name", "text", "dyno", "level", "by", "created_at")
    related = ("by",)


@admin.register(Addon)
class AddonAdmin(Shown):
    """Add-ons."""

    list_display = ("name", "plan", "state", "app", "pipeline", "created_at")
    list_filter = ("state", "plan__service")
    search_fields = ("name", "app__name", "pipeline__name")
    list_select_related = ("app", "pipeline", "plan__service")
    exclude = ("sealed_secret", "sealed_config", "options")
    inlines = (AttachmentInline, SavedSearchInline)


@admin.register(Transfer)
class TransferAdmin(Endless, Shown):
    """Backups, restores and copies of databases."""

    list_display = ("__str__", "app", "kind", "from_name", "to_name", status, "created_at", "finished_at")
    list_filter = ("status", "kind", "created_at")
    search_fields = ("app__name", "from_name", "to_name")
    list_select_related = ("app",)
    exclude = ("lease_token", "script")


class Edited(Looked, ModelAdmin):
    """Rows of the catalog, which break nothing by being edited: what is ordered keeps its plan."""

    list_per_page = 25
    show_full_result_count = False
    list_filter_submit = True
    exclude = ("edited",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        assert isinstance(request.user, User)
        actions.edit_catalog(obj, changed=form.changed_data, by=request.user)


@admin.register(Partner)
class PartnerAdmin(Shown):
    """Who provides services over HTTP. `manage.py addonmanifest` loads what they say of themselves."""

    list_display = ("service", "base_url", "sso_url", "updated_at")
    search_fields = ("service__name", "base_url")
    list_select_related = ("service",)
    exclude = ("sealed_password", "sealed_sso_salt")


class PlanInline(ShownInline):
    """A service's plans."""

    model = Plan
    fields = ("name", "human_name", "price_cents", "state", "default")


@admin.register(AddonService)
class AddonServiceAdmin(Edited):
    """Services. One that shall not be ordered any more is shut down; add-ons of it stay."""

    list_display = ("name", "human_name", "state", "summary")
    list_filter = ("state",)
    search_fields = ("name", "human_name")
    readonly_fields = ("name",)
    inlines = (PlanInline,)


@admin.register(Plan)
class PlanAdmin(Edited):
    """Plans with their prices, limits and features."""

    list_display = ("full_name", "human_name", "price_cents", "state", "default")
    list_filter = ("service", "state")
    search_fields = ("name", "service__name")
    list_select_related = ("service",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)
