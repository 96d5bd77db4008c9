"""What a pipeline is called, its stages, whose it is."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access as account_access
from blueprints.proposals import offered
from core.errors import NotFound, Refusal
from dashboard import stage_panels
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.stage_panels import Line
from pipelines import access, actions, layers, stages, transfers
from pipelines.models import Coupling, Pipeline, Stage


@require_safe
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Everything that can be set; who may not manage the pipeline reads it only."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    return _page(request, pipeline, Form(), rights=rights)


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
    if access.VIEW not in access.rights_in(request.user, pipeline):
        return go(request, "pipelines")
    return go(request, "pipeline-settings", pipeline.name, fragment="owner")


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


# --- stages -----------------------------------------------------------------------------------------------------------------


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
        name = _as_name(form.value("stage"))
        return actions.add_stage(pipeline, name, word=form.value("word"), after=after, by=request.user)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def stage(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """What can be changed of a stage; and its name, the word that scripts know it by, its defaults and its rules
    changed: all that was sent, or nothing when one of them is turned down."""
    if request.method != "POST":
        return _opened(request, name, stage_name)
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    found = _stage(pipeline, stage_name)
    form = Form(request, formation="", people="")
    changed = form.attempt(lambda: _change_stage(request, found, form))
    if changed is None:
        named = set(request.POST.getlist("people"))
        return _page(request, pipeline, form, opened=stage_name, sent=_lines(request), named=named)
    messages.success(request, f"{changed.title} is saved.")
    return go(request, "pipeline-settings", pipeline.name, fragment=f"stage-{changed.name}")


def _opened(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """The form alone for htmx, on the page for everybody else."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    access.demand(rights, access.MANAGE, what="pipeline", resource="pipeline", name=pipeline.name)
    if not request.htmx:
        return _page(request, pipeline, Form(), rights=rights, opened=stage_name)
    context = stage_panels.stage_context(pipeline, _stage(pipeline, stage_name).name)
    return render(request, "pipelines/_stage_open.html", context)


@transaction.atomic
def _change_stage(request: PageRequest, stage: Stage, form: Form) -> Stage:
    if "promoters" in request.POST:
        people, readers = request.POST.getlist("people"), form.value("readers")
        promoters = form.value("promoters")
        stage = stages.set_rules(stage, promoters=promoters, people=people, readers=readers, by=request.user)
    if "source" in request.POST:
        stage = stages.set_origin(stage, form.value("source"), by=request.user)
    if "health_path" in request.POST:
        stage = stages.set_defaults(
            stage,
            buildpacks=form.value("buildpacks").split(),
            health_path=form.value("health_path"),
            formation=_formation(_lines(request)),
            addons=form.value("addons").split(),
            build_command=form.value("build_command"),
            stack=form.value("stack"),
            by=request.user,
        )
    name, word = _as_name(form.value("stage")), form.value("word")
    try:
        return actions.change_stage(stage, name=name or None, word=word or None, by=request.user)
    except Refusal as refusal:
        refusal.fields = {"word" if "word" in refusal.fields else "stage": refusal.message}
        raise


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
def order_stages(request: PageRequest, name: str) -> HttpResponse:
    """Put all stages into the order that they were dragged into."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    order = [part[:60] for part in request.POST.getlist("stage")]
    form = Form()
    if form.attempt(lambda: actions.order_stages(pipeline, order, by=request.user) or True) is None:
        return _page(request, pipeline, form)
    return go(request, "pipeline-settings", pipeline.name, fragment="stages")


@require_POST
@login_required
def remove_stage(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """Take an empty stage away."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    actions.remove_stage(_stage(pipeline, stage_name), by=request.user)
    return go(request, "pipeline-settings", pipeline.name)


# --- config vars --------------------------------------------------------------------------------------------------------------


