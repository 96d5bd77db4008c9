"""The ledger of releases: the list, one of them, two compared, and the way back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from apps import access
from apps.models import App
from core.errors import NotFound
from dashboard import panels, story
from dashboard.app_forms import RollbackForm, read
from dashboard.http import PageRequest, go, page_or_dialog
from releases import actions, comparison
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
    base, head = (_asked(app, request.GET.get(key, "")) for key in ("base", "head"))
    head = head or Release.objects.current_for(app)
    context = {
        **panels.frame(app, request.user, "releases"),
        "base": base,
        "head": head,
        "difference": comparison.compare(base, head) if base and head else None,
        "commits": comparison.commits(base, head) if base and head else [],
        "choices": panels.releases(app)[:100],
    }
    return render(request, "releases/compare.html", context)


@require_safe
@login_required
def new_rollback(request: PageRequest, name: str) -> HttpResponse:
    """What a rollback to `?to=` will do, and the form for it."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    target, current = _asked(app, request.GET.get("to", "")), Release.objects.current_for(app)
    if target is None:
        raise NotFound("Couldn't find that release.", resource="release")
    context = {
        **panels.frame(app, request.user, "releases"),
        **panels.consequences(app),
        "target": target,
        "difference": comparison.compare(current, target) if current else None,
    }
    return page_or_dialog(request, "releases/rollback.html", context)


@require_POST
@login_required
def rollback(request: PageRequest, name: str) -> HttpResponse:
    """Make a new release with the code and config of an older one."""
    app = access.app_for(request.user, name, to=access.DEPLOY)
    asked = read(RollbackForm(request.POST))
    target = _release(app, asked["version"])
    release = actions.rollback(app, target, by=request.user, note=asked["note"])
    messages.success(request, f"v{release.version} takes {app.name} back to v{target.version}.")
    return go(request, "release", app.name, release.version)


def _release(app: App, version: int) -> Release:
    return get_object_or_404(panels.releases(app), version=version)


def _asked(app: App, text: str) -> Release | None:
    """The release that a query string names, if it names one."""
    number = text.removeprefix("v")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        return None
    return panels.releases(app).filter(version=int(number)).first()
