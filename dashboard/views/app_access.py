"""Who may do what with an app."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from apps import access as app_access
from apps import actions
from apps.models import App, Collaborator
from core.errors import Refusal
from dashboard import panels
from dashboard.app_forms import RightsForm, ShareForm, read
from dashboard.http import PageRequest, go


@require_safe
@login_required
def access(request: PageRequest, name: str) -> HttpResponse:
    """The owner, the team's people and collaborators, each with their rights."""
    app = app_access.app_for(request.user, name)
    return render(request, "apps/access.html", panels.people(app, request.user))


@require_POST
@login_required
def share(request: PageRequest, name: str) -> HttpResponse:
    """Give a person rights in the app."""
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    asked = read(ShareForm(request.POST))
    user = User.objects.filter(email__iexact=asked["email"], is_active=True).first()
    if user is None:
        raise Refusal(
            f"Nobody here has the address {asked['email']}.", fields={"email": "Nobody has this address."}
        )
    actions.share(app, user, asked["rights"], by=request.user)
    return go(request, "app-access", app.name)


@require_POST
@login_required
def change(request: PageRequest, name: str, collaborator_id: uuid.UUID) -> HttpResponse:
    """Change what a collaborator may do."""
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    collaborator = _collaborator(app, collaborator_id)
    asked = read(RightsForm(request.POST))
    actions.share(app, collaborator.user, asked["rights"], by=request.user)
    return go(request, "app-access", app.name)


@require_POST
@login_required
def unshare(request: PageRequest, name: str, collaborator_id: uuid.UUID) -> HttpResponse:
    """Take a collaborator's rights away."""
    app = app_access.app_for(request.user, name, to=app_access.MANAGE)
    actions.unshare(_collaborator(app, collaborator_id), by=request.user)
    return go(request, "app-access", app.name)


def _collaborator(app: App, collaborator_id: uuid.UUID) -> Collaborator:
    return get_object_or_404(Collaborator.objects.select_related("user", "app"), app=app, pk=collaborator_id)
