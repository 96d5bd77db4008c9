"""Who asks."""

from django.http import HttpRequest

from accounts.models import User


def asker(request: HttpRequest) -> User:
    """The user behind the token; every route has one, since the API as a whole demands it."""
    assert isinstance(request.user, User)
    return request.user
