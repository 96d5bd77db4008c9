"""What is offered from one person to another: accepted or declined by the one, withdrawn by the other."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Transfer
from apps import access as app_access
from apps.models import App
from dashboard.http import PageRequest, go
from pipelines import access, transfers
from pipelines.models import Pipeline


@require_safe
@login_required
def index(request: PageRequest) -> HttpResponse:
    """What waits for the viewer's word, and what they offered to others."""
    context = {
        "tab": "pipelines",
        "waiting": transfers.waiting_for(request.user),
        "offered": transfers.offered_by(request.user),
    }
    return render(request, "transfers/index.html", context)


@require_POST
@login_required
def accept(request: PageRequest, transfer_id: uuid.UUID) -> HttpResponse:
    """Take what is offered."""
    transfer = transfers.transfer_for(request.user, transfer_id)
    transfers.accept(transfer, by=request.user)
    messages.success(request, f"{transfer.thing} is yours now.")
    page = "board" if isinstance(transfer.thing, Pipeline) else "app"
    return go(request, page, str(transfer.thing))


@require_POST
@login_required
def decline(request: PageRequest, transfer_id: uuid.UUID) -> HttpResponse:
    """Leave what is offered where it is."""
    transfer = transfers.transfer_for(request.user, transfer_id)
    transfers.decline(transfer, by=request.user)
    messages.success(request, f"{transfer.thing} stays with {transfer.owner.get_full_name()}.")
    return go(request, "pipelines")


@require_POST
@login_required
def withdraw(request: PageRequest, transfer_id: uuid.UUID) -> HttpResponse:
    """Take an offer back."""
    transfer = transfers.transfer_for(request.user, transfer_id)
    transfers.withdraw(transfer, by=request.user)
    messages.success(
        request, f"{transfer.thing} is no longer offered to {transfer.recipient.get_full_name()}."
    )
    return _back(request, transfer)


def _back(request: PageRequest, transfer: Transfer) -> HttpResponse:
    """To the settings of the thing, for who still sees them."""
    thing = transfer.thing
    if isinstance(thing, App) and app_access.VIEW in app_access.rights_in(request.user, thing):
        return go(request, "app-settings", thing.name)
    if isinstance(thing, Pipeline) and access.VIEW in access.rights_in(request.user, thing):
        return go(request, "pipeline-settings", thing.name)
    return go(request, "transfers")
