"""A person's own account: name and password."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST, require_safe

from accounts import actions
from dashboard.answers import see
from dashboard.app_forms import PasswordForm, ProfileForm, read
from dashboard.http import PageRequest


@require_safe
@login_required
def account(request: PageRequest) -> HttpResponse:
    """The forms."""
    return render(request, "account/account.html", {"tab": "account"})


@require_POST
@login_required
def rename(request: PageRequest) -> HttpResponse:
    """Change how the person is called."""
    actions.rename_user(request.user, read(ProfileForm(request.POST))["name"], by=request.user)
    messages.success(request, "Your name is changed.")
    return see("account")


@require_POST
@login_required
def password(request: PageRequest) -> HttpResponse:
    """Change the password. Every other session of the person ends with it; this one goes on."""
    asked = read(PasswordForm(request.POST))
    actions.change_password(request.user, old=asked["old"], new=asked["new"], by=request.user)
    update_session_auth_hash(request, request.user)
    messages.success(request, "Your password is changed. Other browsers are signed out.")
    return see("account")
