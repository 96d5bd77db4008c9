"""What a pipeline is called, its stages, whose it is."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access as account_access
from accounts.models import Membership
from core.errors import NotFound
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import access, actions, transfers
from pipelines.models import Coupling, Pipeline, Stage


@require_safe
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Everything that can be set; who may not manage the pipeline reads it only."""
    return _page(request, access.pipeline_for(request.user, name), Form())


@require_POST
@login_required
def rename(request: PageRequest, name: str) -> HttpResponse:
    """Give the pipeline another name."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, name="")
    if form.attempt(lambda: actions.rename_pipeline(pipeline, form.value("name"), by=request.user)) is None:
        return _page(request, pipeline, form)
    messages.success(request, f"It is {pipeline.name} now.")
    return go(request, "pipeline-settings", pipeline.name)


@require_POST
@login_required
def transfer(request: PageRequest, name: str) -> HttpResponse:
    """Hand the pipeline and the apps in it to a team of one's own, or offer them to another person."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, owner="")
    said = form.attempt(lambda: _transfer(request, pipeline, form.value("owner")))
    if said is None:
        return _page(request, pipeline, form)
    messages.success(request, said)
    seen = access.VIEW in access.rights_in(request.user, pipeline)
    return (
        go(request, "pipeline-settings", pipeline.name, fragment="owner")
        if seen
        else go(request, "pipelines")
    )


def _transfer(request: PageRequest, pipeline: Pipeline, text: str) -> str:
    owner = account_access.new_owner(request.user, text)
    if transfers.hand_over(pipeline, owner, by=request.user):
        return f"{pipeline.name} is offered to {owner}. It stays as it is until they accept."
    return f"{pipeline.name} and its apps belong to {owner} now."


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: PageRequest, name: str) -> HttpResponse:
    """Ask for the name, then take the pipeline away; its apps stay."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, confirm="")
    if request.method == "POST":
        confirm = form.value("confirm")
        if form.attempt(lambda: _destroy(request, pipeline, confirm)):
            messages.success(request, f"{name} is gone. Its apps keep running.")
            return go(request, "pipelines")
    apps = Coupling.objects.filter(pipeline=pipeline).count()
    context = {"pipeline": pipeline, "tab": "settings", "form": form, "apps": apps}
    return page_or_dialog(request, "pipelines/destroy.html", context, status=form.status)


def _destroy(request: PageRequest, pipeline: Pipeline, confirm: str) -> bool:
    actions.destroy_pipeline(pipeline, confirm=confirm, by=request.user)
    return True


@require_POST
@login_required
def add_stage(request: PageRequest, name: str) -> HttpResponse:
    """Put a stage after another, or first."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, stage="", word="", after="")
    made = form.attempt(lambda: _add_stage(request, pipeline, form))
    if made is None:
        return _page(request, pipeline, form)
    return go(request, "pipeline-settings", pipeline.name, fragment=f"stage-{made.name}")


def _add_stage(request: PageRequest, pipeline: Pipeline, form: Form) -> Stage:
    after = _stage(pipeline, form.value("after")) if form.value("after") else None
    with form.naming("stage"):
        name = form.value("stage").lower().replace(" ", "-")
        return actions.add_stage(pipeline, name, word=form.value("word"), after=after, by=request.user)


@require_POST
@login_required
def change_stage(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """Rename a stage, or change the word that scripts know it by."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    stage = _stage(pipeline, stage_name)
    new_name = request.POST.get("stage", "").strip().lower().replace(" ", "-")[:60]
    stage = actions.change_stage(
        stage, name=new_name or None, word=request.POST.get("word") or None, by=request.user
    )
    messages.success(request, f"{stage.title} is saved.")
    return go(request, "pipeline-settings", pipeline.name, fragment=f"stage-{stage.name}")


@require_POST
@login_required
def move_stage(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """Move a stage up or down the list, which is left or right on the board."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    places = -1 if request.POST.get("move") == "up" else 1
    stage = actions.move_stage(_stage(pipeline, stage_name), by_places=places, by=request.user)
    return go(request, "pipeline-settings", pipeline.name, fragment=f"stage-{stage.name}")


@require_POST
@login_required
def remove_stage(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """Take an empty stage away."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    actions.remove_stage(_stage(pipeline, stage_name), by=request.user)
    return go(request, "pipeline-settings", pipeline.name)


def _stage(pipeline: Pipeline, name: str) -> Stage:
    stage = Stage.objects.filter(pipeline=pipeline, name=name).first()
    if stage is None:
        raise NotFound("Couldn't find that stage.", resource="stage")
    return stage


def _page(request: PageRequest, pipeline: Pipeline, form: Form) -> HttpResponse:
    members = Membership.objects.filter(team=pipeline.team).select_related("user") if pipeline.team else []
    context = {
        "pipeline": pipeline,
        "tab": "settings",
        "form": form,
        "stages": Stage.objects.filter(pipeline=pipeline).annotate(apps=Count("couplings")),
        "words": Stage.Word.values,
        "members": members,
        "may_manage": access.MANAGE in access.rights_in(request.user, pipeline),
    }
    return render(request, "pipelines/settings.html", context, status=form.status)
