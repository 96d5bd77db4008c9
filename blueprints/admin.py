"""What repositories ask for, for operators to look at."""

from django.contrib import admin

from blueprints.models import Following, Proposal
from core.admin import Endless, Shown, status


@admin.register(Following)
class FollowingAdmin(Shown):
    """Pipelines that follow their repositories."""

    list_display = ("pipeline", "on", "by", "updated_at")
    list_filter = ("on",)
    search_fields = ("pipeline__name",)
    list_select_related = ("pipeline", "by")


@admin.register(Proposal)
class ProposalAdmin(Endless, Shown):
    """What their files came to."""

    list_display = ("__str__", "pipeline", "branch", status, "state", "created_at", "finished_at")
    list_filter = ("status", "state", "created_at")
    search_fields = ("pipeline__name", "commit")
    list_select_related = ("pipeline",)
    exclude = ("lease_token",)
