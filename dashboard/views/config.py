"""Config vars: names for everyone who may see config, values one by one and only when asked for."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from apps import access, config_vars
from apps.models import App, ConfigVar
from core.errors import Refusal
from dashboard import config_file, config_panel, dotenv, panels
from dashboard.answers import see
from dashboard.app_forms import ConfigVarForm, DotenvForm, read
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import layers
from pipelines.access import demand_config
from releases import actions
from releases.models import Release

TOO_OLD = "The values were loaded too long ago. Copy what you typed, then load them again."


@require_safe
@login_required
def config(request: PageRequest, name: str) -> HttpResponse:
    """The names, who set them and when; htmx gets the table."""
    return _table(request, _app(request, name), typed={"key": request.GET.get("name", "")[:255]})


@sensitive_post_parameters()
@require_POST
@login_required
def save(request: PageRequest, name: str) -> HttpResponse:
    """Set one config var: a new release."""
    app = _app(request, name)
    form = ConfigVarForm(request.POST)
    try:
        asked = read(form)
        release = actions.set_config(
            app, {asked["key"]: asked["value"]}, by=request.user, write_only=asked["write_only"]
        )
    except Refusal as refusal:
        if request.htmx or refusal.status in (401, 403, 404):
            raise
        typed = {key: request.POST.get(key, "") for key in ("key", "value")}
        return _table(request, app, typed=typed, refusal=refusal)
    return _made(request, app, release)


@require_POST
@login_required
def unset(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Unset one config var: a new release."""
    app = _app(request, name)
    return _made(request, app, actions.set_config(app, {key: None}, by=request.user))


@require_POST
@login_required
def make_write_only(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Never show this value again."""
    app = _app(request, name)
    config_vars.make_write_only(app, [_var(app, key).key], by=request.user)
    messages.success(
        request, f"{key} is write-only now: its value can be replaced, and is never shown again."
    )
    return see("app-config", app.name)


@require_POST
@login_required
def reveal(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Show one value, and note that it was looked at."""
    app = _app(request, name)
    var = _var(app, key)
    return _opened(request, app, var, shown=key, value=config_vars.reveal(var, by=request.user))


@require_POST
@login_required
def edit(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Show one value in a field to change it, and note that it was looked at. The field of a write-only one is empty."""
    app = _app(request, name)
    var = _var(app, key)
    value = "" if var.write_only else config_vars.reveal(var, by=request.user)
    return _opened(request, app, var, edited=key, value=value)


@require_safe
@login_required
def file(request: PageRequest, name: str) -> HttpResponse:
    """An empty field for `.env` text: what it holds is added to what there is."""
    return _editor(request, _app(request, name), text="")


@require_POST
@login_required
def open_file(request: PageRequest, name: str) -> HttpResponse:
    """All values as `.env` text: what is left out then will be unset. Notes that all were looked at."""
    app = _app(request, name)
    values = config_vars.reveal_all(app, by=request.user)
    return _editor(request, app, text=dotenv.dump(values), token=config_file.pass_for(app, request.user))


@sensitive_post_parameters()
@require_POST
@login_required
def preview(request: PageRequest, name: str) -> HttpResponse:
    """What saving the text would add, change and remove."""
    app = _app(request, name)
    asked = read(DotenvForm(request.POST))
    return _editor(request, app, text=asked["text"], token=asked["whole"], previewed=True)


@sensitive_post_parameters()
@require_POST
@login_required
def save_file(request: PageRequest, name: str) -> HttpResponse:
    """Save the text: one release for all of it, or none if a line is wrong."""
    app = _app(request, name)
    asked = read(DotenvForm(request.POST))
    values, problems = dotenv.parse(asked["text"])
    if problems:
        return _editor(request, app, text=asked["text"], token=asked["whole"], previewed=True, status=422)
    try:
        release = _save_all(request, app, values, asked["whole"])
    except Refusal as refusal:  # on the page, beside the text: typing it all again would be no answer
        if refusal.status in (401, 403, 404):
            raise
        told = {"problems": [refusal.message]}
        return _editor(request, app, text=asked["text"], token=asked["whole"], status=422, told=told)
    _tell(request, release)
    return go(request, "app-config", app.name)


def _save_all(request: PageRequest, app: App, values: dict[str, str], token: str) -> Release | None:
    if not token:
        return actions.set_config(app, values, by=request.user)
    seen = config_file.stamp_of(token, app, request.user)
    if not seen:
        raise Refusal(TOO_OLD)
    return actions.replace_config(app, values, by=request.user, seen=seen)


def _app(request: PageRequest, name: str) -> App:
    app = access.app_for(request.user, name, to=access.DEPLOY)
    demand_config(request.user, app)
    return app


def _var(app: App, key: str) -> ConfigVar:
    rows = ConfigVar.objects.filter(app=app).select_related("set_by", "app")
    return get_object_or_404(layers.with_below(rows), key=key)


def _opened(request: PageRequest, app: App, var: ConfigVar, **opened: str) -> HttpResponse:
    if request.htmx:
        context = config_panel.row(app, request.user, var)
        return render(request, "apps/_config_var.html", {**context, **opened})
    return _table(request, app, opened=opened)


def _table(
    request: PageRequest,
    app: App,
    *,
    typed: dict[str, str] | None = None,
    refusal: Refusal | None = None,
    opened: dict[str, str] | None = None,
) -> HttpResponse:
    context = {
        **config_panel.config(app, request.user),
        **(opened or {}),
        "typed": typed or {},
        "refusal": refusal,
    }
    template = "apps/_config.html" if request.htmx else "apps/config.html"
    return render(request, template, context, status=refusal.status if refusal else 200)


def _made(request: PageRequest, app: App, release: Release | None) -> HttpResponse:
    _tell(request, release)
    return see("app-config", app.name)


def _tell(request: PageRequest, release: Release | None) -> None:
    if release is None:
        messages.info(request, "Nothing to save: every value is as it was.")
    else:
        messages.success(request, f"v{release.version}: {release.description}.")


def _editor(
    request: PageRequest,
    app: App,
    *,
    text: str,
    token: str = "",
    previewed: bool = False,
    status: int = 200,
    told: dict[str, Any] | None = None,
) -> HttpResponse:
    seen = config_file.stamp_of(token, app, request.user)
    if token and not seen:
        told = {"problems": [TOO_OLD]}
    context = {
        **panels.frame(app, request.user, "config"),
        **panels.consequences(app),
        **config_file.context(app, text, seen),
        **(told or {}),
        "text": text,
        "whole": token,
    }
    if request.htmx and previewed and status == 200:
        return render(request, "apps/_config_changes.html", context)
    return page_or_dialog(request, "apps/config_file.html", context, status=status)
