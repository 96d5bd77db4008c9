"""What a request of a page is, for the type checker: `login_required` has let only people through."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import User


class PageRequest(HttpRequest):
    """A request from someone who is signed in."""

    user: User
    htmx: HtmxDetails
