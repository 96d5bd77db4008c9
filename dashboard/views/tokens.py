"""API tokens: made here, shown once, listed by their last characters."""

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from accounts import actions
from accounts.models import ApiToken
from dashboard.answers import see
from dashboard.app_forms import TokenForm, read
from dashboard.http import PageRequest


@require_safe
@login_required
def tokens(request: PageRequest) -> HttpResponse:
    """The viewer's tokens that still work."""
    return _page(request)


@require_POST
@login_required
def create(request: PageRequest) -> HttpResponse:
    """Make a token. The answer is the only place where its secret ever stands."""
    form = TokenForm(request.POST)
    asked = read(form)
    token, secret = actions.create_token(
        request.user, asked["description"], by=request.user, expires_at=form.expires_at()
    )
    return _page(request, made=token, secret=secret)


@require_POST
@login_required
def revoke(request: PageRequest, token_id: uuid.UUID) -> HttpResponse:
    """End a token, at once."""
    token = get_object_or_404(ApiToken, user=request.user, pk=token_id)
    actions.revoke_token(token, by=request.user)
    return see("tokens")


def _page(request: PageRequest, **made: object) -> HttpResponse:
    rows = ApiToken.objects.valid().filter(user=request.user)
    return render(request, "accounts/tokens.html", {"tab": "tokens", "rows": rows, **made})
