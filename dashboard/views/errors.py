"""What is shown when a view of ours breaks."""

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.template import loader


def broken(request: HttpRequest) -> HttpResponse:
    """The page of status 500, with the id that finds the request in the log. It asks the database for nothing: that
    may be what broke."""
    return HttpResponseServerError(loader.render_to_string("500.html", {"request": request}))
