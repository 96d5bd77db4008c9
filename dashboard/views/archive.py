"""The archive of an app's log: searching in it, and the searches that are saved."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from addons import archives
from addons.models import Addon
from apps import access
from apps.models import App
from core.errors import NotFound
from dashboard import archive_page
from dashboard.forms import Form
from dashboard.http import PageRequest, go


@require_safe
@login_required
def search(request: PageRequest, name: str) -> HttpResponse:
    """A page of the lines that match, or how to get an archive."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    asked = archive_page.Asked.of(request.GET)
    context = archive_page.page(app, request.user, asked)
    return render(request, "archive/archive.html", context)


@require_POST
@login_required
def save(request: PageRequest, name: str) -> HttpResponse:
    """Keep a search by a name; what is refused comes back as it was typed."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    archive, asked, form = _archive(app), archive_page.Asked.of(request.POST), Form(request, name="")
    made = form.attempt(
        lambda: archives.save_search(
            archive, form.value("name"), by=request.user, **archive_page.parts_of(asked)
        )
    )
    if made is None:
        context = archive_page.page(app, request.user, asked, form)
        return render(request, "archive/archive.html", context, status=form.status)
    messages.success(request, f"{made.name} is saved.")
    return go(request, "log-archive", app.name, query=archive_page.Asked.again(made).address())


@require_POST
@login_required
def forget(request: PageRequest, name: str, search_id: UUID) -> HttpResponse:
    """Remove a saved search."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    found = _archive(app).searches.select_related("addon__app").filter(pk=search_id).first()
    if found is None:
        raise NotFound("Couldn't find that search.", resource="search")
    archives.forget_search(found, by=request.user)
    messages.success(request, f"{found.name} is removed.")
    return go(request, "log-archive", app.name)


def _archive(app: App) -> Addon:
    found = archives.archive_of(app)
    if found is None:
        raise NotFound(f"{app.name} has no log archive.", resource="add_on")
    return found
