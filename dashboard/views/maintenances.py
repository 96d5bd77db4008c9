"""Maintenance of an add-on's server: when, and at once."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from addons import access, maintenance
from addons.models import Addon
from apps import access as app_access
from apps.models import App
from dashboard import addon_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go


@require_POST
@login_required
def window(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Choose the hours."""
    app, found = _addon(request, name, addon)
    form = Form(request, day="", time="")
    chosen = form.attempt(
        lambda: maintenance.set_window(found, form.value("day"), form.value("time"), by=request.user)
    )
    return _answer(request, app, found, form, done=chosen is not None)


@require_POST
@login_required
def run(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have the server start again now."""
    app, found = _addon(request, name, addon)
    maintenance.run(found, by=request.user)
    return go(request, "addon", app.name, found.name)


def _answer(request: PageRequest, app: App, found: Addon, form: Form, *, done: bool) -> HttpResponse:
    if done:
        return go(request, "addon", app.name, found.name)
    context = addon_panels.of_addon(app, request.user, found, hours=form)
    return render(request, "addons/addon.html", context, status=form.status)


def _addon(request: PageRequest, name: str, addon: str) -> tuple[App, Addon]:
    app = app_access.app_for(request.user, name)
    found = access.one(access.named(access.addons_of(app), addon), addon)
    return app, access.demand_right(request.user, found, access.OPERATE)
