"""A person's own password."""

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import reauthentication
from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import actions
from accounts.sign_in import WRONG_AGAIN, sign_in
from core.errors import Refusal
from core.middleware import client_address
from dashboard.forms import Form
from dashboard.http import PageRequest, go

LONGEST = 1000


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def password(request: PageRequest) -> HttpResponse:
    """Change it, given the old one; guessing that is as slow as signing in. Every other session of the person ends,
    this one goes on. Who came because they had none to confirm with, with what they were about to do as `next`, goes
    on with that."""
    asked = get_next_redirect_url(request) or ""
    form = Form(request, old="", new="", again="")
    if request.method == "POST" and form.attempt(lambda: _change(request)):
        update_session_auth_hash(request, request.user)
        get_adapter(request).send_notification_mail("account/email/password_changed", request.user)
        messages.success(request, "Your password is changed. Other browsers are signed out.")
        reauthentication.reauthenticate_by_password(request)
        return reauthentication.resume_request(request) or go(request, "account")
    return render(request, "account/password_change.html", {"form": form, "asked": asked}, status=form.status)


def _change(request: PageRequest) -> bool:
    # As they were typed: a password may begin or end with a blank.
    old, new, again = (request.POST.get(name, "")[:LONGEST] for name in ("old", "new", "again"))
    if new != again:
        raise Refusal("These two differ.", fields={"again": "This is not what you typed above."})
    if request.user.has_usable_password():
        _check(request, old)
    actions.change_password(request.user, new, by=request.user)
    return True


def _check(request: PageRequest, old: str) -> None:
    try:
        sign_in(request.user.email, old, address=client_address(request))
    except Refusal as refusal:
        said = refusal.message if refusal.status == 429 else WRONG_AGAIN
        raise Refusal(said, id=refusal.id, status=refusal.status, fields={"old": said}) from refusal
