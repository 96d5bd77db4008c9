"""`docker login`, `push` and `pull`: who may is decided here, and the rest is the registry's behind us.

Blobs go through piece by piece; what comes in waits in a file of the spool, as a push of git does.
"""

import asyncio
import base64
import binascii
import http.client
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounts import scopes
from accounts.access import demand_not_suspended
from accounts.actions import note_use
from accounts.models import ApiToken
from apps import access, stacks
from core import activity, bodies
from core.errors import Refusal, Unauthorized
from releases.pushes import in_thread
from releases.registry import paths, upstream
from releases.registry.paths import Call

PIECE = 64 * 1024
SMALL = 1024**2  # of answers in which names are put right
QUERY = frozenset(["n", "last", "mount", "from", "digest", "_state"])
ASKED = ("Accept", "Content-Type", "Content-Range", "Range", "If-None-Match", "If-Range")
TOLD = [
    "Content-Length",
    "Content-Range",
    "Range",
    "Accept-Ranges",
    "ETag",
    "Retry-After",
    "Docker-Content-Digest",
    "Docker-Upload-UUID",
    "OCI-Subject",
    "OCI-Chunk-Min-Length",
]
CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 413: "SIZE_INVALID", 503: "UNAVAILABLE"}
T = TypeVar("T")
_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="registry")


@dataclass(frozen=True)
class Admitted:
    """A call that its sender may make."""

    call: Call
    token: ApiToken
    app: Any
    repository: str  # in the registry behind us
    query: dict[str, str]


class BrokenOff(Exception):
    """The registry ended before its answer was whole."""


@csrf_exempt
async def ping(request: HttpRequest) -> HttpResponseBase:
    """Whether this is a registry, and one that the sender is known to: what `docker login` asks."""
    try:
        _demand_registry()
        await in_thread(_greet, request.headers.get("Authorization", ""))
    except Refusal as refusal:
        return _refused(refusal)
    return _signed(JsonResponse({}))


@csrf_exempt
async def serve(request: HttpRequest, path: str) -> HttpResponseBase:
    """One call for an image."""
    try:
        admitted = await in_thread(_admit, request, path)
        answer = await _aside(_pass_on, request, admitted)
    except Refusal as refusal:
        return _refused(refusal)
    if request.method == "PUT" and answer.status == 201 and admitted.call.what.startswith("manifests/"):
        await in_thread(_record, admitted, answer.headers.get("Docker-Content-Digest", ""))
    return await _response(str(request.method), admitted, answer)


def may_push(path: str, authorization: str) -> bool:
    """Whether the credentials in an Authorization header may push to `path`, the part behind `/v2/`: asked before a
    large body is taken at all."""
    try:
        _admitted(paths.read("PUT" if "/manifests/" in path else "PATCH", path), authorization)
    except Refusal:
        return False
    return True


# --- who and what ---------------------------------------------------------------------------------------------------


def _demand_registry() -> None:
    if not stacks.has_registry():
        raise Refusal(stacks.NO_REGISTRY, id="UNSUPPORTED", status=404)


def _greet(authorization: str) -> None:
    note_use(_token(authorization))


def _admit(request: HttpRequest, path: str) -> Admitted:
    header = request.headers.get("Authorization", "")
    _demand_registry()
    _token(header)  # whoever has none learns nothing of names
    call = paths.read(str(request.method), path)
    admitted = _admitted(call, header)
    note_use(admitted.token)
    asked = dict(parse_qsl(request.META.get("QUERY_STRING", ""), max_num_fields=20, separator="&"))
    query = {name: value for name, value in asked.items() if name in QUERY}
    admitted.query.update(_mount(query, admitted.token) if call.what == "blobs/uploads/" else query)
    return admitted


def _admitted(call: Call, authorization: str) -> Admitted:
    """The call with its app. To push and to pull both take the right to deploy it, as with its code in git."""
    token = _token(authorization)
    scopes.demand(token, scopes.WRITE if call.writes else scopes.READ)
    app = access.app_for(token.user, call.app, to=access.DEPLOY)
    demand_not_suspended(app)
    return Admitted(call, token, app, paths.repository(app.pk, call.type), {})


def _mount(query: dict[str, str], token: ApiToken) -> dict[str, str]:
    """The query of a new upload, which may take a blob over from another repository that the sender may pull. Otherwise it
    is an upload like any other: a registry may always answer so."""
    app, _, type = query.get("from", "").partition("/")
    if "mount" not in query or not paths.is_name(app, type):
        return {name: value for name, value in query.items() if name not in ("mount", "from")}
    try:
        found = access.app_for(token.user, app, to=access.DEPLOY)
    except Refusal:
        return {}
    return {**query, "from": paths.repository(found.pk, type)}


