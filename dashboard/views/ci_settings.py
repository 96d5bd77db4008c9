"""When a pipeline's tests run, and the config vars that they get."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from ci import settings as ci
from ci.models import CiVar
from core.errors import NotFound, Refusal
from dashboard import ci_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from pipelines import access
from pipelines.models import Pipeline


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Look at them, or decide."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    if request.method != "POST":
        return _page(request, pipeline, Form(), rights=rights)
    access.demand(rights, access.MANAGE, what="pipeline", resource="pipeline", name=pipeline.name)
    form = Form(request)
    on_push, supersede = (form.value(key) == "on" for key in ("on_push", "supersede"))
    ci.set_settings(pipeline, on_push=on_push, supersede=supersede, by=request.user)
    messages.success(
        request, "Each push is tested now." if on_push else "Tests run when somebody starts them."
    )
    return go(request, "test-settings", pipeline.name)


@sensitive_post_parameters()
@require_POST
@login_required
def save_var(request: PageRequest, name: str) -> HttpResponse:
    """Set one. A value that is turned down is not given back."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    form = Form(request, key="")
    value = request.POST.get("value", "").replace("\r\n", "\n")
    if form.attempt(lambda: _save(request, pipeline, form.value("key"), value)) is None:
        return _page(request, pipeline, form)
    messages.success(request, f"The next test runs get {form.value('key')}.")
    return go(request, "test-settings", pipeline.name, fragment="config")


def _save(request: PageRequest, pipeline: Pipeline, key: str, value: str) -> bool:
    try:
        ci.set_vars(pipeline, {key: value}, by=request.user)
    except Refusal as refusal:
        refusal.fields = {"key": refusal.message}
        raise
    return True


@require_POST
@login_required
def reveal_var(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Show one value, and note that it was looked at."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    value = ci.reveal(pipeline, key, by=request.user)
    return _page(request, pipeline, Form(), shown=(key, value))


@require_POST
@login_required
def remove_var(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Take one away."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    if not CiVar.objects.filter(pipeline=pipeline, key=key).exists():
        raise NotFound(f"Tests of {pipeline.name} have no config var {key[:80]}.", resource="config_var")
    ci.set_vars(pipeline, {key: None}, by=request.user)
    messages.success(request, f"Test runs do not get {key} any more.")
    return go(request, "test-settings", pipeline.name, fragment="config")


def _page(
    request: PageRequest,
    pipeline: Pipeline,
    form: Form,
    *,
    rights: frozenset[str] | None = None,
    shown: tuple[str, str] = ("", ""),
) -> HttpResponse:
    rights = access.rights_in(request.user, pipeline) if rights is None else rights
    context = {
        **ci_panels.frame(pipeline, request.user, rights, "settings"),
        "section": "tests",
        "form": form,
        "ci": ci.settings_of(pipeline),
        "variables": list(CiVar.objects.filter(pipeline=pipeline).select_related("set_by")),
        "shown": shown[0],
        "value": shown[1],
    }
    return render(request, "ci/settings.html", context, status=form.status)
