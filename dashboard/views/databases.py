"""The page of a database or a key-value store, and what is done there."""

import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from addons import access, databases
from addons.models import Addon, Transfer
from addons.transfers import POSTGRESQL, REDIS
from apps import access as app_access
from apps.models import App
from core.errors import NotFound, Refusal
from dashboard import database_panels
from dashboard.answers import SeeOther
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines import databases as door
from pipelines.downloads import link_to


@require_safe
@login_required
def show(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """How it is; htmx gets the part that changes."""
    app, found = _seen(request, name, addon)
    template = "databases/_database.html" if request.htmx else "databases/database.html"
    return render(request, template, database_panels.of_database(app, request.user, found))


@require_POST
@login_required
def capture(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have a backup made."""
    app, found = _entered(request, name, addon)
    databases.capture(found, by=request.user)
    return _back(request, app, found)


@require_POST
@login_required
def delete(request: PageRequest, name: str, addon: str, move_id: uuid.UUID) -> HttpResponse:
    """Delete a backup."""
    app, found = _entered(request, name, addon, to=door.OPERATE)
    row = _move(found, move_id)
    databases.delete(row, by=request.user)
    messages.success(request, f"{row} is deleted.")
    return _back(request, app, found)


@require_POST
@login_required
def cancel(request: PageRequest, name: str, addon: str, move_id: uuid.UUID) -> HttpResponse:
    """Have a backup, restore or copy end where it is."""
    app, found = _entered(request, name, addon)
    databases.cancel(_move(found, move_id), by=request.user)
    return _back(request, app, found)


@require_POST
@login_required
def link(request: PageRequest, name: str, addon: str, move_id: uuid.UUID) -> HttpResponse:
    """Fetch a backup's file."""
    _, found = _entered(request, name, addon)
    url, _ = link_to(_move(found, move_id), by=request.user)
    return SeeOther(urlsplit(url).path)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def restore(request: PageRequest, name: str, addon: str, move_id: uuid.UUID) -> HttpResponse:
    """Ask for the name; then have the content replaced by a backup's."""
    app, found = _entered(request, name, addon, to=door.OPERATE)
    backup, form = _move(found, move_id), Form(request, confirm="")
    if request.method == "POST":
        made = form.attempt(
            lambda: _confirmed(found, form, lambda: databases.restore(backup, found, by=request.user))
        )
        if made is not None:
            return _back(request, app, found)
    context = database_panels.restoring(app, request.user, backup, found, form)
    return page_or_dialog(request, "databases/restore.html", context, status=form.status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def copy(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Ask from where, with which script, and for the name; then have the content replaced by another database's."""
    app, found = _entered(request, name, addon, to=door.OPERATE)
    form = Form(request, confirm="", source="", script="")
    script = request.POST.get("script", "")
    if request.method == "POST":
        made = form.attempt(lambda: _confirmed(found, form, lambda: _copy(request, form, found, script)))
        if made is not None:
            return _back(request, app, found)
    context = {**database_panels.copying(app, request.user, found, form), "script": script}
    return page_or_dialog(request, "databases/copy.html", context, status=form.status)


def _copy(request: PageRequest, form: Form, target: Addon, script: str) -> Transfer:
    source = door.database_for(request.user, form.value("source"))
    return databases.copy(source, target, script=script, by=request.user)


@require_POST
@login_required
def schedule(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have a backup made every day."""
    app, found = _entered(request, name, addon)
    form = Form(request, hour="", zone="")
    hour = int(form.value("hour")) if form.value("hour").isdecimal() and len(form.value("hour")) < 4 else -1
    made = form.attempt(
        lambda: databases.schedule(
            found, hour=hour, zone=form.value("zone"), name="DATABASE_URL", by=request.user
        )
    )
    if made is None:
        context = database_panels.of_database(app, request.user, found, form)
        return render(request, "databases/database.html", context, status=form.status)
    return _back(request, app, found)


@require_POST
@login_required
def unschedule(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have no more backups made every day."""
    app, found = _entered(request, name, addon)
    databases.unschedule(found, by=request.user)
    return _back(request, app, found)


@require_POST
@login_required
def rotate(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Have a new password made."""
    app, found = _entered(request, name, addon, service="")
    credential = Form(request, credential="").value("credential")
    databases.rotate(found, ["" if credential == "default" else credential], by=request.user)
    messages.success(request, "A new password is made; each app that uses it gets it in a release.")
    return _back(request, app, found)


@require_POST
@login_required
def end_session(request: PageRequest, name: str, addon: str, pid: int) -> HttpResponse:
    """Hang up on one who is in the database."""
    app, found = _entered(request, name, addon)
    ended = databases.end_sessions(found, pid=pid, by=request.user)
    messages.success(request, "The session is ended." if ended else "The session had ended already.")
    return _back(request, app, found)


@require_POST
@login_required
def configure(request: PageRequest, name: str, addon: str) -> HttpResponse:
    """Change how a key-value store behaves."""
    app, found = _entered(request, name, addon, service=REDIS)
    form = Form(request, policy="", timeout="")
    options = {"maxmemory_policy": form.value("policy"), "timeout": form.value("timeout")}
    databases.configure_store(found, options, by=request.user)
    return _back(request, app, found)


# --- parts ------------------------------------------------------------------------------------------------------------


def _seen(request: PageRequest, name: str, addon: str) -> tuple[App, Addon]:
    app = app_access.app_for(request.user, name)
    found = access.addons_of(app).select_related("schedule").filter(name=addon).first()
    if found is None or found.service.name not in database_panels.KINDS:
        raise NotFound(f"Couldn't find that database: {addon}.", resource="add_on")
    if found.app_id == app.pk:
        found.app = app  # whose rights are known already
    return app, found


def _entered(
    request: PageRequest, name: str, addon: str, *, service: str = POSTGRESQL, to: str = door.DEPLOY
) -> tuple[App, Addon]:
    app, found = _seen(request, name, addon)
    return app, door.demand_entry(request.user, found, service=service or found.service.name, to=to)


def _move(addon: Addon, move_id: uuid.UUID) -> Transfer:
    rows = Transfer.objects.listed().filter(source=addon) | Transfer.objects.listed().filter(target=addon)
    row = rows.filter(pk=move_id).select_related("app").first()
    if row is None:
        raise NotFound("Couldn't find that backup.", resource="transfer")
    return row


def _confirmed(addon: Addon, form: Form, action: Callable[[], Transfer]) -> Transfer:
    if form.value("confirm") != addon.name:
        raise Refusal("The name is not right.", fields={"confirm": f"Type {addon.name} to confirm."})
    return action()


def _back(request: PageRequest, app: App, addon: Addon) -> HttpResponse:
    return go(request, "database", app.name, addon.name)
