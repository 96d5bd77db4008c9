"""Programs that act for people: the consent they ask for, what was granted, and programs of one's own."""

import uuid
from urllib.parse import urlsplit

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import actions, oauth
from accounts.models import ApiToken, OAuthClient
from accounts.scopes import SCOPES
from dashboard.answers import SeeOther, see
from dashboard.forms import Form
from dashboard.http import PageRequest

PER_PAGE = 25


# --- consent ----------------------------------------------------------------------------------------------------------


@never_cache
@require_safe
@login_required
def authorize(request: PageRequest) -> HttpResponse:
    """Say which program asks, and for what."""
    asked = oauth.question(request.GET)
    response = render(request, "accounts/consent.html", {"asked": asked})
    # Browsers hold the answer's redirect against the page that the form stood on.
    back = urlsplit(asked.client.redirect_uri)
    response._csp_update = {"form-action": [f"{back.scheme}://{back.netloc}"]}  # type: ignore[attr-defined]
    return response


@require_POST
@login_required
@reauthentication_required
def approve(request: PageRequest) -> HttpResponse:
    """Let it act as the viewer, and send them back to it."""
    asked = oauth.question(request.POST)
    return SeeOther(asked.back(code=oauth.consent(asked, by=request.user)))


@require_POST
@login_required
def refuse(request: PageRequest) -> HttpResponse:
    """Send the viewer back with a no."""
    return SeeOther(oauth.question(request.POST).back(error="access_denied"))


# --- the account's page -----------------------------------------------------------------------------------------------


@require_safe
@login_required
def programs(request: PageRequest) -> HttpResponse:
    """What the viewer has granted to programs, and the programs that they have registered."""
    return _page(request, Form())


@require_POST
@login_required
def revoke(request: PageRequest, token_id: uuid.UUID) -> HttpResponse:
    """Take back what a program was granted, at once."""
    granted = get_object_or_404(ApiToken, user=request.user, pk=token_id, client__isnull=False)
    actions.revoke_token(granted, by=request.user)
    messages.success(request, f"{granted.description} can no longer act as you.")
    return see("programs")


@require_POST
@login_required
@reauthentication_required
def register(request: PageRequest) -> HttpResponse:
    """Register a program. The answer is the only place where its secret ever stands."""
    form = Form(request, name="", redirect_uri="")
    made = form.attempt(
        lambda: oauth.create_client(form.value("name"), form.value("redirect_uri"), by=request.user)
    )
    return _page(request, form) if made is None else _page(request, Form(), made=made[0], secret=made[1])


@require_POST
@login_required
@reauthentication_required
def rotate(request: PageRequest, client_id: uuid.UUID) -> HttpResponse:
    """Give a program of the viewer's a new secret, shown in the answer alone."""
    client = get_object_or_404(OAuthClient, user=request.user, pk=client_id)
    return _page(request, Form(), made=client, secret=oauth.rotate_client(client, by=request.user))


@require_POST
@login_required
def remove(request: PageRequest, client_id: uuid.UUID) -> HttpResponse:
    """Forget a program of the viewer's; what people have granted it ends at once."""
    client = get_object_or_404(OAuthClient, user=request.user, pk=client_id)
    oauth.delete_client(client, by=request.user)
    messages.success(request, f"{client} is gone, and can act for nobody any more.")
    return see("programs")


def _page(request: PageRequest, form: Form, **made: object) -> HttpResponse:
    granted = ApiToken.objects.standing().filter(user=request.user, client__isnull=False)
    page = Paginator(granted.select_related("client"), PER_PAGE).get_page(request.GET.get("page"))
    rows = [{"token": row, "wants": [SCOPES[one] for one in row.scope if one in SCOPES]} for row in page]
    own = OAuthClient.objects.filter(user=request.user)
    context = {"page": page, "rows": rows, "own": own, "form": form, **made}
    return render(request, "accounts/programs.html", context, status=form.status)
