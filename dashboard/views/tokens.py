"""API tokens: made here, shown once, listed by their last characters."""

import uuid

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from accounts import actions
from accounts.models import ApiToken
from apps.access import apps_for
from dashboard.answers import see
from dashboard.forms import Form
from dashboard.http import PageRequest

PER_PAGE = 25
DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "Never"))


@require_safe
@login_required
def tokens(request: PageRequest) -> HttpResponse:
    """The viewer's tokens that still work."""
    return _page(request, Form(days="90"))


@require_POST
@login_required
@reauthentication_required
def create(request: PageRequest) -> HttpResponse:
    """Make a token. The answer is the only place where its secret ever stands."""
    form = Form(request, description="", days="")
    made = form.attempt(
        lambda: actions.create_token(
            request.user,
            form.value("description"),
            by=request.user,
            expires_at=actions.token_end(form.value("days")),
        )
    )
    if made is None:
        return _page(request, form)
    token, secret = made
    asked = (
        apps_for(request.user).filter(name=request.POST.get("app", "")).values_list("name", flat=True).first()
    )
    return _page(request, Form(days="90"), secret, app=asked, made=token)


@require_POST
@login_required
def revoke(request: PageRequest, token_id: uuid.UUID) -> HttpResponse:
    """End a token, at once."""
    token = get_object_or_404(ApiToken, user=request.user, pk=token_id)
    actions.revoke_token(token, by=request.user)
    messages.success(request, f"{token} is revoked. What was opened with it closes within seconds.")
    return see("tokens")


def _page(
    request: PageRequest, form: Form, secret: str = "", *, app: str | None = None, **made: object
) -> HttpResponse:
    """`app` is the one that a token was made for; else the commands name the one that changed last."""
    rows = ApiToken.objects.valid().of_people().filter(user=request.user)
    latest = apps_for(request.user).order_by("-updated_at").values_list("name", flat=True)
    context = {
        "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "days": DAYS,
        "form": form,
        "secret": secret,
        "back_to": app,
        **_lines(app or latest.first() or "APP", secret),
        **made,
    }
    return render(request, "accounts/tokens.html", context, status=form.status)


def _lines(app: str, secret: str) -> dict[str, list[str]]:
    """What to type, with the address, an app and the token in place as far as they are known."""
    token = secret or "$TOKEN"
    return {
        "for_git": [f"git remote add slipway {settings.URL}/{app}.git", "git push slipway main"],
        "for_terminal": [f'eval "$(bin/cli-env {token})"', "heroku apps"],
        "for_scripts": [f'curl -H "Authorization: Bearer {token}" {settings.URL}/apps'],
    }
