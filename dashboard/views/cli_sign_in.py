"""Where `heroku login` sends its person: was it you?"""

from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import cli_sign_in
from core.middleware import client_address
from dashboard.http import PageRequest


@never_cache
@require_safe
@login_required
def show(request: PageRequest, ref: UUID) -> HttpResponse:
    """Say which CLI asks, and from where."""
    question = cli_sign_in.waiting(ref)
    context = {"question": question, "same_place": question.address == (client_address(request) or "")}
    return render(request, "accounts/cli_sign_in.html", context)


@require_POST
@login_required
@reauthentication_required
def approve(request: PageRequest, ref: UUID) -> HttpResponse:
    """Let it in."""
    cli_sign_in.approve(cli_sign_in.waiting(ref), by=request.user)
    return render(request, "accounts/cli_signed_in.html", {"let_in": True})


@require_POST
@login_required
def refuse(request: PageRequest, ref: UUID) -> HttpResponse:
    """Turn it away."""
    cli_sign_in.refuse(cli_sign_in.waiting(ref))
    return render(request, "accounts/cli_signed_in.html", {"let_in": False})
