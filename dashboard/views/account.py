"""A person's own account: how they are called, what they prefer, and its end."""

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import actions
from accounts.models import Membership, Team, User
from apps.models import App
from dashboard.forms import Form
from dashboard.http import PageRequest, go, page_or_dialog
from pipelines.models import Pipeline

SHOWN = 20  # of what is listed on a page that has other things to say


@require_safe
@login_required
def account(request: PageRequest) -> HttpResponse:
    """Name, preferences, teams."""
    mine = Membership.objects.filter(user=request.user).select_related("team").order_by("team__name")
    return render(request, "accounts/profile.html", {"memberships": mine[:SHOWN]})


@require_POST
@login_required
def rename(request: PageRequest) -> HttpResponse:
    """Change how the person is called."""
    form = Form(request, name="")
    actions.rename_user(request.user, form.value("name"), by=request.user)
    messages.success(request, "Your name is changed.")
    return go(request, "account")


@require_POST
@login_required
def shortcuts(request: PageRequest) -> HttpResponse:
    """Have single keys do things, or not."""
    on = bool(Form(request).value("on"))
    actions.set_single_keys(request.user, on, by=request.user)
    messages.success(request, f"Shortcuts of a single key are {'on' if on else 'off'}.")
    return go(request, "account")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@reauthentication_required
def delete(request: PageRequest) -> HttpResponse:
    """Say what has to be handed over first; once nothing is left, ask for the address and delete the account."""
    form = Form(request, confirm="")
    if request.method == "POST":
        user, confirm = request.user, form.value("confirm")
        form.attempt(lambda: actions.delete_user(user, confirm=confirm, by=user))
        if form.status == 200:
            logout(request)
            messages.success(request, "Your account is deleted.")
            return go(request, "sign-in")
    context = {**_ties(request.user), "form": form}
    return page_or_dialog(request, "accounts/removal.html", context, status=form.status)


def _ties(user: User) -> dict[str, object]:
    """What an account holds that nobody else could take care of."""
    own = Q(user=user)
    return {
        "apps": App.objects.filter(own)[:SHOWN],
        "pipelines": Pipeline.objects.filter(own)[:SHOWN],
        "teams": Team.objects.led_by_nobody_but(user)[:SHOWN],
    }
