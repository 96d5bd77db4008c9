"""Who may do what with an app."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from apps import access as app_access
from apps import actions
from apps.models import App, Collaborator
from core.errors import Refusal
from dashboard import access_panel
from dashboard.app_forms import RightsForm, ShareForm, read
from dashboard.forms import Form
from dashboard.http import PageRequest, go


@require_safe
@login_required
def access(request: PageRequest, name: str) -> HttpResponse:
    """The owner, the team's people and collaborators, each with their rights."""
    return _page(request, app_access.app_for(request.user, name), Form())


@require_POST
@login_required
def share(request: PageRequest, name: str) -> HttpResponse:
    """Give a person rights in the app."""
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    form = Form(request, email="")
    shared = form.attempt(lambda: _share(app, request))
    if shared is None:
        return _page(request, app, form)
    messages.success(request, f"{shared.user.get_full_name()} may {_in_words(shared.rights)} {app.name}.")
    return go(request, "app-access", app.name)


@require_POST
@login_required
def change(request: PageRequest, name: str, collaborator_id: uuid.UUID) -> HttpResponse:
    """Change what a collaborator may do."""
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    collaborator = _collaborator(app, collaborator_id)
    asked = read(RightsForm(request.POST))
    shared = actions.share(app, collaborator.user, asked["rights"], by=request.user)
    name_of = collaborator.user.get_full_name()
    messages.success(request, f"{name_of} may {_in_words(shared.rights)} {app.name} now.")
    return go(request, "app-access", app.name)


@require_POST
@login_required
def unshare(request: PageRequest, name: str, collaborator_id: uuid.UUID) -> HttpResponse:
    """Take a collaborator's rights away."""
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    collaborator = _collaborator(app, collaborator_id)
    actions.unshare(collaborator, by=request.user)
    messages.success(request, f"{app.name} is not shared with {collaborator.user.get_full_name()} any more.")
    if app_access.VIEW not in app_access.rights_in(request.user, app):
        return go(request, "apps")
    return go(request, "app-access", app.name)


@require_POST
@login_required
def lock(request: PageRequest, name: str) -> HttpResponse:
    """Have members of the team who have not joined the app only view it."""
    return _set_locked(request, name, on=True)


@require_POST
@login_required
def unlock(request: PageRequest, name: str) -> HttpResponse:
    """Give all members of the team the rights of their roles again."""
    return _set_locked(request, name, on=False)


def _set_locked(request: PageRequest, name: str, *, on: bool) -> HttpResponse:
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    actions.set_locked(app, on, by=request.user)
    messages.success(request, f"{app.name} is {'locked' if on else 'open to its team'} now.")
    return go(request, "app-access", app.name)


def _collaborator(app: App, collaborator_id: uuid.UUID) -> Collaborator:
    return get_object_or_404(Collaborator.objects.select_related("user", "app"), app=app, pk=collaborator_id)


def _share(app: App, request: PageRequest) -> Collaborator:
    asked = read(ShareForm(request.POST))
    user = User.objects.filter(email__iexact=asked["email"], is_active=True).first()
    if user is None:
        raise Refusal(
            f"Nobody here has the address {asked['email']}. Invite them into a team first.",
            fields={"email": "Nobody here has this address. Invite them into a team first."},
        )
    return actions.share(app, user, asked["rights"], by=request.user)


def _in_words(rights: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(rights[:-1]), rights[-1])))


def _page(request: PageRequest, app: App, form: Form) -> HttpResponse:
    context = {**access_panel.people(app, request.user, request.GET.get("page")), "form": form}
    context["chosen"] = request.POST.getlist("rights") if form.status != 200 else ["deploy"]
    return render(request, "apps/access.html", context, status=form.status)
