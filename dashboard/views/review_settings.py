"""How a pipeline has review apps come and go, and what they are told."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from core.errors import NotFound, Refusal
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from forge.code import place_of
from pipelines import access, stages
from pipelines.models import Pipeline, Stage
from reviews import actions
from reviews.models import ReviewApp, ReviewSettings

SWITCHES = ("enabled", "automatic", "drafts", "wait_for_ci", "destroy_stale", "predictable")
NUMBERS = ("stale_days", "most", "sleep_minutes")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Everything about review apps on one page; who may not manage the pipeline reads it only."""
    if request.method != "POST":
        pipeline, rights = access.pipeline_and_rights(request.user, name)
        return _page(request, pipeline, Form(), rights)
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, **dict.fromkeys((*NUMBERS, "base_name", "forks", "parts"), ""))
    row = form.attempt(lambda: actions.set_settings(pipeline, **_sent(form), by=request.user))
    if row is None:
        return _page(request, pipeline, form, access.rights_in(request.user, pipeline))
    messages.success(request, f"Review apps are {'on' if row.enabled else 'off'}; everything is saved.")
    return go(request, "review-settings", pipeline.name)


def _sent(form: Form) -> dict[str, Any]:
    """What the form says; a switch that was not sent is off."""
    found: dict[str, Any] = {name: form.value(name) == "on" for name in SWITCHES}
    for name in NUMBERS:
        text = form.value(name)
        if not (text.isascii() and text.isdecimal() and len(text) < 7):
            raise Refusal("Give a number.", fields={name: "Give a number."})
        found[name] = int(text)
    parts = [line.split(None, 1) for line in form.value("parts").splitlines() if line.strip()]
    found["parts"] = [{"name": part[0], "path": part[1] if len(part) > 1 else ""} for part in parts]
    return {**found, "base_name": form.value("base_name"), "forks": form.value("forks")}


@sensitive_post_parameters()
@require_POST
@login_required
def save_var(request: PageRequest, name: str) -> HttpResponse:
    """Set a config var of all review apps. A value that is turned down is not given back."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, key="")
    value = request.POST.get("value", "").replace("\r\n", "\n")
    if form.attempt(lambda: _save_var(request, pipeline, form, value)) is None:
        return _page(request, pipeline, form, access.rights_in(request.user, pipeline))
    messages.success(request, f"Review apps have {form.value('key')} now, but for those of forks.")
    return go(request, "review-settings", pipeline.name, fragment="config")


def _save_var(request: PageRequest, pipeline: Pipeline, form: Form, value: str) -> bool:
    with form.naming("key"):
        stages.set_vars(actions.review_stage(pipeline), {form.value("key"): value}, by=request.user)
    return True


@require_POST
@login_required
def remove_var(request: PageRequest, name: str, key: str) -> HttpResponse:
    """Take a config var away from all review apps."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    stage = actions.review_stage(pipeline)
    if not stage.config_vars.filter(key=key).exists():
        raise NotFound(f"Review apps have no {key[:80]}.", resource="config_var")
    stages.set_vars(stage, {key: None}, by=request.user)
    messages.success(request, f"{key} is gone.")
    return go(request, "review-settings", pipeline.name, fragment="config")


def _page(request: PageRequest, pipeline: Pipeline, form: Form, rights: frozenset[str]) -> HttpResponse:
    row = actions.settings_of(pipeline)
    stage = Stage.objects.filter(pipeline=pipeline, word=Stage.Word.REVIEW).first()
    shown = {
        **{name: getattr(row, name) for name in (*NUMBERS, "base_name", "forks")},
        "parts": "\n".join(f"{part['name']} {part['path']}".strip() for part in row.parts),
    }
    context = {
        "pipeline": pipeline,
        "tab": "settings",
        "form": form.over(shown),
        "settings": row,
        "on": {
            name: form.value(name) == "on" if form.status != 200 else getattr(row, name) for name in SWITCHES
        },
        "forks": ReviewSettings.Forks.choices,
        "place": place_of(pipeline),
        "running": ReviewApp.objects.filter(pipeline=pipeline, app__isnull=False).count(),
        "variables": list(stage.config_vars.select_related("set_by")) if stage else [],
        "may_manage": access.MANAGE in rights,
        "may_deploy": access.DEPLOY in rights,
    }
    return render(request, "reviews/settings.html", context, status=form.status)
