"""The list of apps, and the form for a new one."""

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import access as account_access
from apps import actions
from apps.models import App
from core.errors import NotFound
from dashboard import panels
from dashboard.answers import see
from dashboard.forms import Form
from dashboard.http import PageRequest
from pipelines import access as pipeline_access
from pipelines import actions as pipeline_actions
from releases.actions import create_build_from_git
from releases.models import Build

FIELDS = ("name", "team", "place", "url", "ref")


@require_safe
@login_required
def index(request: PageRequest) -> HttpResponse:
    """Every app that the viewer may see, or those with `?q=` in their name."""
    q = request.GET.get("q", "").replace("\0", "").strip()[:60]
    context = {"tab": "apps", **panels.app_rows(request.user, q, request.GET.get("page", ""))}
    return render(request, "apps/index.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new(request: PageRequest) -> HttpResponse:
    """A form for a new app, and its making."""
    form = Form(request, **{key: request.GET.get(key, "") for key in FIELDS})
    if request.method == "POST":
        made = form.attempt(lambda: _create(request, form))
        if made is not None:
            app, build = made
            return see("build", app.name, build.pk) if build else see("app", app.name)
    context = {
        "tab": "apps",
        "form": form,
        **panels.places(request.user),
    }
    return render(request, "apps/new.html", context, status=form.status)


@transaction.atomic
def _create(request: PageRequest, form: Form) -> tuple[App, Build | None]:
    """The new app, and its first build when it is to come from a public repository."""
    owner = account_access.owner_for(request.user, form.value("team") or None)
    app = actions.create_app(form.value("name") or None, owner=owner, by=request.user)
    if form.value("place"):
        pipeline_name, _, stage_name = form.value("place").partition("/")
        pipeline = pipeline_access.pipeline_for(request.user, pipeline_name, to=pipeline_access.DEPLOY)
        stage = pipeline.stages.filter(name=stage_name).first()
        if stage is None:
            raise NotFound("Couldn't find that stage.", resource="stage")
        pipeline_actions.couple(app, stage, by=request.user)
    if not form.value("url"):
        return app, None
    url, ref = form.value("url"), form.value("ref")
    return app, create_build_from_git(app, url=url, ref=ref, by=request.user)
