"""When nothing passes: the freezes of a pipeline, and the holds that there were."""

from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from core.errors import NotFound, Refusal
from dashboard import freeze_panels as panels
from dashboard.forms import Form
from dashboard.gate_forms import minute_of
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.views.lines import stage_of
from flow import actions
from flow.models import Freeze
from pipelines import access
from pipelines.models import Pipeline

WEEKLY, ONCE = "weekly", "once"


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def index(request: PageRequest, name: str) -> HttpResponse:
    """The freezes and holds, for everybody who sees the pipeline; who manages it adds freezes."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    form = Form(request, **panels.FIELDS)
    if request.method == "POST":
        access.demand(rights, access.MANAGE, what="pipeline", resource="pipeline", name=pipeline.name)
        if form.attempt(lambda: _freeze(request, pipeline, form)) is not None:
            messages.success(request, f"“{form.value('name')}” is in force from now on.")
            return go(request, "freezes", pipeline.name)
    days = request.POST.getlist("days") if request.method == "POST" else list("56")
    context = panels.context(pipeline, rights, form, days, request.GET.get("page", ""))
    return render(request, "flow/freezes.html", context, status=form.status)


def _freeze(request: PageRequest, pipeline: Pipeline, form: Form) -> Freeze:
    stage = stage_of(pipeline, form.value("stage")) if form.value("stage") else None
    when = _weekly(request, form) if form.value("how") == WEEKLY else _once(form)
    return actions.freeze(
        pipeline, stage=stage, name=form.value("name"), zone=form.value("zone"), by=request.user, **when
    )


def _weekly(request: PageRequest, form: Form) -> dict[str, Any]:
    minutes = {}
    for key in ("from", "to"):
        minutes[key] = minute_of(form.value(key))
        if minutes[key] is None:
            text = "Give a time of day: 18:00."
            raise Refusal(text, fields={key: text})
    days = [int(day) for day in request.POST.getlist("days") if day in tuple("0123456")]
    return {"days": days, "from_minute": minutes["from"], "to_minute": minutes["to"]}


def _once(form: Form) -> dict[str, Any]:
    """As it was typed, meant in the zone of the form."""
    try:
        zone = ZoneInfo(form.value("zone"))
    except (ValueError, KeyError, OSError) as error:
        text = "Give a time zone like Europe/Vienna."
        raise Refusal(text, fields={"zone": text}) from error
    found = {}
    for key in ("starts_at", "ends_at"):
        try:
            found[key] = datetime.fromisoformat(form.value(key)).replace(tzinfo=zone)
        except ValueError as error:
            text = "Give a date and a time: 2026-12-24 12:00."
            raise Refusal(text, fields={key: text}) from error
    return found


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def remove(request: PageRequest, name: str, freeze_id: UUID) -> HttpResponse:
    """Ask, then forget a freeze: what waited for its end alone passes at once."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    found = Freeze.objects.select_related("stage").filter(pipeline=pipeline, pk=freeze_id).first()
    if found is None:
        raise NotFound("Couldn't find that freeze.", resource="freeze")
    found.pipeline = pipeline
    if request.method == "POST":
        actions.unfreeze(found, by=request.user)
        messages.success(request, f"“{found}” is over.")
        return go(request, "freezes", pipeline.name)
    context = {"pipeline": pipeline, "tab": "settings", "freeze": found, "words": panels.in_words(found)}
    return page_or_dialog(request, "flow/freeze_removal.html", context)
