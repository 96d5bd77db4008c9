"""Webhooks and their deliveries, for operators."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from core.admin import Endless, Shown, status
from core.deeds import Deed
from hooks import actions
from hooks.models import Delivery, Webhook


@admin.register(Webhook)
class WebhookAdmin(Shown):
    """Who is told of what. Addresses may hold secrets of their receivers: the list shows hosts only."""

    list_display = ("__str__", "app", "pipeline", "level", "failures", "rests_until", "created_at")
    list_filter = ("level", "created_at")
    search_fields = ("app__name", "pipeline__name", "id")
    list_select_related = ("app", "pipeline")
    exclude = ("url", "sealed_secret", "sealed_authorization")
    deeds: ClassVar = (
        Deed(
            "remove",
            "Remove",
            "Its receiver is told nothing more, of what waits to be delivered neither.",
            lambda hook, by: actions.remove_webhook(hook, by=by),
            icon="delete",
            grave=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        return super().get_queryset(request).defer("sealed_secret", "sealed_authorization")


@admin.register(Delivery)
class DeliveryAdmin(Endless, Shown):
    """What was told, and what waits to be."""

    list_display = ("__str__", "webhook", "news", "level", status, "attempts", "created_at", "finished_at")
    list_filter = ("status", "level", "created_at")
    search_fields = ("webhook__app__name", "id")
    list_select_related = ("webhook", "news")
    exclude = ("lease_token",)
