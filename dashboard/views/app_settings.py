"""What an app is called, how it is built and checked, where it answers, whose it is."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access as account_access
from apps import access, actions, sleep, stacks, transfers
from apps.models import App
from core.errors import Conflict
from dashboard import panels
from dashboard.app_forms import MaintenanceForm, SleepForm, read
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from dashboard.words import span


@require_safe
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Everything that can be set; who may not manage the app sees it read-only."""
    return _page(request, access.app_for(request.user, name), Form())


@require_POST
@login_required
def rename(request: PageRequest, name: str) -> HttpResponse:
    """Give the app another name."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, name=app.name)
    return _do(
        request,
        app,
        form,
        lambda: actions.rename_app(app, form.value("name"), by=request.user),
        lambda _: (
            f"It is {app.name} now. Point each clone at the new address: "
            f"git remote set-url slipway {app.git_url}"
        ),
        "name",
    )


@require_POST
@login_required
def choose_stack(request: PageRequest, name: str) -> HttpResponse:
    """Choose what the next build is for: a stack for slugs, or for images."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, stack=app.stack)
    return _do(
        request,
        app,
        form,
        lambda: stacks.set_stack(app, form.value("stack"), by=request.user),
        lambda _: f"The next build is for the stack {app.stack}.",
        "stack",
    )


@require_POST
@login_required
def add_buildpack(request: PageRequest, name: str) -> HttpResponse:
    """Have one more buildpack run, after the others, from the next build on."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, buildpack="")
    wanted = [*app.buildpacks, form.value("buildpack")]
    return _do(
        request,
        app,
        form,
        lambda: _about("buildpack", form, lambda: actions.set_buildpacks(app, wanted, by=request.user)),
        lambda _: "The next build uses these buildpacks.",
        "build",
    )


@require_POST
@login_required
def move_buildpack(request: PageRequest, name: str, place: int) -> HttpResponse:
    """Have a buildpack run one place earlier, or later (`to` is up or down)."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    wanted = _without(app, place, request.POST.get("buildpack", ""))
    at = place - 1 if request.POST.get("to") == "up" else place + 1
    wanted.insert(max(at, 0), app.buildpacks[place])
    actions.set_buildpacks(app, wanted, by=request.user)
    return go(request, "app-settings", app.name, fragment="build")


@require_POST
@login_required
def remove_buildpack(request: PageRequest, name: str, place: int) -> HttpResponse:
    """Leave a buildpack out from the next build on."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    wanted = _without(app, place, request.POST.get("buildpack", ""))
    actions.set_buildpacks(app, wanted, by=request.user)
    return go(request, "app-settings", app.name, fragment="build")


@require_POST
@login_required
def build_command(request: PageRequest, name: str) -> HttpResponse:
    """Choose what runs after the buildpacks, from the next build on."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, build_command=app.build_command)
    command = form.value("build_command")
    return _do(
        request,
        app,
        form,
        lambda: actions.set_build_command(app, command, by=request.user),
        lambda _: (
            f"The next build runs {command}." if command else "The next build ends with its buildpacks."
        ),
        "build",
    )


@require_POST
@login_required
def health(request: PageRequest, name: str) -> HttpResponse:
    """Choose the path that a new web dyno has to answer on."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, health_path=app.health_path)
    path = form.value("health_path")
    said = (
        f"New web dynos must answer {path} below 400 before they get traffic."
        if path
        else "An open port is enough for new web dynos."
    )
    return _do(
        request,
        app,
        form,
        lambda: actions.set_health_path(app, path, by=request.user),
        lambda _: said,
        "health",
    )


@require_POST
@login_required
def maintenance(request: PageRequest, name: str) -> HttpResponse:
    """Show visitors the maintenance page, or the app again."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    on = read(MaintenanceForm(request.POST))["on"]
    actions.set_maintenance(app, on, by=request.user)
    messages.success(request, f"Visitors see {'the maintenance page' if on else 'the app again'}.")
    return go(request, "app-settings", app.name, fragment="maintenance")


