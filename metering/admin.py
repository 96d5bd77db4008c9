"""Prices, which operators set, and the ledger, which nobody changes."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from core.admin import Endless, Looked, Shown, is_operator
from metering import prices
from metering.models import Budget, DynoPrice, Entry, Meter


@admin.register(DynoPrice)
class DynoPriceAdmin(Looked, ModelAdmin):
    """What a dyno of each size costs a month. A change counts from now on."""

    list_display = ("size", "cents_per_month")
    search_fields = ("size",)
    readonly_fields = ("size",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def save_model(self, request: HttpRequest, obj: DynoPrice, form: Any, change: bool) -> None:
        """By the action, which notes who did it and has the meters count at the new price."""
        prices.set_price(obj.size, obj.cents_per_month, by=request.user)  # type: ignore[arg-type]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The activity has it already."""


@admin.register(Meter)
class MeterAdmin(Endless, Shown):
    """What runs and is counted now."""

    list_display = ("item", "app_name", "owner_name", "what", "cents_per_month", "since")
    list_filter = ("kind",)
    search_fields = ("app_name", "owner_name", "item")


@admin.register(Entry)
class EntryAdmin(Endless, Shown):
    """What ran, and what it cost."""

    list_display = ("item", "app_name", "owner_name", "what", "started_at", "ended_at", "micros")
    list_filter = ("kind", "ended_at")
    search_fields = ("app_name", "owner_name", "item")


@admin.register(Budget)
class BudgetAdmin(Shown):
    """How much people mean to spend, and how far they were told to be."""

    list_display = ("__str__", "cents", "told_percent", "told_month")
    search_fields = ("team__name", "user__email", "pipeline__name", "app__name")
    list_select_related = ("team", "user", "pipeline", "app")
