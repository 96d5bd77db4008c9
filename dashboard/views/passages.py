"""One release on its way over a line: what the gates say, and what people say."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST, require_safe

from core.errors import NotFound
from dashboard import flow_panels as panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from flow import access as flow_access
from flow import actions
from flow.models import Gate, Passage
from pipelines import access
from pipelines.models import Pipeline


@require_safe
@login_required
def show(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """A release before the gates of a line."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    passage = panels.passage_in(pipeline, request.user, passage_id)
    return _page(request, pipeline, rights, passage, Form(note=""))


@require_safe
@login_required
def changes(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """What would change in the apps of the stage, for who may deploy the app that it comes from."""
    pipeline, passage = _passage(request, name, passage_id)
    context = panels.changes_context(request.user, pipeline, passage)
    return page_or_dialog(request, "flow/changes.html", context)


@require_POST
@login_required
def approve(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """Say yes."""
    return _decide(request, name, passage_id, actions.approve, "You approved it.")


@require_POST
@login_required
def refuse(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """Say no: this release does not go on."""
    return _decide(request, name, passage_id, actions.refuse, "You refused it.")


def _decide(request: PageRequest, name: str, passage_id: UUID, action: Any, said: str) -> HttpResponse:
    pipeline, passage = _passage(request, name, passage_id)
    form = Form(request, note="")
    form.attempt(lambda: action(passage, note=form.value("note"), by=request.user))
    return _answer(request, pipeline, passage_id, form, said)


@require_POST
@login_required
def take_back(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """Have said nothing."""
    pipeline, passage = _passage(request, name, passage_id)
    if not passage.verdicts.filter(user=request.user).exists():
        flow_access.demand_deciding(request.user, passage)
    form = Form(request, note="")
    form.attempt(lambda: actions.take_back(passage, by=request.user))
    return _answer(request, pipeline, passage_id, form, "What you said does not count any more.")


@require_POST
@login_required
def let_pass(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """The yes where a line asks: promote it now."""
    pipeline, passage = _passage(request, name, passage_id)
    form = Form(request, note="")
    form.attempt(lambda: actions.let_pass(passage, by=request.user))
    return _answer(request, pipeline, passage_id, form, "It is promoted now.")


@require_POST
@login_required
def reopen(request: PageRequest, name: str, passage_id: UUID) -> HttpResponse:
    """Let a release that was turned down for good try again, as a new passage."""
    pipeline, passage = _passage(request, name, passage_id)
    form = Form(request, note="")
    made = form.attempt(lambda: actions.reopen(passage, note=form.value("note"), by=request.user))
    return _answer(request, pipeline, made.pk if made else passage_id, form, "Its gates are asked anew.")


@require_POST
@login_required
def probe(request: PageRequest, name: str, passage_id: UUID, gate_id: UUID) -> HttpResponse:
    """Have a gate find out once more."""
    pipeline, passage = _passage(request, name, passage_id)
    gate = Gate.objects.filter(line=passage.line_id, pk=gate_id).first()
    if gate is None:
        raise NotFound("Couldn't find that gate.", resource="gate")
    gate.line = passage.line
    form = Form(request, note="")
    form.attempt(lambda: actions.probe_again(gate, passage, by=request.user))
    return _answer(request, pipeline, passage_id, form, "It is tried once more.")


def _passage(request: PageRequest, name: str, passage_id: UUID) -> tuple[Pipeline, Passage]:
    pipeline = access.pipeline_for(request.user, name)
    return pipeline, panels.passage_in(pipeline, request.user, passage_id)


def _answer(
    request: PageRequest, pipeline: Pipeline, passage_id: UUID, form: Form, said: str
) -> HttpResponse:
    """The passage as it is now where it is looked at, else what was said; what was refused stands on its page."""
    refused = form.status != 200
    if not refused and not request.htmx:
        messages.success(request, said)
    if refused or request.htmx:
        passage = panels.passage_in(pipeline, request.user, passage_id)
        return _page(request, pipeline, access.rights_in(request.user, pipeline), passage, form)
    return go(request, "passage", pipeline.name, passage_id)


def _page(
    request: PageRequest, pipeline: Pipeline, rights: frozenset[str], passage: Passage, form: Form
) -> HttpResponse:
    context = panels.passage_context(request.user, pipeline, rights, passage, form)
    return page_or_dialog(request, "flow/passage.html", context, status=form.status)
