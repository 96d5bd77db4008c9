"""Connected repositories and their pull requests, for operators to look at."""

from django.contrib import admin

from core.admin import Shown
from forge.models import PullRequest, Repository


@admin.register(Repository)
class RepositoryAdmin(Shown):
    """Where pipelines have their code."""

    list_display = ("full_name", "host", "pipeline", "polls", "polled_at", "error")
    list_filter = ("host", "polls")
    search_fields = ("full_name", "pipeline__name")
    list_select_related = ("pipeline",)
    exclude = ("sealed_token", "sealed_secret")


@admin.register(PullRequest)
class PullRequestAdmin(Shown):
    """Pull requests, as their hosts last told of them."""

    list_display = ("__str__", "repository", "title", "branch", "state", "from_fork", "updated_at")
    list_filter = ("state", "draft")
    search_fields = ("title", "branch", "repository__full_name")
    list_select_related = ("repository",)
