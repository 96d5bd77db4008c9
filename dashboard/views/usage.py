"""What a team, a person, a pipeline or an app used in a month, what it costs, and its budget."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import access as team_access
from accounts.models import Membership, User
from apps import access as app_access
from dashboard import panels, team_panels, usage_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from metering import budgets, reports
from metering.reports import Scope
from pipelines import access as pipeline_access
from pipelines.models import Pipeline


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def of_team(request: PageRequest, name: str) -> HttpResponse:
    """Of all that the team owns. A POST sets its budget."""
    to = team_access.MANAGE if request.method == "POST" else team_access.VIEW
    membership = team_access.membership_for(request.user, name, to=to)
    context = team_panels.frame(membership, "usage")
    return _page(request, "team", context, reports.scope_of(membership.team), name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def of_pipeline(request: PageRequest, name: str) -> HttpResponse:
    """Of what the viewer may see of the pipeline. A POST sets its budget."""
    pipeline, rights = pipeline_access.pipeline_and_rights(request.user, name)
    if request.method == "POST":
        pipeline = pipeline_access.pipeline_for(request.user, name, to=pipeline_access.MANAGE)
    context = {
        "pipeline": pipeline,
        "tab": "usage",
        "may_manage": pipeline_access.MANAGE in rights,
    }
    return _page(request, "pipeline", context, _of_pipeline(request.user, pipeline), name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def of_app(request: PageRequest, name: str) -> HttpResponse:
    """Of the app's dynos and add-ons. A POST sets its budget."""
    to = app_access.MANAGE if request.method == "POST" else app_access.VIEW
    app = app_access.app_for(request.user, name, to=to)
    context = panels.frame(app, request.user, "resources")
    context["may_manage"] = app_access.MANAGE in context["rights"]
    return _page(request, "app", context, reports.scope_of(app), name, by_app=False)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def of_person(request: PageRequest) -> HttpResponse:
    """Of what the viewer owns alone. A POST sets their budget."""
    return _page(request, "account", {"may_manage": True}, reports.scope_of(request.user))


@require_safe
@login_required
def team_csv(request: PageRequest, name: str) -> HttpResponse:
    """The month as CSV."""
    team = team_access.team_for(request.user, name)
    return _csv(request, reports.scope_of(team), name)


@require_safe
@login_required
def pipeline_csv(request: PageRequest, name: str) -> HttpResponse:
    """The month as CSV."""
    pipeline = pipeline_access.pipeline_for(request.user, name)
    return _csv(request, _of_pipeline(request.user, pipeline), name)


@require_safe
@login_required
def app_csv(request: PageRequest, name: str) -> HttpResponse:
    """The month as CSV."""
    return _csv(request, reports.scope_of(app_access.app_for(request.user, name)), name)


@require_safe
@login_required
def account_csv(request: PageRequest) -> HttpResponse:
    """The month as CSV."""
    return _csv(request, reports.scope_of(request.user), "account")


def _page(
    request: PageRequest, what: str, context: dict[str, Any], scope: Scope, *args: str, by_app: bool = True
) -> HttpResponse:
    form = Form(request)
    if request.method == "POST":
        form.attempt(lambda: budgets.set_budget(scope.thing, form.value("budget"), by=request.user))
        if form.status == 200:
            messages.success(request, "The budget is set." if form.value("budget") else "There is no budget.")
            return go(request, f"{what}-usage", *args)
    context |= usage_panels.usage(
        scope, request.GET.get("month"), request.GET.get("page"), form, by_app=by_app
    )
    return render(request, f"usage/{what}.html", context, status=form.status)


def _of_pipeline(user: User, pipeline: Pipeline) -> Scope:
    """What `user` may see of it: what they or their teams paid for, and the apps they may view."""
    apps = pipeline_access.visible_couplings(user, pipeline).values("app_id")
    teams = Membership.objects.filter(user=user).values("team")
    paid = Q(user=user) | Q(team__in=teams)
    return reports.narrowed(reports.scope_of(pipeline), paid | Q(app_id__in=apps))


def _csv(request: PageRequest, scope: Scope, name: str) -> HttpResponse:
    found = reports.report(scope, reports.month_of(request.GET.get("month")))
    answer = HttpResponse("".join(reports.as_csv(found)), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}-usage-{found.month:%Y-%m}.csv"'
    return answer
