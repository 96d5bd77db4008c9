"""What all endpoints of the Platform API share: who asks, versions, ranges, ETags, rate limit, the error body."""

import base64
import binascii
import hashlib
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.renderers import JSONRenderer
from ninja.security.base import AuthBase
from pydantic_core import PydanticSerializationError, to_json

from accounts import scopes
from accounts.actions import note_use
from accounts.models import ApiToken, User
from api.absent import why
from api.bodies import BadBody, StrictParser
from api.gate import gate
from api.scopes import needed
from core import outage, space
from core.errors import Refusal, Unauthorized

PAGE, PAGE_MAX = 200, 1000
RANGE = re.compile(r"(?P<field>\w+)\s+(?P<after>\]?[^\s;.]*(?:\.[^\s;.]+)*)\.\.(?P<until>[^\s;,]*)")
LONGEST_RANGE = 500
TIE = "~"  # between a value that several rows share and the id of the one that a page ended with


class TokenAuth(AuthBase):
    """An API token, as a bearer or as the password of HTTP Basic. It is never taken from the address."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> User:
        secret = _secret(request.headers.get("Authorization", ""))
        token = ApiToken.objects.presented(secret)
        if token is None:
            raise Unauthorized("Invalid credentials provided.")
        request.user = token.user
        request.token, request.secret = token, secret  # type: ignore[attr-defined]
        note_use(token)
        request.remaining = allowance.take(str(token.pk))  # type: ignore[attr-defined]
        scopes.demand(token, needed(request.method or "", request.path))
        return token.user


class Allowance:
    """A bucket of calls per token, refilled evenly: `SLIPWAY_API_CALLS_PER_HOUR` of them at most. Each process
    counts for itself."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> int:
        """Take one call; returns how many are left, or raises a `Refusal` (429)."""
        full, now = float(settings.API_CALLS_PER_HOUR), time.monotonic()
        with self._lock:
            left, at = self._buckets.get(key, (full, now))
            left = min(full, left + (now - at) * full / 3600)
            if left < 1:
                raise Refusal(
                    "Your account reached the API rate limit. Please wait a few minutes before making new "
                    "requests.",
                    id="rate_limit",
                    status=429,
                )
            if len(self._buckets) > 10_000:
                self._buckets.clear()
            self._buckets[key] = (left - 1, now)
        return int(left - 1)


allowance = Allowance()


class Renderer(JSONRenderer):
    """Writes JSON several times as fast as the standard library, which can do it where this can't (half a surrogate)."""

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> Any:
        try:
            return to_json(data)
        except PydanticSerializationError:
            return super().render(request, data, response_status=response_status)


