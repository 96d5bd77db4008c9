"""What every request goes through: an id, an origin, one answer to refusals, and privacy of what was signed for."""

import logging
import re
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template import loader
from django.urls import set_urlconf
from django.utils.http import url_has_allowed_host_and_scheme

from core import activity, outage, space
from core.errors import Refusal
from core.text import is_text, storable

Respond = Callable[[HttpRequest], HttpResponse]
log = logging.getLogger(__name__)


class RequestMiddleware:
    """Gives the request an id, answers with it, and says where changes made by it come from."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if re.fullmatch(r"[\w-]{8,64}", given) else str(uuid.uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]
        with activity.coming(_through(request), address=client_address(request), request_id=request_id):
            response = self.respond(request)
        response.headers.setdefault("X-Request-Id", request_id)
        return response


class ApiMiddleware:
    """Sends requests of programs to the Platform API. A browser never asks for its media type nor sends a bearer
    token, so no page can be reached without its CSRF check this way."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return self.respond(request)
        request.urlconf = settings.API_URLCONF
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        try:
            return self.respond(request)
        finally:
            set_urlconf(None)  # else what this thread does next would look up addresses among the API's


class TextMiddleware:
    """Leaves out of queries and forms what no browser lets anybody type and no database keeps: a NUL. What programs
    send as JSON is turned down for it instead (`api.bodies`)."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.respond(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        if not is_text(request.path):
            raise Http404("Nothing has a name that can't be kept.")
        if is_api(request):
            return
        request.GET = _without_nul(request.GET)  # type: ignore[assignment]
        takes_forms = not getattr(view, "csrf_exempt", False)  # others read their body themselves
        if request.method == "POST" and takes_forms:
            request.POST = _without_nul(request.POST)  # type: ignore[assignment]


class PrivateMiddleware:
    """Marks every answer to someone signed in as theirs alone (promise I-27)."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        if request.user.is_authenticated or "Authorization" in request.headers:
            response.headers["Cache-Control"] = "private, no-store"
        return response


class RefusalMiddleware:
    """Answers a `Refusal` that a view let through, as the asker can use it: a flash for htmx, a message and a way
    back for a form, a page else. The API has its own answer in `api.http`. Who asks to see what is only done (a reload, or
    a sign-in that led back to it) gets a page as well."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.respond(request)
        asks = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
        if response.status_code != 405 or not asks:
            return response
        page = render(request, "405.html", status=405)
        page.headers["Allow"] = response.headers["Allow"]
        return page

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Refusal):
            refusal: Refusal | None = error
        elif away := outage.refusal(error):
            return unavailable(request, away)
        else:
            refusal = space.refusal(error)
        if refusal is None:
            return None
        if refusal is not error:
            space.note("dashboard", error)
        if getattr(request, "htmx", False):
            response = render(request, "_flash.html", {"refusal": refusal}, status=refusal.status)
            response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#flash", "beforeend"
            return response
        if request.method == "POST" and refusal.status == 422:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(_way_back(request))
        template = {403: "403.html", 404: "404.html"}.get(refusal.status, "refusal.html")
        return render(request, template, {"refusal": refusal}, status=refusal.status)


def unavailable(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The page of an outage. It asks the database for nothing."""
    page = loader.render_to_string("refusal.html", {"request": request, "refusal": refusal})
    return HttpResponse(page, status=refusal.status, headers={"Retry-After": str(outage.RETRY_SECONDS)})


def _without_nul(given: QueryDict) -> QueryDict:
    if all(is_text(name) and all(map(is_text, texts)) for name, texts in given.lists()):
        return given
    kept = QueryDict(mutable=True, encoding=given.encoding)
    for name, texts in given.lists():
        kept.setlist(storable(name), storable(texts))
    kept._mutable = False
    return kept


def is_api(request: HttpRequest) -> bool:
    """Whether a program speaks, not a browser."""
    accept = request.headers.get("Accept", "")
    scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
    return "application/vnd.heroku+json" in accept or scheme == "bearer"


def client_address(request: HttpRequest) -> str | None:
    """The true address of the client: forwarded headers count only from the router or a listed proxy (I-36)."""
    peer = request.META.get("REMOTE_ADDR") or ""
    forwarded = [
        part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()
    ]
    while forwarded and (peer in ("", *settings.TRUSTED_PROXIES)):
        peer = forwarded.pop()
    return peer if re.fullmatch(r"[0-9a-fA-F.:]{2,45}", peer) else None


def _through(request: HttpRequest) -> str:
    if is_api(request) or request.path.startswith("/v2/"):  # of the image registry
        return "api"
    if request.path.startswith("/admin/"):
        return "admin"
    return "git" if ".git/" in request.path else "web"


def _way_back(request: HttpRequest) -> str:
    came_from = request.headers.get("Referer", "")
    here = {request.get_host()}
    return came_from if url_has_allowed_host_and_scheme(came_from, allowed_hosts=here) else "/"
