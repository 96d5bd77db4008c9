"""Test runs, for operators to look at."""

from django.contrib import admin

from ci.models import CiSettings, CiVar, TestRun
from core.admin import Shown


@admin.register(TestRun)
class TestRunAdmin(Shown):
    """Every run, the newest first."""

    list_display = ("__str__", "pipeline", "branch", "short", "state", "cause", "by", "created_at")
    list_filter = ("state", "cause")
    search_fields = ("pipeline__name", "branch", "commit", "message")
    list_select_related = ("pipeline", "by")
    exclude = ("app_json",)


@admin.register(CiSettings)
class CiSettingsAdmin(Shown):
    """Whose pushes start test runs."""

    search_fields = ("pipeline__name",)
    list_display = ("pipeline", "on_push", "supersede", "by", "updated_at")
    list_select_related = ("pipeline", "by")


@admin.register(CiVar)
class CiVarAdmin(Shown):
    """The names of the config vars that test runs start with, never the values."""

    list_display = ("key", "pipeline", "set_by", "set_at")
    search_fields = ("key", "pipeline__name")
    list_select_related = ("pipeline", "set_by")
    exclude = ("sealed",)