class PlatformApi(NinjaAPI):
    """The API with the headers that every answer carries."""

    def create_response(self, request: HttpRequest, data: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().create_response(request, data, *args, **kwargs)
        _sign(request, response)
        if request.method == "GET" and response.status_code == 200:
            return _with_etag(request, response)
        return response

    def _get_urls(self) -> "list[URLResolver | URLPattern]":
        patterns = super()._get_urls()
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = gate(pattern.callback, _error)
        return patterns


def make_api() -> PlatformApi:
    """An API without routes, with the one way of answering what goes wrong."""
    api = PlatformApi(
        title="Slipway Platform API",
        version="3",
        auth=TokenAuth(),
        parser=StrictParser(),
        renderer=Renderer(),
        docs_url=None,
        openapi_url=None,
        urls_namespace="api",
    )
    for kind, refusal in ANSWERS.items():
        api.add_exception_handler(kind, _handler(refusal))
    api.add_exception_handler(Exception, _unforeseen)
    return api


def _handler(refusal: Callable[[Any], Refusal]) -> Callable[[HttpRequest, Any], HttpResponse]:
    return lambda request, error: _error(request, refusal(error))


def _unforeseen(request: HttpRequest, error: Any) -> HttpResponse:
    """A full disk or an absent database is nobody's bug; everything else goes on to `broken`."""
    refusal = outage.refusal(error) or space.refusal(error)
    if refusal is None:
        raise error
    space.note("API", error)
    return _error(request, refusal)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer to paths that are none of ours."""
    return _error(request, Refusal(why(request.path), id="not_found", status=404))


def broken(request: HttpRequest) -> HttpResponse:
    """The answer when it is our bug, or an outage."""
    if refusal := outage.refusal(sys.exc_info()[1]):
        return _error(request, refusal)
    text = f"Something went wrong on our side. Give this id when you ask about it: {getattr(request, 'request_id', '')}"
    return _error(request, Refusal(text, id="internal_server_error", status=500))


def ranged(
    request: HttpRequest,
    response: HttpResponse,
    rows: "QuerySet[Any]",
    shape: Callable[[Any], Any],
    *,
    by: str = "id",
    fields: Sequence[str] = (),
    least: int = 1,
) -> Status[list[Any]]:
    """One page of `rows` as the Range header asks: `(200, all)` or `(206, page)` with a Next-Range.

    `by` is the field of a page without a Range; `fields` are the others that it may name. A page has `least` rows
    where there are so many, for clients that fetch every page.
    """
    text = _range(request)
    asked = RANGE.match(text)
    field = asked["field"] if asked and asked["field"] in {by, *fields} else by
    size = max(least, _number(text, "max", PAGE))
    down = bool(re.search(r"order\s*=\s*desc", text))
    sign = "-" if down else ""
    until = asked["until"] if asked else ""
    found = _until(_after(rows, field, asked["after"] if asked else "", down), field, until, down)
    found = found.order_by(f"{sign}{field}", f"{sign}pk")
    page = list(found[: size + 1])
    response.headers["Accept-Ranges"] = ", ".join(dict.fromkeys([by, *fields]))
    if len(page) <= size:
        return Status(200, [shape(row) for row in page])
    follower, page = page[-1], page[:size]
    mark, order = _mark(page[-1], follower, field), "desc" if down else "asc"
    response.headers["Content-Range"] = f"{field} {_said(getattr(page[0], field))}..{mark}"
    response.headers["Next-Range"] = f"{field} ]{mark}..{until}; max={size}, order={order}"
    return Status(206, [shape(row) for row in page])


def is_first_page(request: HttpRequest) -> bool:
    """Whether a list begins where it begins: what has no row comes there."""
    asked = RANGE.match(_range(request))
    return not (asked and asked["after"])


def _range(request: HttpRequest) -> str:
    text = request.headers.get("Range", "").strip()
    if len(text) > LONGEST_RANGE or not text.isprintable():
        raise Refusal("The range can't be read.", id="bad_request", status=416)
    return text


def _said(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def _mark(last: Any, follower: Any, field: str) -> str:
    """Where a page ended, for the next one."""
    value = getattr(last, field)
    tied = value == getattr(follower, field)
    return f"{_said(value)}{TIE}{last.pk}" if tied else str(_said(value))


def _after(rows: "QuerySet[Any]", field: str, start: str, down: bool) -> "QuerySet[Any]":
    if not start:
        return rows
    exclusive, relation = start.startswith("]"), "lt" if down else "gt"
    value, _, last = start.removeprefix("]").partition(TIE)
    try:
        if last:
            return rows.filter(
                Q(**{f"{field}__{relation}": value}) | Q(**{field: value, f"pk__{relation}": last})
            )
        return rows.filter(**{f"{field}__{relation}{'' if exclusive else 'e'}": value})
    except (ValueError, TypeError, OverflowError, DjangoValidationError) as error:
        raise Refusal(f"The range {field} {start}.. can't be read.", id="bad_request", status=416) from error


def _until(rows: "QuerySet[Any]", field: str, end: str, down: bool) -> "QuerySet[Any]":
    try:
        return rows.filter(**{f"{field}__{'gte' if down else 'lte'}": end}) if end else rows
    except (ValueError, TypeError, OverflowError, DjangoValidationError) as error:
        raise Refusal(f"The range {field} ..{end} can't be read.", id="bad_request", status=416) from error


def _number(text: str, name: str, default: int) -> int:
    found = re.search(rf"{name}\s*=\s*(\d{{1,6}})", text)
    return min(max(int(found[1]), 1), PAGE_MAX) if found else default


def basic(header: str) -> tuple[str, str]:
    """The name and password of HTTP Basic; both empty when the header is nothing of that kind."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _secret(header: str) -> str:
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else basic(header)[1]


def _with_etag(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Mark the answer, and spare it to who has it: only who sent If-None-Match ever gets a 304."""
    tag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response.headers["ETag"] = tag
    given = [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]
    if tag not in given:
        return response
    spared = HttpResponse(status=304)
    for name in ("ETag", "Request-Id", "RateLimit-Remaining"):
        spared.headers[name] = response.headers[name]
    return spared


def _invalid(error: ValidationError) -> Refusal:
    if any(item["loc"][:1] == ("path",) for item in error.errors):
        return Refusal("Couldn't find that: the address has no valid id.", id="not_found", status=404)
    parts = []
    for item in error.errors[:5]:
        where = ".".join(str(part) for part in item["loc"] if part not in ("body", "payload", "query"))
        parts.append(f"{where or 'body'}: {item['msg']}")
    return Refusal("Invalid params: " + "; ".join(parts))


def _sign(request: HttpRequest, response: HttpResponse) -> None:
    """What every answer says: its id, and how many calls are left."""
    response.headers["Request-Id"] = getattr(request, "request_id", "")
    response.headers["RateLimit-Remaining"] = str(getattr(request, "remaining", settings.API_CALLS_PER_HOUR))


def _bad_request(error: HttpError) -> Refusal:
    why = error.__cause__ if isinstance(error.__cause__, BadBody) else error
    kind = "invalid_params" if why.status_code == 422 else "bad_request"
    return Refusal(str(why), id=kind, status=why.status_code)


def _error(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    body = {"id": refusal.id, "message": refusal.message, "url": ""}
    if refusal.resource:
        body["resource"] = refusal.resource
    response = JsonResponse(body, status=refusal.status)
    _sign(request, response)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="Slipway API"'
    if refusal.status == 429:
        response.headers["Retry-After"] = "60"
    if refusal.status == outage.STATUS:
        response.headers["Retry-After"] = str(outage.RETRY_SECONDS)
    return response


ANSWERS: dict[type[Exception], Callable[[Any], Refusal]] = {
    Refusal: lambda error: error,
    AuthenticationError: lambda error: Unauthorized("Invalid credentials provided."),
    Http404: lambda error: Refusal("Not found.", id="not_found", status=404),
    ValidationError: _invalid,
    HttpError: _bad_request,
    RequestDataTooBig: lambda error: Refusal("The body is too large.", id="too_large", status=413),
}
