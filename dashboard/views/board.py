"""The board of a pipeline: its stages, the apps in them, and which app is where."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from apps import access as app_access
from apps import actions as app_actions
from apps.models import App
from core.errors import NotFound, Refusal
from dashboard import cards
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import access, actions
from pipelines.models import Coupling, Pipeline, Stage
from releases.actions import create_build_from_git


@require_safe
@login_required
def board(request: PageRequest, name: str) -> HttpResponse:
    """The whole board; `?q=` (words), `?only=` (a state), `?stage=` and its `?page=` narrow it down."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    asked = [request.GET.get(what, "")[:100].replace("\0", "") for what in ("q", "only", "stage", "page")]
    context = cards.board_context(pipeline, request.user, cards.Narrowing(*asked), rights=rights)
    return render(request, "board/board.html", context)


@require_safe
@login_required
def card(request: PageRequest, name: str) -> HttpResponse:
    """One card, as it is now; `?was=` is the version that the page shows."""
    was = request.GET.get("was", "")
    version = int(was) if was.isdecimal() and len(was) < 10 else None
    context = cards.card_context(request.user, name, was=version)
    return render(request, "board/_card.html", context)


@require_safe
@login_required
def card_menu(request: PageRequest, name: str) -> HttpResponse:
    """What else can be done with the app of a card; asked for when its menu opens."""
    found = access.coupling_for(request.user, name)
    rights = app_access.rights_in(request.user, found.app)
    context = {"app": found.app, "pipeline": found.pipeline, "rights": rights}
    return render(request, "board/_menu.html", context)


@require_safe
@login_required
def card_targets(request: PageRequest, name: str) -> HttpResponse:
    """Where the release of a card can go; asked for when the menu beside Promote opens."""
    context = cards.card_context(request.user, name, to=access.DEPLOY)
    return render(request, "board/_targets.html", context)


@require_safe
@login_required
def new_coupling(request: PageRequest, name: str) -> HttpResponse:
    """The form that adds an app to a stage: a new one, one that is there already, or one from a git repository."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    form = Form(stage=request.GET.get("stage", ""), how="new")
    return page_or_dialog(request, "board/coupling_new.html", _choices(request, pipeline, form))


@require_POST
@login_required
def couple(request: PageRequest, name: str) -> HttpResponse:
    """Add an app to a stage."""
    pipeline = access.pipeline_for(request.user, name, to=access.DEPLOY)
    form = Form(request, app="", name="", url="", ref="")
    stage = _stage(pipeline, form.value("stage"))
    coupling = form.attempt(lambda: _couple(request, pipeline, stage, form))
    if coupling is None:
        context = _choices(request, pipeline, form)
        return page_or_dialog(request, "board/coupling_new.html", context, status=form.status)
    return go(request, "board", pipeline.name, fragment=f"app-{coupling.app_id}")


@transaction.atomic
def _couple(request: PageRequest, pipeline: Pipeline, stage: Stage, form: Form) -> Coupling:
    if form.value("how") == "existing":
        if not form.value("app"):
            raise Refusal("Choose an app.", fields={"app": "Choose an app."})
        app = app_access.app_for(request.user, form.value("app"), to=access.DEPLOY)
    else:
        if not form.value("name"):
            raise Refusal("Give the app a name.", fields={"name": "Give the app a name."})
        app = app_actions.create_app(form.value("name"), owner=pipeline.owner, by=request.user)
    coupling = actions.couple(app, stage, by=request.user)
    if form.value("how") == "git":
        create_build_from_git(app, url=form.value("url"), ref=form.value("ref"), by=request.user)
    return coupling


@require_safe
@login_required
def coupling(request: PageRequest, name: str, app_name: str) -> HttpResponse:
    """The form that moves an app to another stage, or takes it out of the pipeline."""
    found = _coupling(request, name, app_name)
    stages = Stage.objects.filter(pipeline=found.pipeline).exclude(word=Stage.Word.REVIEW)
    context = {"pipeline": found.pipeline, "coupling": found, "stages": stages, "tab": "board"}
    return page_or_dialog(request, "board/coupling.html", context)


@require_POST
@login_required
def move(request: PageRequest, name: str, app_name: str) -> HttpResponse:
    """Move an app to another stage of its pipeline."""
    found = _coupling(request, name, app_name)
    actions.move(found, _stage(found.pipeline, request.POST.get("stage", "")), by=request.user)
    return go(request, "board", found.pipeline.name, fragment=f"app-{found.app_id}")


@require_POST
@login_required
def uncouple(request: PageRequest, name: str, app_name: str) -> HttpResponse:
    """Take an app out of its pipeline; the app itself stays."""
    found = _coupling(request, name, app_name)
    actions.uncouple(found, by=request.user)
    messages.success(request, f"{found.app.name} left {found.pipeline.name}. It keeps running.")
    return go(request, "board", found.pipeline.name)


def _coupling(request: PageRequest, name: str, app_name: str) -> Coupling:
    """The coupling of an app in this very pipeline, for who may deploy the app."""
    pipeline = access.pipeline_for(request.user, name)
    return access.coupling_in(pipeline, request.user, app_name, to=access.DEPLOY)


def _stage(pipeline: Pipeline, name: str) -> Stage:
    stage = Stage.objects.filter(pipeline=pipeline, name=name).first()
    if stage is None:
        raise NotFound("Couldn't find that stage.", resource="stage")
    return stage


def _choices(request: PageRequest, pipeline: Pipeline, form: Form) -> dict[str, object]:
    """What the form offers: stages, and apps that the viewer may deploy and that are in no pipeline."""
    free = app_access.apps_for(request.user).filter(coupling__isnull=True).select_related("team")
    rows = app_access.with_rights(free, request.user)
    apps: list[App] = [
        row for row in rows if access.DEPLOY in app_access.rights_found(request.user, row, row)
    ]
    stages = Stage.objects.filter(pipeline=pipeline).exclude(word=Stage.Word.REVIEW)
    return {"pipeline": pipeline, "form": form, "stages": stages, "apps": apps, "tab": "board"}
