"""How releases pass from stage to stage: the line into a stage, its gates, and what passed over it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.errors import NotFound
from dashboard import flow_panels as panels
from dashboard import gate_forms
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from flow import actions
from flow.models import Gate, Line
from pipelines import access
from pipelines.models import Pipeline, Stage


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def line(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """How releases pass into a stage, for everybody who sees the pipeline; changed by who manages it."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    if request.method != "POST":
        return render(request, "flow/line.html", panels.line_context(pipeline, rights, stage_name))
    access.demand(rights, access.MANAGE, what="pipeline", resource="pipeline", name=pipeline.name)
    stage = stage_of(pipeline, stage_name)
    form = Form(request, **dict.fromkeys(panels.LINE_FIELDS, ""))
    if form.attempt(lambda: _set_line(request, stage, form)) is None:
        context = panels.line_context(pipeline, rights, stage_name, form)
        return render(request, "flow/line.html", context, status=form.status)
    messages.success(request, f"The line into {stage.title.lower()} is saved.")
    return go(request, "line", pipeline.name, stage.name)


def _set_line(request: PageRequest, stage: Stage, form: Form) -> Line:
    number, decimal = gate_forms.number_in, gate_forms.decimal_in
    sent = request.POST
    return actions.set_line(
        stage,
        mode=form.value("mode"),
        soak_minutes=number(sent, "soak_minutes"),
        watch="watch" in sent,
        most_crashes=number(sent, "most_crashes"),
        most_errors=decimal(sent, "most_errors"),
        most_p95=number(sent, "most_p95"),
        canary=form.value("canary"),
        canary_percent=number(sent, "canary_percent"),
        canary_minutes=number(sent, "canary_minutes"),
        needs_config="needs_config" in sent,
        by=request.user,
    )


@require_safe
@login_required
def history(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """What passed over a line, or did not, and why."""
    pipeline = access.pipeline_for(request.user, name)
    stage, page = stage_of(pipeline, stage_name), request.GET.get("page", "")
    return render(request, "flow/history.html", panels.history_context(request.user, pipeline, stage, page))


# --- gates ---------------------------------------------------------------------------------------------------------------


@require_safe
@login_required
def new_gate(request: PageRequest, name: str, stage_name: str, kind: str) -> HttpResponse:
    """The form of a gate to come."""
    pipeline, stage = _to_change(request, name, stage_name)
    form = gate_forms.filled(Form(), kind, gate_forms.defaults(kind))
    return _form(request, pipeline, stage, kind, form)


@require_POST
@login_required
def add_gate(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """Put a gate into the line. The answer of a webhook's is the only place where its secret ever stands."""
    pipeline, stage = _to_change(request, name, stage_name)
    kind = request.POST.get("kind", "")
    form = gate_forms.sent(request, kind)
    settings = gate_forms.settings_from(kind, request.POST)
    made = form.attempt(lambda: actions.add_gate(actions.line_of(stage), kind, settings, by=request.user))
    if made is None:
        return _form(request, pipeline, stage, kind, form)
    _, secret = made
    if secret:
        context = {"pipeline": pipeline, "stage": stage, "secret": secret, "tab": "settings"}
        return page_or_dialog(request, "flow/secret.html", context)
    return go(request, "line", pipeline.name, stage.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def gate(request: PageRequest, name: str, stage_name: str, gate_id: UUID) -> HttpResponse:
    """Change the settings of a gate: what was found out for it before does not count any more."""
    pipeline, stage = _to_change(request, name, stage_name)
    found = _gate(stage, gate_id)
    if request.method != "POST":
        return _form(
            request, pipeline, stage, found.kind, gate_forms.filled(Form(), found.kind, found.settings), found
        )
    form = gate_forms.sent(request, found.kind)
    settings = gate_forms.settings_from(found.kind, request.POST)
    if form.attempt(lambda: actions.change_gate(found, settings, by=request.user)) is None:
        return _form(request, pipeline, stage, found.kind, form, found)
    return go(request, "line", pipeline.name, stage.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def remove_gate(request: PageRequest, name: str, stage_name: str, gate_id: UUID) -> HttpResponse:
    """Ask, then take a gate away: what waits for it alone passes at once where the line promotes by itself."""
    pipeline, stage = _to_change(request, name, stage_name)
    found = _gate(stage, gate_id)
    if request.method == "POST":
        actions.remove_gate(found, by=request.user)
        messages.success(request, f"The gate “{found}” is gone.")
        return go(request, "line", pipeline.name, stage.name)
    context = panels.gate_context(pipeline, stage, found.kind, Form(), found)
    return page_or_dialog(request, "flow/gate_removal.html", context)


def stage_of(pipeline: Pipeline, name: str) -> Stage:
    """The pipeline's stage of that name that releases can be promoted into."""
    stage = Stage.objects.filter(pipeline=pipeline, name=name).exclude(word=Stage.Word.REVIEW).first()
    if stage is None:
        raise NotFound("Nothing is promoted into that stage.", resource="stage")
    stage.pipeline = pipeline
    return stage


def _to_change(request: PageRequest, name: str, stage_name: str) -> tuple[Pipeline, Stage]:
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    return pipeline, stage_of(pipeline, stage_name)


def _gate(stage: Stage, gate_id: UUID) -> Gate:
    found = Gate.objects.select_related("line").filter(line__stage=stage, pk=gate_id).first()
    if found is None:
        raise NotFound("Couldn't find that gate.", resource="gate")
    found.line.stage = stage
    return found


def _form(
    request: PageRequest, pipeline: Pipeline, stage: Stage, kind: str, form: Form, gate: Gate | None = None
) -> HttpResponse:
    context = panels.gate_context(pipeline, stage, kind, form, gate)
    return page_or_dialog(request, "flow/gate.html", context, status=form.status)
