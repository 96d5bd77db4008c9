"""What an app is called, how it is built and checked, where it answers, whose it is."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import access as account_access
from apps import access, actions
from dashboard import panels
from dashboard.app_forms import (
    BuildpacksForm,
    DomainForm,
    HealthForm,
    MaintenanceForm,
    NameForm,
    OwnerForm,
    read,
)
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog


@require_safe
@login_required
def settings(request: PageRequest, name: str) -> HttpResponse:
    """Everything that can be set; who may not manage the app sees it read-only."""
    app = access.app_for(request.user, name)
    return render(request, "apps/settings.html", panels.settings_of(app, request.user))


@require_POST
@login_required
def rename(request: PageRequest, name: str) -> HttpResponse:
    """Give the app another name."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    actions.rename_app(app, read(NameForm(request.POST))["name"], by=request.user)
    messages.success(request, f"It is {app.name} now, and so are its git address and its host name.")
    return go(request, "app-settings", app.name)


@require_POST
@login_required
def buildpacks(request: PageRequest, name: str) -> HttpResponse:
    """Choose the buildpacks of the next build."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    actions.set_buildpacks(app, read(BuildpacksForm(request.POST))["buildpacks"], by=request.user)
    messages.success(request, "The next build uses these buildpacks.")
    return go(request, "app-settings", app.name)


@require_POST
@login_required
def health(request: PageRequest, name: str) -> HttpResponse:
    """Choose the path that a new web dyno has to answer on."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    actions.set_health_path(app, read(HealthForm(request.POST))["health_path"], by=request.user)
    messages.success(request, "New web dynos are checked this way from now on.")
    return go(request, "app-settings", app.name)


@require_POST
@login_required
def maintenance(request: PageRequest, name: str) -> HttpResponse:
    """Show visitors the maintenance page, or the app again."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    on = read(MaintenanceForm(request.POST))["on"]
    actions.set_maintenance(app, on, by=request.user)
    messages.success(request, f"Visitors see {'the maintenance page' if on else 'the app again'}.")
    return go(request, "app-settings", app.name)


@require_POST
@login_required
def add_domain(request: PageRequest, name: str) -> HttpResponse:
    """Have a host name reach the app."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    actions.add_domain(app, read(DomainForm(request.POST))["hostname"], by=request.user)
    return go(request, "app-settings", app.name)


@require_POST
@login_required
def remove_domain(request: PageRequest, name: str, domain_id: uuid.UUID) -> HttpResponse:
    """Stop answering for a host name."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    actions.remove_domain(get_object_or_404(app.domains, pk=domain_id), by=request.user)
    return go(request, "app-settings", app.name)


@require_POST
@login_required
def transfer(request: PageRequest, name: str) -> HttpResponse:
    """Hand the app to another owner."""
    app = access.app_for(request.user, name, to=access.MANAGE)
    owner = account_access.new_owner(request.user, read(OwnerForm(request.POST))["owner"])
    actions.transfer_app(app, owner, by=request.user)
    messages.success(request, f"{app.name} belongs to {owner} now.")
    still_sees_it = access.VIEW in access.rights_in(request.user, app)
    return go(request, "app-settings", app.name) if still_sees_it else go(request, "apps")


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
