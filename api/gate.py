"""What stands before every endpoint: the version asked for, methods that are nobody's, and paths that can't be kept."""

import functools
import re
from collections.abc import Callable
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse

from api.absent import UNKNOWN, why
from core.errors import NotFound, Refusal
from core.text import is_text

ACCEPT = re.compile(r"application/vnd\.heroku\+json\s*;\s*version\s*=\s*([\w.]+)")
View = Callable[..., HttpResponse]
Answer = Callable[[HttpRequest, Refusal], HttpResponse]


def gate(view: View, answer: Answer) -> View:
    """`view` behind the gate; `answer` makes the answer to a refusal."""

    @functools.wraps(view)
    def passing(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            _check_version(request)
            _check_address(request)
        except Refusal as refusal:
            return answer(request, refusal)
        asked, request.method = request.method, "GET" if request.method == "HEAD" else request.method
        response = view(request, *args, **kwargs)
        request.method = asked
        return _other_methods(request, response, answer) if response.status_code == 405 else response

    return passing


def _check_version(request: HttpRequest) -> None:
    """Refuse API versions other than 3 and its variants (`3.sdk` …)."""
    asked = ACCEPT.search(request.headers.get("Accept", ""))
    if asked and asked[1] != "3" and not asked[1].startswith("3."):
        raise Refusal(
            f"Version {asked[1][:20]} is not served; ask for version=3.", id="not_acceptable", status=406
        )


def _check_address(request: HttpRequest) -> None:
    """Nothing has a name that can't be kept, so nothing is there."""
    if not is_text(request.path) or not is_text(unquote(request.META.get("QUERY_STRING", ""))):
        raise NotFound("Not found.")


def _other_methods(request: HttpRequest, response: HttpResponse, answer: Answer) -> HttpResponse:
    """What else can be done here, to who asks for that (OPTIONS) or did something else."""
    methods = {*response.headers["Allow"].split(", "), "OPTIONS"}
    allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
    told = (
        HttpResponse(status=204)
        if request.method == "OPTIONS"
        else answer(
            request,
            Refusal(_why_not(request, allowed), id="bad_request", status=405),
        )
    )
    told.headers["Allow"] = allowed
    return told


def _why_not(request: HttpRequest, allowed: str) -> str:
    told = why(request.path)
    return told if told != UNKNOWN else f"{request.method} can't be used here; {allowed} can."
