"""What is shown when a view of ours breaks."""

import sys

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template import loader

from core import outage
from core.middleware import unavailable


def broken(request: HttpRequest) -> HttpResponse:
    """The page of status 500, with the id that finds the request in the log. It asks the database for nothing: that
    may be what broke, and then the status is 503."""
    if refusal := outage.refusal(sys.exc_info()[1]):
        return unavailable(request, refusal)
    return HttpResponseServerError(loader.render_to_string("500.html", {"request": request}))
