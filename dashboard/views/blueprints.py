"""A pipeline as code: export, plan, apply; and what its repository asks for."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from blueprints import actions, document, proposals
from blueprints.actions import Applied, Plan
from blueprints.reader import MAX_BYTES
from dashboard import blueprint_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go
from pipelines import access
from pipelines.models import Pipeline


@require_safe
@login_required
def index(request: PageRequest, name: str) -> HttpResponse:
    """What the repository asks for; a file to compare with, for who manages the pipeline."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    return _page(request, pipeline, Form(), rights=rights)


@require_safe
@login_required
def file(request: PageRequest, name: str) -> HttpResponse:
    """The settings as they are, as a file says them."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    context = {"pipeline": pipeline, "tab": "settings", "export": actions.export(pipeline)}
    return render(request, "blueprints/file.html", context)


@require_safe
@login_required
def download(request: PageRequest, name: str) -> HttpResponse:
    """The file."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    answer = HttpResponse(actions.export(pipeline), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="slipway.yml"'
    return answer


@require_POST
@login_required
def plan(request: PageRequest, name: str) -> HttpResponse:
    """What a file would change, pasted or uploaded. Nothing is changed by looking."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form, text = Form(request, text=""), _text(request)
    made = form.attempt(lambda: actions.plan(pipeline, document.read(text), by=request.user))
    if made is None:
        form.refuse("", {"text": form.message})
        return _page(request, pipeline, form, text=text)
    return _plan(request, pipeline, form, made, text)


@require_POST
@login_required
def apply(request: PageRequest, name: str) -> HttpResponse:
    """Make it so. Settings that have changed since the plan are looked at anew."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form, text = Form(request, seen=""), _text(request)
    seen = form.value("seen")
    done = form.attempt(lambda: actions.apply(pipeline, document.read(text), seen=seen, by=request.user))
    if done is not None:
        return _applied(request, pipeline, done)
    try_again = Form()
    made = try_again.attempt(lambda: actions.plan(pipeline, document.read(text), by=request.user))
    if made is None:
        try_again.refuse("", {"text": try_again.message})
        return _page(request, pipeline, try_again, text=text)
    return _plan(request, pipeline, form, made, text)


@require_POST
@login_required
def follow(request: PageRequest, name: str) -> HttpResponse:
    """Have what the repository says applied by itself, or offered only."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    on = bool(Form(request).value("on"))
    proposals.follow(pipeline, on, by=request.user)
    said = "applied by itself, in your name" if on else "offered, and applied when somebody says so"
    messages.success(request, f"What slipway.yml says is {said}.")
    return go(request, "as-code", pipeline.name, fragment="repository")


@require_safe
@login_required
def proposal(request: PageRequest, name: str, proposal_id: uuid.UUID) -> HttpResponse:
    """What the file of one commit asks for, and what came of it."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    found = proposals.proposal_of(pipeline, proposal_id)
    context = blueprint_panels.proposal_context(pipeline, found, rights)
    return render(request, "blueprints/proposal.html", {**context, "form": Form()})


@require_POST
@login_required
def accept(request: PageRequest, name: str, proposal_id: uuid.UUID) -> HttpResponse:
    """Apply what the repository asks for."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    found = proposals.proposal_of(pipeline, proposal_id)
    form = Form(request, seen="")
    done = form.attempt(lambda: proposals.accept(found, seen=form.value("seen"), by=request.user))
    if done is not None:
        return _applied(request, pipeline, done)
    found = proposals.proposal_of(pipeline, proposal_id)
    rights = access.rights_in(request.user, pipeline)
    context = blueprint_panels.proposal_context(pipeline, found, rights)
    return render(request, "blueprints/proposal.html", {**context, "form": form}, status=form.status)


@require_POST
@login_required
def decline(request: PageRequest, name: str, proposal_id: uuid.UUID) -> HttpResponse:
    """Leave everything as it is."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    proposals.decline(proposals.proposal_of(pipeline, proposal_id), by=request.user)
    messages.success(
        request, "Everything stays as it is. The next slipway.yml that is pushed is looked at again."
    )
    return go(request, "as-code", pipeline.name)


def _text(request: PageRequest) -> str:
    """What was uploaded, or else pasted; no more than can be read anyway."""
    file = request.FILES.get("file")
    if file is not None:
        return file.read(MAX_BYTES + 1).decode("utf-8", "replace")
    return request.POST.get("text", "")


def _applied(request: PageRequest, pipeline: Pipeline, done: Applied) -> HttpResponse:
    count = len(done.changes)
    messages.success(request, f"Applied: {count} {'thing is' if count == 1 else 'things are'} otherwise now.")
    if not done.secrets:
        return go(request, "as-code", pipeline.name)
    context = {"pipeline": pipeline, "tab": "settings", "secrets": done.secrets}
    return render(request, "blueprints/secrets.html", context)


def _plan(request: PageRequest, pipeline: Pipeline, form: Form, made: Plan, text: str) -> HttpResponse:
    context = {"pipeline": pipeline, "tab": "settings", "plan": made, "text": text, "form": form}
    return render(request, "blueprints/plan.html", context, status=form.status)


def _page(
    request: PageRequest,
    pipeline: Pipeline,
    form: Form,
    *,
    text: str = "",
    rights: frozenset[str] | None = None,
) -> HttpResponse:
    rights = access.rights_in(request.user, pipeline) if rights is None else rights
    context = blueprint_panels.index_context(pipeline, rights, text)
    return render(request, "blueprints/index.html", {**context, "form": form}, status=form.status)
