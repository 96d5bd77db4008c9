"""The ledger of releases: the list, one of them, two compared, and the way back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access
from apps.models import App
from core.errors import NotFound, Refusal
from dashboard import ledger, panels, story
from dashboard.app_forms import RollbackForm, read
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from releases import actions
from releases.models import Release

PER_PAGE = 25


@require_safe
@login_required
def index(request: PageRequest, name: str) -> HttpResponse:
    """Every release, newest first; htmx gets the list."""
    app = access.app_for(request.user, name)
    page = Paginator(panels.releases(app), PER_PAGE).get_page(request.GET.get("page"))
    context = {**panels.frame(app, request.user, "releases"), "page": page}
    return render(request, "releases/_list.html" if request.htmx else "releases/index.html", context)


@require_safe
@login_required
def show(request: PageRequest, name: str, version: int) -> HttpResponse:
    """A release, the build it came from, and their output; htmx gets the part that changes."""
    app = access.app_for(request.user, name)
    release = _release(app, version)
    template = "releases/_status.html" if request.htmx else "releases/show.html"
    return render(request, template, story.of_release(release, request.user))


@require_safe
@login_required
def compare(request: PageRequest, name: str) -> HttpResponse:
    """What is different in `?head=` from `?base=`: commits, names of config vars, process types, add-ons."""
    app = access.app_for(request.user, name)
    form = Form(base=request.GET.get("base", ""), head=request.GET.get("head", ""))
    return render(request, "releases/compare.html", ledger.comparing(app, request.user, form))


@require_safe
@login_required
def new_rollback(request: PageRequest, name: str) -> HttpResponse:
    """What a rollback to `?to=`, or to the release before the current one, will do, and the form for it."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = request.GET.get("to", "")
    target = ledger.release_called(app, asked) if asked else ledger.previous(app)
    if target is None and not asked:
        messages.info(request, f"{app.name} has no earlier release to go back to.")
        return go(request, "app-releases", app.name)
    if target is None:
        raise NotFound("There is no release to roll back to.", resource="release")
    return _plan(request, app, target, Form(note=""))


@require_POST
@login_required
def rollback(request: PageRequest, name: str) -> HttpResponse:
    """Make a new release with the code and config of an older one."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    form = Form(request, version="", seen="", note="")
    target = ledger.release_called(app, form.value("version"))
    if target is None:
        raise Refusal(f"{app.name} has no such release to roll back to.")
    release = form.attempt(lambda: _roll_back(request, app, target))
    if release is None:
        return _plan(request, app, target, form)
    messages.success(request, f"v{release.version} takes {app.name} back to v{target.version}.")
    return go(request, "release", app.name, release.version)


def _roll_back(request: PageRequest, app: App, target: Release) -> Release:
    asked = read(RollbackForm(request.POST))
    return actions.rollback(app, target, by=request.user, note=asked["note"], seen=asked["seen"])


def _plan(request: PageRequest, app: App, target: Release, form: Form) -> HttpResponse:
    context = ledger.rolling_back(app, request.user, target, form)
    return page_or_dialog(request, "releases/rollback.html", context, status=form.status)


def _release(app: App, version: int) -> Release:
    return get_object_or_404(panels.releases(app), version=version)
