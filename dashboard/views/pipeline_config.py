"""The config vars that all apps of a pipeline inherit, and which stages and apps have values of their own."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from core.errors import NotFound, Refusal
from dashboard import layer_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from pipelines import access, layers
from pipelines.models import Pipeline


@require_safe
@login_required
def config(request: PageRequest, name: str) -> HttpResponse:
    """The names; who may not deploy here sees how many there are."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    return _page(request, pipeline, Form(), rights=rights)


@sensitive_post_parameters()
@require_POST
@login_required
def save_var(request: PageRequest, name: str) -> HttpResponse:
    """Set one. A value that is turned down is not given back."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, key="")
    value = request.POST.get("value", "").replace("\r\n", "\n")
    if form.attempt(lambda: _save(request, pipeline, form.value("key"), value)) is None:
        return _page(request, pipeline, form)
    messages.success(request, f"All apps of {pipeline.name} inherit {form.value('key')} now.")
    return go(request, "pipeline-config", pipeline.name)


def _save(request: PageRequest, pipeline: Pipeline, key: str, value: str) -> bool:
    try:
        layers.set_vars(pipeline, {key: value}, by=request.user)
    except Refusal as refusal:
        refusal.fields = {"key": refusal.message}
        raise
    return True


@require_POST
@login_required
def reveal_var(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Show one value, and note that it was looked at."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    value = layers.reveal(pipeline, key, by=request.user)
    return _page(request, pipeline, Form(), shown=(key, value))


@require_POST
@login_required
def remove_var(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Take one away, and from the apps that inherit it."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    if not pipeline.config_vars.filter(key=key).exists():
        raise NotFound(f"{pipeline.name} has no config var {key[:80]}.", resource="config_var")
    layers.set_vars(pipeline, {key: None}, by=request.user)
    messages.success(request, f"{key} is gone from {pipeline.name}, and from the apps that inherited it.")
    return go(request, "pipeline-config", pipeline.name)


def _page(
    request: PageRequest,
    pipeline: Pipeline,
    form: Form,
    *,
    rights: frozenset[str] | None = None,
    shown: tuple[str, str] = ("", ""),
) -> HttpResponse:
    rights = access.rights_in(request.user, pipeline) if rights is None else rights
    context = layer_panels.context(pipeline, request.user, rights, form, shown)
    return render(request, "pipelines/config.html", context, status=form.status)
