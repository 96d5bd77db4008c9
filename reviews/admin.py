"""Review apps and app setups, for operators to look at."""

from django.contrib import admin

from core.admin import Endless, Shown, status
from reviews.models import AppSetup, ReviewApp, ReviewSettings


@admin.register(ReviewSettings)
class ReviewSettingsAdmin(Shown):
    """How review apps come and go."""

    list_display = ("__str__", "enabled", "automatic", "wait_for_ci", "most", "by")
    list_filter = ("enabled", "automatic", "forks")
    search_fields = ("pipeline__name",)
    list_select_related = ("pipeline", "by")


@admin.register(ReviewApp)
class ReviewAppAdmin(Endless, Shown):
    """What was wanted, and how far it came."""

    list_display = ("__str__", "pipeline", "state", "app_name", "message", "created_at", "finished_at")
    list_filter = ("state", "gone", "created_at")
    search_fields = ("branch", "app_name", "pipeline__name")
    list_select_related = ("pipeline", "pull_request")
    exclude = ("lease_token",)


@admin.register(AppSetup)
class AppSetupAdmin(Endless, Shown):
    """Apps that were made as their app.json says."""

    list_display = ("__str__", status, "failure", "by", "created_at", "finished_at")
    list_filter = ("status", "created_at")
    search_fields = ("app__name",)
    list_select_related = ("app", "by")
    exclude = ("lease_token", "sealed_env", "postdeploy_output")
