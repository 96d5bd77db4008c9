"""What requests of people who are signed in go through."""

from collections.abc import Callable

from allauth.account.adapter import get_adapter
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode

from accounts import sessions, two_factor
from accounts.models import User
from core.middleware import is_api

Respond = Callable[[HttpRequest], HttpResponse]

# What someone can do before they have set up the factor that is demanded of them.
OPEN = ("/account/two-factor/", "/account/confirm/", "/sign-out/", "/static/")


class SeenMiddleware:
    """Notes when and from where a session was last used."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        if not is_api(request) and request.user.is_authenticated:
            sessions.note_use(request)
        return response


class TwoFactorMiddleware:
    """Sends people to set up the factor that the operator demands, and operators who have one to show it once more
    before they enter the admin site with a session that has not seen it."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if is_api(request) or not isinstance(user, User) or request.path.startswith(OPEN):
            return self.respond(request)
        if two_factor.missing(user, request.session):
            return redirect("two-factor")
        if request.path.startswith("/admin/") and _unproved(user, request.session):
            ask = get_adapter(request).get_reauthentication_methods(user)[0]["url"]
            return redirect(f"{ask}?{urlencode({'next': request.get_full_path()})}")
        return self.respond(request)


def _unproved(user: User, session: SessionBase) -> bool:
    return not two_factor.proved(user, session) and two_factor.has_factor(user)