@sensitive_post_parameters()
@require_POST
@login_required
def save_var(request: PageRequest, name: str, stage_name: str) -> HttpResponse:
    """Set a config var that the apps of a stage inherit. A value that is turned down is not given back."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    stage = _stage(pipeline, stage_name)
    form = Form(request, key="")
    value = request.POST.get("value", "").replace("\r\n", "\n")
    if form.attempt(lambda: _save_var(request, stage, form.value("key"), value)) is None:
        return _page(request, pipeline, form, opened=stage_name)
    messages.success(request, f"The apps of {stage.title} inherit {form.value('key')} now.")
    return go(request, "pipeline-settings", pipeline.name, query=f"open={stage.name}", fragment=_vars(stage))


def _save_var(request: PageRequest, stage: Stage, key: str, value: str) -> bool:
    try:
        layers.set_vars(stage, {key: value}, by=request.user)
    except Refusal as refusal:
        refusal.fields = {"key": refusal.message}
        raise
    return True


@require_POST
@login_required
def reveal_var(request: PageRequest, name: str, stage_name: str, key: str) -> HttpResponse:
    """Show one value, and note that it was looked at."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    value = layers.reveal(_stage(pipeline, stage_name), key, by=request.user)
    return _page(request, pipeline, Form(), opened=stage_name, shown=(key, value))


@require_POST
@login_required
def remove_var(request: PageRequest, name: str, stage_name: str, key: str) -> HttpResponse:
    """Take a config var away from a stage, and from the apps that inherit it."""
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    stage = _stage(pipeline, stage_name)
    if not stage.config_vars.filter(key=key).exists():
        raise NotFound(f"{stage.title} has no config var {key[:80]}.", resource="config_var")
    layers.set_vars(stage, {key: None}, by=request.user)
    messages.success(request, f"{key} is gone from {stage.title}, and from the apps that inherited it.")
    return go(request, "pipeline-settings", pipeline.name, query=f"open={stage.name}", fragment=_vars(stage))


def _vars(stage: Stage) -> str:
    return f"vars-{stage.name}"


def _lines(request: PageRequest) -> list[Line]:
    """The formation as it was typed; rows without a type are no rows."""
    columns = [request.POST.getlist(key) for key in ("f-type", "f-quantity", "f-size")]
    rows = [Line(*(text.strip()[:200] for text in row)) for row in zip(*columns, strict=False)]
    return [row for row in rows if row.type]


def _formation(lines: list[Line]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        if not (line.quantity.isascii() and line.quantity.isdecimal() and len(line.quantity) < 6):
            text = f"How many {line.type[:40]} dynos? Give a number."
            raise Refusal(text, fields={"formation": text})
        if line.type in found:
            text = f"{line.type[:40]} is there twice."
            raise Refusal(text, fields={"formation": text})
        found[line.type] = {"quantity": int(line.quantity), "size": line.size}
    return found


def _as_name(text: str) -> str:
    """“Security review” is stored as `security-review`."""
    return "-".join(text.lower().split())[:60]


def _stage(pipeline: Pipeline, name: str) -> Stage:
    stage = Stage.objects.filter(pipeline=pipeline, name=name).first()
    if stage is None:
        raise NotFound("Couldn't find that stage.", resource="stage")
    return stage


def _page(
    request: PageRequest,
    pipeline: Pipeline,
    form: Form,
    *,
    rights: frozenset[str] | None = None,
    opened: str = "",
    **shown: Any,
) -> HttpResponse:
    rights = access.rights_in(request.user, pipeline) if rights is None else rights
    asked = {key: request.GET.get(key, "")[:60] for key in ("open", "after")}
    context = stage_panels.settings_context(
        pipeline,
        request.user,
        rights,
        form,
        after=asked["after"],
        opened=opened or asked["open"],
        **shown,
    )
    if opened and not any(panel.opened for panel in context["panels"]):
        raise NotFound("Couldn't find that stage.", resource="stage")
    if access.MANAGE in rights and not opened and not asked["open"]:
        context["offered"] = offered(pipeline)
    return render(request, "pipelines/settings.html", context, status=form.status)
