"""Where an invitation leads: to an account if there is none yet, and into the team."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import invitations
from accounts.models import Invitation, Membership, User
from accounts.sign_in import enter
from core.errors import NotFound
from dashboard.answers import see
from dashboard.forms import Form
from dashboard.http import go
from dashboard.team_panels import ROLES


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Say who invites to what; a POST accepts. Whoever is not signed in is asked to, or to make the account."""
    found = invitations.find(secret)
    if found is None:
        return _over(request)
    if request.method == "POST" and isinstance(request.user, User):
        try:
            invitations.accept(secret, by=request.user)
        except NotFound:  # someone was faster
            return _over(request)
        return _welcome(request, found)
    return _page(request, secret, found, Form(name="", password=""))


@sensitive_post_parameters("password")
@never_cache
@require_POST
def sign_up(request: HttpRequest, secret: str) -> HttpResponse:
    """Make the account of the invited address and sign in with it."""
    found = invitations.find(secret)
    if found is None:
        return _over(request)
    if request.user.is_authenticated:
        return see("invitation", secret)
    form = Form(request, name="", password="")
    try:
        user = form.attempt(lambda: _open(request, secret, form))
    except NotFound:  # someone was faster
        return _over(request)
    if user is None:
        return _page(request, secret, found, form)
    enter(request, user, by="password", onward="/")
    return _welcome(request, found)


def _open(request: HttpRequest, secret: str, form: Form) -> User:
    # As it was typed: a password may begin or end with a blank.
    password = request.POST.get("password", "")[:1000]
    return invitations.sign_up(secret, name=form.value("name")[:100], password=password)


def _welcome(request: HttpRequest, found: Invitation) -> HttpResponse:
    messages.success(request, f"You are in {found.team.name} now.")
    return go(request, "team", found.team.name)


def _page(request: HttpRequest, secret: str, found: Invitation, form: Form) -> HttpResponse:
    known = User.objects.filter(email__iexact=found.email).exists()
    is_theirs = request.user.is_authenticated and request.user.email.lower() == found.email
    context = {
        "invitation": found,
        "secret": secret,
        "may": ROLES[Membership.Role(found.role)],
        "known": known,
        "is_theirs": is_theirs,
        "form": form,
    }
    return render(request, "accounts/invitation.html", context, status=form.status)


def _over(request: HttpRequest) -> HttpResponse:
    """One answer whether it was accepted, withdrawn, has run out or never was."""
    return render(request, "accounts/invitation_over.html", status=404)
