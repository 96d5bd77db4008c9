"""Automatic deploys of an app, and a branch of the pipeline's code deployed now."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from apps import access
from apps.models import App
from dashboard import deploys
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from forge import auto_deploys


@require_POST
@login_required
def switch_on(request: PageRequest, name: str) -> HttpResponse:
    """Follow a branch from now on."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, branch="", path="", wait_for_ci="")
    made = form.attempt(
        lambda: auto_deploys.switch_on(
            app,
            branch=form.value("branch"),
            path=form.value("path"),
            wait_for_ci=bool(form.value("wait_for_ci")),
            by=request.user,
        )
    )
    if made is None:
        return _page(request, app, "auto", form)
    messages.success(request, f"New commits of {made.branch} deploy to {app.name} from now on.")
    return go(request, "app-deploy", app.name)


@require_POST
@login_required
def switch_off(request: PageRequest, name: str) -> HttpResponse:
    """Follow it no more."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    auto_deploys.switch_off(app, by=request.user)
    messages.success(request, f"Nothing deploys to {app.name} by itself any more.")
    return go(request, "app-deploy", app.name)


@require_POST
@login_required
def deploy_now(request: PageRequest, name: str) -> HttpResponse:
    """Build the newest commit of a branch now."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, branch="")
    build = form.attempt(lambda: auto_deploys.deploy_now(app, form.value("branch"), by=request.user))
    if build is None:
        return _page(request, app, "now", form)
    return go(request, "build", app.name, build.pk)


def _page(request: PageRequest, app: App, name: str, form: Form) -> HttpResponse:
    context = deploys.page(app, request.user, "", **{name: form})
    return render(request, "apps/deploy.html", context, status=form.status)
