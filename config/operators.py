"""The door to the admin site: the product's own sign-in page, which slows guessing down."""

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

from core.errors import NotFound


def sign_in(request: HttpRequest) -> HttpResponse:
    """Send strangers to sign in; to everyone else who is no operator there is nothing here."""
    if request.user.is_authenticated:
        raise NotFound("There is nothing here.")
    return redirect_to_login(request.GET.get("next", "/admin/"))
