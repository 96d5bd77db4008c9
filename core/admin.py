"""The operators' site: what it shows, and that it changes nothing which has an action of its own."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from core.errors import Refusal
from core.models import Event


class Shown(ModelAdmin):
    """Rows to search and read. Whatever would break an invariant is done by actions, never by a form."""

    list_per_page = 50
    show_full_result_count = False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """Every column that is not excluded, the ones that no form may change too."""
        hidden = {*(self.exclude or ()), "password"}
        return list(self.fields or [f.name for f in self.model._meta.fields if f.name not in hidden])

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))


class ShownInline(TabularInline):
    """Rows of another table, to read."""

    extra = 0
    can_delete = False
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return list(self.fields or ())

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))


def each(do: Callable[[Any, Any], Any], title: str) -> Callable[..., None]:
    """An admin action that calls `do(row, by)` for each chosen row, and says what was refused."""

    @admin.action(description=title)
    def action(site: ModelAdmin, request: HttpRequest, rows: "QuerySet[Any]") -> None:
        done = 0
        for row in rows:
            try:
                do(row, request.user)
                done += 1
            except Refusal as refusal:
                messages.error(request, f"{row}: {refusal.message}")
        if done:
            messages.success(request, f"{title}: done for {done}.")

    action.__name__ = title.lower().replace(" ", "_")
    return action


@admin.register(Event)
class EventAdmin(Shown):
    """Who did what."""

    list_display = ("at", "actor", "verb", "label", "kind", "through", "address")
    list_filter = ("through", "kind", "verb", "at")
    search_fields = ("actor", "label", "object_id", "request_id")
    date_hierarchy = "at"
