"""The repository of a pipeline: connected, changed, left; its hooks, and what each caused."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.errors import NotFound
from dashboard import repository_panel
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from forge import actions
from forge.models import Repository
from pipelines import access
from pipelines.models import Pipeline


@sensitive_post_parameters("token")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def repository(request: PageRequest, name: str) -> HttpResponse:
    """Where the code is; and a repository connected. A token that is turned down is not given back."""
    if request.method != "POST":
        pipeline, rights = access.pipeline_and_rights(request.user, name)
        return _page(request, pipeline, Form(), rights=rights)
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    form = Form(request, url="", host="", default_branch="", token="")
    made = form.attempt(
        lambda: actions.connect(
            pipeline,
            form.value("url"),
            host=form.value("host"),
            token=form.value("token"),
            default_branch=form.value("default_branch"),
            polls=bool(form.value("polls")),
            by=request.user,
        )
    )
    if made is None:
        return _page(request, pipeline, form)
    return _page(request, pipeline, Form(), secret=made[1])


@sensitive_post_parameters("token")
@require_POST
@login_required
def change(request: PageRequest, name: str) -> HttpResponse:
    """Change the token, the default branch, and whether it is looked at without hooks."""
    pipeline, row = _managed(request, name)
    form = Form(request, default_branch="", token="", polls="")
    given = form.value("token")
    token = "" if form.value("forget") else given or None
    changed = form.attempt(
        lambda: actions.change(
            row,
            token=token,
            default_branch=form.value("default_branch"),
            polls=bool(form.value("polls")),
            by=request.user,
        )
    )
    if changed is None:
        return _page(request, pipeline, form)
    messages.success(request, f"{changed.full_name} is saved.")
    return go(request, "repository", pipeline.name)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def disconnect(request: PageRequest, name: str) -> HttpResponse:
    """Say what goes, then leave the repository."""
    pipeline, row = _managed(request, name)
    if request.method == "POST":
        left = actions.disconnect(row, by=request.user)
        messages.success(request, f"{row.full_name} is disconnected. Apps keep running. {left}".strip())
        return go(request, "repository", pipeline.name)
    shown = {"pipeline": pipeline, "tab": "settings", "repository": row}
    return page_or_dialog(request, "pipelines/repository_removal.html", shown)


@require_POST
@login_required
def renew_secret(request: PageRequest, name: str) -> HttpResponse:
    """Another secret, which the answer shows this once."""
    pipeline, row = _managed(request, name)
    return _page(request, pipeline, Form(), secret=actions.renew_secret(row, by=request.user))


@require_POST
@login_required
def turn_hooks_off(request: PageRequest, name: str) -> HttpResponse:
    """Take no hooks any more."""
    pipeline, row = _managed(request, name)
    left = actions.turn_hooks_off(row, by=request.user)
    messages.success(request, f"Hooks are off. A new secret turns them on. {left}".strip())
    return go(request, "repository", pipeline.name, fragment="hooks")


@require_POST
@login_required
def make_hook(request: PageRequest, name: str) -> HttpResponse:
    """Have the host's API add the hook."""
    pipeline, row = _managed(request, name)
    form = Form(request)
    if form.attempt(lambda: actions.make_hook(row, by=request.user)) is None:
        return _page(request, pipeline, form)
    messages.success(request, f"{row.get_host_display()} sends hooks from now on.")
    return go(request, "repository", pipeline.name, fragment="hooks")


@require_safe
@login_required
def receipts(request: PageRequest, name: str) -> HttpResponse:
    """The hooks that came, and what each caused."""
    pipeline, rights = access.pipeline_and_rights(request.user, name)
    shown = repository_panel.receipts(pipeline, rights, request.GET.get("page", ""))
    template = "pipelines/_receipts.html" if request.htmx else "pipelines/receipts.html"
    return render(request, template, shown)


def _managed(request: PageRequest, name: str) -> tuple[Pipeline, Repository]:
    pipeline = access.pipeline_for(request.user, name, to=access.MANAGE)
    row = Repository.objects.select_related("pipeline").filter(pipeline=pipeline).first()
    if row is None:
        raise NotFound(f"{pipeline.name} is connected to no repository.", resource="repository")
    return pipeline, row


def _page(
    request: PageRequest,
    pipeline: Pipeline,
    form: Form,
    *,
    rights: frozenset[str] | None = None,
    secret: str = "",
) -> HttpResponse:
    rights = access.rights_in(request.user, pipeline) if rights is None else rights
    context = repository_panel.context(pipeline, rights, form, secret=secret)
    return render(request, "pipelines/repository.html", context, status=form.status)