@require_POST
@login_required
def sleeping(request: PageRequest, name: str) -> HttpResponse:
    """Choose after how long without a request the app sleeps."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, minutes=app.sleep_minutes)

    def choose() -> App:
        return sleep.set_sleep(app, read(SleepForm(request.POST))["minutes"], by=request.user)

    def said(app: App) -> str:
        return (
            f"{app.name} sleeps after {span(app.sleep_minutes)} without a request."
            if app.sleep_minutes
            else f"{app.name} stays awake."
        )

    return _do(request, app, form, choose, said, "sleep")


@require_POST
@login_required
def wake(request: PageRequest, name: str) -> HttpResponse:
    """Start the dynos of an app that sleeps."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    woken = sleep.wake(app, by=request.user)
    messages.success(request, f"{app.name} {'is starting' if woken else 'is awake already'}.")
    return go(request, "app-settings", app.name, fragment="sleep")


@require_POST
@login_required
def add_domain(request: PageRequest, name: str) -> HttpResponse:
    """Have a host name reach the app."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, hostname="")
    return _do(
        request,
        app,
        form,
        lambda: actions.add_domain(app, form.value("hostname"), by=request.user),
        lambda domain: f"{domain} reaches {app.name} once its DNS points here.",
        "domains",
    )


@require_POST
@login_required
def remove_domain(request: PageRequest, name: str, domain_id: uuid.UUID) -> HttpResponse:
    """Stop answering for a host name."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    domain = get_object_or_404(app.domains, pk=domain_id)
    actions.remove_domain(domain, by=request.user)
    messages.success(request, f"{domain.hostname} does not reach {app.name} any more.")
    return go(request, "app-settings", app.name, fragment="domains")


@require_POST
@login_required
def transfer(request: PageRequest, name: str) -> HttpResponse:
    """Hand the app to a team of one's own, or offer it to another person."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, owner="")
    return _do(
        request, app, form, lambda: _hand_over(app, form.value("owner"), request), lambda said: said, "owner"
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: PageRequest, name: str) -> HttpResponse:
    """Ask for the name, then take the app away."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    form = Form(request, confirm="")
    if request.method == "POST":
        form.attempt(lambda: actions.destroy_app(app, confirm=form.value("confirm"), by=request.user))
        if form.status == 200:
            messages.success(request, f"{app.name} is destroyed.")
            return go(request, "apps")
    context = {**panels.frame(app, request.user, "settings"), "form": form}
    return page_or_dialog(request, "apps/destroy.html", context, status=form.status)


def _do(
    request: PageRequest,
    app: App,
    form: Form,
    action: Callable[[], Any],
    said: Callable[[Any], str],
    section: str,
) -> HttpResponse:
    """Do it and go back to the section it belongs to, or show what was wrong beside what was typed."""
    made = form.attempt(action)
    if form.status != 200:
        return _page(request, app, form)
    messages.success(request, said(made))
    if access.VIEW not in access.rights_in(request.user, app):
        return go(request, "apps")
    return go(request, "app-settings", app.name, fragment=section)


def _about(field: str, form: Form, action: Callable[[], Any]) -> Any:
    with form.naming(field):
        return action()


def _hand_over(app: App, text: str, request: PageRequest) -> str:
    owner = account_access.new_owner(request.user, text)
    if transfers.hand_over(app, owner, by=request.user):
        return f"{app.name} is offered to {owner}. It stays as it is until they accept."
    return f"{app.name} belongs to {owner} now."


def _without(app: App, place: int, buildpack: str) -> list[str]:
    """The app's buildpacks but for the one at `place`, if it still is the one that was seen there."""
    if place >= len(app.buildpacks) or app.buildpacks[place] != buildpack:
        raise Conflict("Someone has changed the buildpacks meanwhile. Load the page again.")
    return [*app.buildpacks[:place], *app.buildpacks[place + 1 :]]


def _page(request: PageRequest, app: App, form: Form) -> HttpResponse:
    app.refresh_from_db(
        fields=["name", "buildpacks", "build_command", "health_path", "sleep_minutes", "stack"]
    )
    context = {**panels.settings_of(app, request.user), "form": form}
    return render(request, "apps/settings.html", context, status=form.status)
