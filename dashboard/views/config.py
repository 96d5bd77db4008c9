"""Config vars: names for everyone who deploys, values one by one and only when asked for."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from apps import access
from apps.models import App, ConfigVar
from core import activity
from core.errors import Refusal
from dashboard import dotenv, panels
from dashboard.answers import see
from dashboard.app_forms import ConfigVarForm, DotenvForm, read
from dashboard.http import PageRequest
from releases import actions
from releases.models import Release


@require_safe
@login_required
def config(request: PageRequest, name: str) -> HttpResponse:
    """The names, who set them and when; htmx gets the table."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    return _table(request, app)


@sensitive_post_parameters()
@require_POST
@login_required
def save(request: PageRequest, name: str) -> HttpResponse:
    """Set one config var: a new release."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = read(ConfigVarForm(request.POST))
    release = actions.set_config(app, {asked["key"]: asked["value"]}, by=request.user)
    return _made(request, app, release)


@require_POST
@login_required
def unset(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Unset one config var: a new release."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    return _made(request, app, actions.set_config(app, {key: None}, by=request.user))


@require_POST
@login_required
def reveal(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Show one value, and note that it was looked at."""
    return _opened(request, name, key, "shown")


@require_POST
@login_required
def edit(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Show one value in a field to change it, and note that it was looked at."""
    return _opened(request, name, key, "edited")


@require_safe
@login_required
def file(request: PageRequest, name: str) -> HttpResponse:
    """An empty field for `.env` text: what it holds is added to what there is."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    return _editor(request, app, text="", whole=False)


@require_POST
@login_required
def open_file(request: PageRequest, name: str) -> HttpResponse:
    """All values as `.env` text: what is left out then will be unset. Notes that all were looked at."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    values = {var.key: var.value for var in app.config_vars.all()}
    activity.record(request.user, "revealed config of", app, keys=sorted(values))
    return _editor(request, app, text=dotenv.dump(values), whole=True)


@sensitive_post_parameters()
@require_POST
@login_required
def preview(request: PageRequest, name: str) -> HttpResponse:
    """What saving the text would add, change and remove; by name."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = read(DotenvForm(request.POST))
    return _editor(request, app, text=asked["text"], whole=asked["whole"], previewed=True)


@sensitive_post_parameters()
@require_POST
@login_required
def save_file(request: PageRequest, name: str) -> HttpResponse:
    """Save the text: one release for all of it, or none if a line is wrong."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = read(DotenvForm(request.POST))
    values, problems = dotenv.parse(asked["text"])
    if problems:
        return _editor(request, app, text=asked["text"], whole=asked["whole"], previewed=True, status=422)
    changes: dict[str, str | None] = dict(values)
    if asked["whole"]:
        changes |= {var.key: None for var in app.config_vars.all() if var.key not in values}
    try:
        release = actions.set_config(app, changes, by=request.user)
    except Refusal as refusal:  # on the page, beside the text: typing it all again would be no answer
        context = _editor_context(app, request, asked["text"], asked["whole"])
        return _draw_editor(request, {**context, "problems": [refusal.message]}, status=422)
    return _made(request, app, release)


def _opened(request: PageRequest, name: str, key: str, how: str) -> HttpResponse:
    app = access.app_for(request.user, name, to=access.DEPLOY)
    var = get_object_or_404(ConfigVar.objects.select_related("set_by"), app=app, key=key)
    activity.record(request.user, "revealed config of", app, keys=[var.key])
    if request.htmx:
        context = {**panels.frame(app, request.user, "config"), "var": var, how: var.key}
        return render(request, "apps/_config_var.html", {**context, **panels.consequences(app)})
    return _table(request, app, **{how: var.key})


def _table(request: PageRequest, app: App, **opened: str) -> HttpResponse:
    context = {**panels.config(app, request.user), **opened}
    return render(request, "apps/_config.html" if request.htmx else "apps/config.html", context)


def _made(request: PageRequest, app: App, release: Release | None) -> HttpResponse:
    if release is None:
        messages.info(request, "Nothing to save: every value is as it was.")
    else:
        messages.success(request, f"v{release.version}: {release.description}.")
    return see("app-config", app.name)


def _editor(
    request: PageRequest, app: App, *, text: str, whole: bool, previewed: bool = False, status: int = 200
) -> HttpResponse:
    context = _editor_context(app, request, text, whole)
    return _draw_editor(request, {**context, "previewed": previewed}, status=status)


def _editor_context(app: App, request: PageRequest, text: str, whole: bool) -> dict[str, Any]:
    return {**panels.config_file(app, request.user, text, whole), "text": text, "whole": whole}


def _draw_editor(request: PageRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    template = "apps/_config_changes.html" if request.htmx else "apps/config_file.html"
    return render(request, template, context, status=status)
