"""Stop the line, and let it go on."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.errors import NotFound
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.views.lines import stage_of
from flow import access as flow_access
from flow import actions
from flow.models import Hold, Line
from pipelines import access
from pipelines.models import Pipeline, Stage


@require_safe
@login_required
def new(request: PageRequest, name: str) -> HttpResponse:
    """Ask why nothing should pass: into `?stage=`, or in the whole pipeline."""
    pipeline = access.pipeline_for(request.user, name)
    return _ask(request, pipeline, request.GET.get("stage", ""), Form(reason=""))


@require_POST
@login_required
def hold(request: PageRequest, name: str) -> HttpResponse:
    """Let nothing pass until somebody lifts it."""
    pipeline = access.pipeline_for(request.user, name)
    form = Form(request, reason="", stage="")
    stage = _stage(pipeline, form.value("stage"))
    made = form.attempt(lambda: _hold(request, pipeline, stage, form.value("reason")))
    if made is None:
        return _ask(request, pipeline, form.value("stage"), form)
    where = f"into {stage.title.lower()}" if stage else f"in {pipeline.name}"
    messages.success(request, f"Nothing passes {where} until somebody lifts this.")
    return go(request, "board", pipeline.name)


def _hold(request: PageRequest, pipeline: Pipeline, stage: Stage | None, reason: str) -> Hold:
    line = actions.line_of(stage) if stage else None
    return actions.hold(pipeline, line=line, reason=reason, by=request.user)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def lift(request: PageRequest, name: str, hold_id: UUID) -> HttpResponse:
    """Ask, then let things pass again."""
    pipeline = access.pipeline_for(request.user, name)
    rows = Hold.objects.select_related("line__stage", "by", "app").filter(pipeline=pipeline, pk=hold_id)
    found = rows.first()
    if found is None:
        raise NotFound("Couldn't find that hold.", resource="hold")
    found.pipeline = pipeline
    if found.line is not None:
        found.line.stage.pipeline = pipeline
    flow_access.demand_stopping(request.user, pipeline, found.line)
    form = Form(request, note="")
    if request.method == "POST":
        form.attempt(lambda: actions.lift(found, note=form.value("note"), by=request.user))
        if form.status == 200:
            messages.success(request, "The line is open again.")
            return go(request, "board", pipeline.name)
    context = {"pipeline": pipeline, "tab": "board", "hold": found, "form": form}
    return page_or_dialog(request, "flow/lift.html", context, status=form.status)


def _ask(request: PageRequest, pipeline: Pipeline, stage_name: str, form: Form) -> HttpResponse:
    stage = _stage(pipeline, stage_name)
    flow_access.demand_stopping(request.user, pipeline, Line(stage=stage) if stage else None)
    context = {
        "pipeline": pipeline,
        "tab": "board",
        "stage": stage,
        "form": form,
    }
    return page_or_dialog(request, "flow/hold.html", context, status=form.status)


def _stage(pipeline: Pipeline, name: str) -> Stage | None:
    """The stage that is meant; None for all."""
    return stage_of(pipeline, name[:60]) if name else None