def _token(authorization: str) -> ApiToken:
    secret = _password(authorization)
    token = ApiToken.objects.presented(secret) if secret else None
    if token is None:
        raise Unauthorized("Sign in with docker login: any user name, and an API token as the password.")
    return token


def _password(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _record(admitted: Admitted, digest: str) -> None:
    """A tag is no release yet, but who put what there can be asked for."""
    call = admitted.call
    activity.record(
        admitted.token.user, "pushed an image to", admitted.app, type=call.type, digest=digest[:80]
    )


# --- what goes through ----------------------------------------------------------------------------------------------


def _pass_on(request: HttpRequest, admitted: Admitted) -> http.client.HTTPResponse:
    method = str(request.method)
    headers = {name: request.headers[name] for name in ASKED if name in request.headers}
    return upstream.ask(
        method,
        f"{admitted.repository}/{admitted.call.what}",
        query=admitted.query,
        headers=headers,
        body=_body(request) if method in ("POST", "PUT", "PATCH") else None,
    )


def _body(request: HttpRequest) -> upstream.Body:
    file = bodies.file_of(request)
    if isinstance(file, HttpRequest):
        return upstream.Body(file, int(request.META.get("CONTENT_LENGTH") or 0))
    length = file.seek(0, 2)
    file.seek(0)
    return upstream.Body(file, length)


async def _response(
    method: str, admitted: Admitted, answer: http.client.HTTPResponse
) -> HttpResponse | StreamingHttpResponse:
    call, repository = admitted.call, admitted.repository
    headers = {name: answer.headers[name] for name in TOLD if name in answer.headers}
    if "Location" in answer.headers:
        headers["Location"] = _own_address(answer.headers["Location"], repository, call)
    if "Link" in answer.headers:
        headers["Link"] = answer.headers["Link"].replace(repository, call.name)
    kind = "application/octet-stream" if call.what.startswith("blobs/") else None
    if answer.status >= 400 or call.what == "tags/list":
        kind = None
    kind = kind or answer.headers.get("Content-Type", "application/octet-stream")
    if method == "HEAD" or answer.status in (204, 304):
        answer.close()
        return _signed(HttpResponse(status=answer.status, headers=headers, content_type=kind))
    if answer.status == 404 and call.what.startswith("manifests/"):
        answer.close()
        return _refused(_never_pushed(call))
    if answer.status >= 400 or call.what == "tags/list":
        headers.pop("Content-Length", None)
        text = (await _aside(_whole, answer)).replace(repository.encode(), call.name.encode())
        return _signed(HttpResponse(text, status=answer.status, headers=headers, content_type=kind))
    return _signed(
        StreamingHttpResponse(_pieces(answer), status=answer.status, headers=headers, content_type=kind)
    )


def _never_pushed(call: Call) -> Refusal:
    return Refusal(
        f"No such image of {call.name} was pushed yet. Push it first: heroku container:push {call.type} -a {call.app}",
        id="MANIFEST_UNKNOWN",
        status=404,
    )


def _own_address(location: str, repository: str, call: Call) -> str:
    """Where the registry sends its client, as the client reaches it through us; storage elsewhere stays where it is."""
    parts = urlsplit(location)
    _, found, rest = parts.path.partition(f"/v2/{repository}/")
    if not found:
        return location
    return f"/v2/{call.name}/{rest}" + (f"?{parts.query}" if parts.query else "")


def _whole(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(SMALL)
    except (OSError, http.client.HTTPException) as fault:
        raise BrokenOff from fault
    finally:
        answer.close()


async def _pieces(answer: http.client.HTTPResponse) -> AsyncIterator[bytes]:
    try:
        while piece := await _aside(answer.read, PIECE):
            yield piece
        if answer.length:
            raise BrokenOff
    finally:
        answer.close()


def _aside(call: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
    """Run `call`, which waits for the registry, away from the loop and from those who need the database."""
    return asyncio.get_running_loop().run_in_executor(_threads, call, *arguments)


# --- answers --------------------------------------------------------------------------------------------------------


def _refused(refusal: Refusal) -> HttpResponse:
    """A refusal in the shape that Docker shows to its user, and in the one that the Heroku CLI does."""
    code = refusal.id if refusal.id.isupper() else CODES.get(refusal.status, "DENIED")
    told = {"code": code, "message": refusal.message, "detail": None}
    body = {"errors": [told], "id": code.lower(), "message": refusal.message}
    response = JsonResponse(body, status=refusal.status)
    response._has_been_logged = True  # type: ignore[attr-defined]  # every push begins with a 401, no news for the log
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="Slipway"'
    return _signed(response)


R = TypeVar("R", HttpResponse, StreamingHttpResponse, JsonResponse)


def _signed(response: R) -> R:
    response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    return response
