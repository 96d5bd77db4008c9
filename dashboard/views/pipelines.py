"""The pipelines that a person may see, and how a new one begins."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import access as account_access
from accounts.models import Membership, Team
from apps import actions as app_actions
from dashboard import rails
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from pipelines import actions
from pipelines.models import Pipeline, Stage

FIRST_STAGES = (Stage.Word.STAGING, Stage.Word.PRODUCTION)


@require_safe
@login_required
def index(request: PageRequest) -> HttpResponse:
    """Each pipeline as a rail of its stages; first steps for who has none. `?q=` and `?sort=` as in the form."""
    q, sort = request.GET.get("q", "")[:100], request.GET.get("sort", "")
    context = rails.list_context(request.user, q=q, sort=sort, page=request.GET.get("page", ""))
    if not context["any"]:
        context |= _form_context(request, Form(request))
        return render(request, "pipelines/first.html", context)
    return render(request, "pipelines/index.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: PageRequest) -> HttpResponse:
    """Make a pipeline, and its first apps if they were named."""
    form = Form(request, name="", owner="", staging="", production="")
    if request.method == "POST":
        pipeline = form.attempt(lambda: _create(request, form))
        if pipeline is not None:
            return go(request, "board", pipeline.name)
    context = {"tab": "pipelines", **_form_context(request, form)}
    return render(request, "pipelines/new.html", context, status=form.status)


@transaction.atomic
def _create(request: PageRequest, form: Form) -> Pipeline:
    """All of it or nothing: a name that is taken leaves no half pipeline behind."""
    owner = account_access.owner_for(request.user, form.value("owner") or None)
    pipeline = actions.create_pipeline(form.value("name"), owner=owner, by=request.user)
    for word in FIRST_STAGES:
        if not form.value(word):
            continue
        with form.naming(word):
            app = app_actions.create_app(form.value(word), owner=owner, by=request.user)
        actions.couple(app, Stage.objects.get(pipeline=pipeline, name=word), by=request.user)
    return pipeline


def _form_context(request: PageRequest, form: Form) -> dict[str, object]:
    roles = (Membership.Role.ADMIN, Membership.Role.MEMBER)
    teams = Team.objects.filter(memberships__user=request.user, memberships__role__in=roles)
    push = f"git push {settings.URL}/storefront-staging.git main"
    return {"form": form, "teams": teams, "push": push}
