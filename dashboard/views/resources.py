"""Dynos: how many run, of what size; restarts; one-off dynos; and the add-ons beside them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps import access, actions, autoscale, one_offs
from apps.autoscale import Rule
from apps.models import App, Autoscale, Dyno
from apps.scaling import WEB
from core.errors import Conflict, Refusal
from dashboard import addon_panels, panels
from dashboard.answers import see
from dashboard.app_forms import AutoscaleForm, DynoForm, RunForm, formation_changes, read
from dashboard.autoscale_panel import scaler_of
from dashboard.forms import Form
from dashboard.http import PageRequest
from pipelines.access import demand_config
from releases.models import Release

ALONG = (*panels.PLACED, "autoscale")


@require_safe
@login_required
def resources(request: PageRequest, name: str) -> HttpResponse:
    """The formation, one-off dynos and add-ons; htmx gets the part that changes."""
    app = access.app_for(request.user, name, along=ALONG)
    template = "apps/_resources.html" if request.htmx else "apps/resources.html"
    return render(request, template, _context(request, app))


@require_POST
@login_required
def scale(request: PageRequest, name: str) -> HttpResponse:
    """Change quantities and sizes, all in one. What is refused comes back as it was typed."""
    app = access.app_for(request.user, name, to=access.OPERATE, along=ALONG)
    if request.htmx:  # the page has what was typed still
        _scale(request, app)
        return see("app-resources", app.name)
    form = Form(request)
    if form.attempt(lambda: _scale(request, app)) is None:
        return _again(request, app, form.status, scaling=form)
    return see("app-resources", app.name)


def _scale(request: PageRequest, app: App) -> bool:
    """Whether anything changed. Pages offer no number of web dynos while the platform chooses it: one that comes all the
    same was typed before, and would turn that off."""
    changes = formation_changes(request.POST, app.formation.all())
    if scaler_of(app) and "quantity" in changes.get(WEB, {}):
        raise Conflict(
            f"{app.name} scales its web dynos by itself now. Turn that off to choose their number."
        )
    if changes:
        actions.scale(app, changes, by=request.user)
    return bool(changes)


@require_POST
@login_required
def scale_by_itself(request: PageRequest, name: str) -> HttpResponse:
    """Turn autoscaling on, change its bounds, or turn it `off`."""
    app = access.app_for(request.user, name, to=access.OPERATE, along=ALONG)
    if "off" in request.POST:
        autoscale.disable(app, by=request.user)
        messages.success(request, f"Autoscaling is off. {app.name} keeps the dynos that it has.")
        return see("app-resources", app.name)
    form = Form(request, minimum="", maximum="", p95="", notify="")
    row = form.attempt(lambda: _scale_by_itself(request, app))
    if row is None:
        if not app.formation.filter(type=WEB).exists():
            raise Refusal(form.message)  # the page has no place for it: there is nothing to scale
        return _again(request, app, form.status, autoscaling=form)
    messages.success(request, f"{app.name} has {row} from now on.")
    return see("app-resources", app.name)


def _scale_by_itself(request: PageRequest, app: App) -> Autoscale:
    asked = read(AutoscaleForm(request.POST))
    rule = Rule(asked["minimum"], asked["maximum"], asked["p95"])
    return autoscale.enable(app, rule, notify=asked["notify"], by=request.user)


@require_POST
@login_required
def restart(request: PageRequest, name: str) -> HttpResponse:
    """Replace all dynos, those of a type or one by fresh ones."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    dyno = read(DynoForm(request.POST))["dyno"]
    actions.restart(app, dyno=dyno or None, by=request.user)
    if not request.htmx:
        messages.success(request, f"{dyno or 'Every dyno'} is being replaced by a fresh one.")
    return see("app-resources", app.name)


@require_POST
@login_required
def run(request: PageRequest, name: str) -> HttpResponse:
    """Run a command in a one-off dyno of the current release."""
    app = access.app_for(request.user, name, to=access.DEPLOY, along=ALONG)
    demand_config(request.user, app)
    if request.htmx:
        _run(request, app)
        return see("app-resources", app.name)
    form = Form(request, command="", size="standard-1x")
    if form.attempt(lambda: _run(request, app)) is None:
        return _again(request, app, form.status, running=form)
    return see("app-resources", app.name)


def _run(request: PageRequest, app: App) -> Dyno:
    asked = read(RunForm(request.POST))
    current = Release.objects.current_for(app)
    if current is None or current.slug is None:
        raise Refusal(f"{app.name} has not been deployed yet: there is no code to run a command with.")
    return one_offs.run_detached(
        app, asked["command"], size=asked["size"], release_version=current.version, by=request.user
    )


def _again(request: PageRequest, app: App, status: int, **forms: Form) -> HttpResponse:
    """The page with what was typed and what is wrong with it."""
    return render(request, "apps/resources.html", _context(request, app, **forms), status=status)


def _context(request: PageRequest, app: App, **forms: Form) -> dict[str, Any]:
    return {**panels.resources(app, request.user, **forms), **addon_panels.of_app(app, request.user)}


@require_POST
@login_required
def stop(request: PageRequest, name: str, dyno: str) -> HttpResponse:
    """Stop a one-off dyno."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    actions.stop_dyno(app, dyno, by=request.user)
    return see("app-resources", app.name)
