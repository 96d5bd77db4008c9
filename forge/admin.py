"""Connected repositories and their pull requests, for operators to look at."""

from django.contrib import admin

from core.admin import Shown
from forge.models import AutoDeploy, CommitStatus, PullRequest, Receipt, Report, Repository


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


@admin.register(CommitStatus)
class CommitStatusAdmin(Shown):
    """What others say of commits."""

    list_display = ("context", "state", "commit", "repository", "updated_at")
    list_filter = ("state",)
    search_fields = ("context", "commit")
    list_select_related = ("repository",)


@admin.register(Receipt)
class ReceiptAdmin(Shown):
    """Hooks that came, and what each caused."""

    list_display = ("__str__", "repository", "accepted", "about", "times", "at")
    list_filter = ("accepted", "event")
    search_fields = ("delivery", "about", "repository__full_name")
    list_select_related = ("repository",)


@admin.register(Report)
class ReportAdmin(Shown):
    """What hosts were told, or are to be."""

    list_display = ("subject", "repository", "state", "status", "reason", "created_at")
    list_filter = ("status",)
    search_fields = ("subject", "repository__full_name")
    list_select_related = ("repository",)


@admin.register(AutoDeploy)
class AutoDeployAdmin(Shown):
    """Branches that deploy by themselves."""

    list_display = ("app", "branch", "wait_for_ci", "path", "by", "note", "noted_at")
    search_fields = ("app__name", "branch")
    list_select_related = ("app", "by")
