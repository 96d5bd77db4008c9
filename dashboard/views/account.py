"""A person's own account: name and password."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from accounts import actions
from accounts.sign_in import sign_in
from core.middleware import client_address
from dashboard.app_forms import PasswordForm, ProfileForm, read
from dashboard.http import PageRequest, go


@require_safe
@login_required
def account(request: PageRequest) -> HttpResponse:
    """The forms."""
    return render(request, "accounts/profile.html", {"tab": "account"})


@require_POST
@login_required
def rename(request: PageRequest) -> HttpResponse:
    """Change how the person is called."""
    actions.rename_user(request.user, read(ProfileForm(request.POST))["name"], by=request.user)
    messages.success(request, "Your name is changed.")
    return go(request, "account")


@sensitive_post_parameters()
@require_POST
@login_required
def password(request: PageRequest) -> HttpResponse:
    """Change the password, given the old one; guessing that is as slow as signing in. Every other session of the
    person ends with it, this one goes on."""
    asked = read(PasswordForm(request.POST))
    sign_in(request.user.email, asked["old"], address=client_address(request))
    actions.change_password(request.user, asked["new"], by=request.user)
    update_session_auth_hash(request, request.user)
    messages.success(request, "Your password is changed. Other browsers are signed out.")
    return go(request, "account")
