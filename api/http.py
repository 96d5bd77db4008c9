"""What all endpoints of the Platform API share: who asks, versions, ranges, ETags, rate limit, the error body."""

import base64
import binascii
import hashlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security.base import AuthBase

from accounts.actions import note_use
from accounts.models import ApiToken, User
from core.errors import Refusal, Unauthorized

PAGE, PAGE_MAX = 200, 1000
ACCEPT = re.compile(r"application/vnd\.heroku\+json\s*;\s*version=([\w.]+)")
RANGE = re.compile(r"(?P<field>\w+)\s+(?P<after>\]?[^\s;.]*(?:\.[^\s;.]+)*)\.\.(?P<until>[^\s;]*)")


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


class PlatformApi(NinjaAPI):
    """The API with the headers that every answer carries."""

    def create_response(self, request: HttpRequest, data: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().create_response(request, data, *args, **kwargs)
        response.headers["Request-Id"] = getattr(request, "request_id", "")
        response.headers["RateLimit-Remaining"] = str(
            getattr(request, "remaining", settings.API_CALLS_PER_HOUR)
        )
        if request.method == "GET" and response.status_code == 200:
            return _with_etag(request, response)
        return response


def make_api() -> PlatformApi:
    """An API without routes, with the one way of answering what goes wrong."""
    api = PlatformApi(
        title="Slipway Platform API",
        version="3",
        auth=TokenAuth(),
        docs_url=None,
        openapi_url=None,
        urls_namespace="api",
    )
    for kind, refusal in ANSWERS.items():
        api.add_exception_handler(kind, _handler(refusal))
    return api


def _handler(refusal: Callable[[Any], Refusal]) -> Callable[[HttpRequest, Any], HttpResponse]:
    return lambda request, error: _error(request, refusal(error))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer to paths that are none of ours."""
    return _error(request, Refusal("The requested API endpoint was not found.", id="not_found", status=404))


def broken(request: HttpRequest) -> HttpResponse:
    """The answer when it is our bug."""
    text = f"Something went wrong on our side. Give this id when you ask about it: {getattr(request, 'request_id', '')}"
    return _error(request, Refusal(text, id="internal_server_error", status=500))


def check_version(request: HttpRequest) -> None:
    """Refuse API versions other than 3 and its variants (`3.sdk` …)."""
    asked = ACCEPT.search(request.headers.get("Accept", ""))
    if asked and asked[1] != "3" and not asked[1].startswith("3."):
        raise Refusal(
            f"Version {asked[1]} is not served; ask for version=3.", id="not_acceptable", status=406
        )


def ranged(
    request: HttpRequest,
    response: HttpResponse,
    rows: "QuerySet[Any]",
    shape: Callable[[Any], Any],
    *,
    by: str = "id",
    fields: Sequence[str] = (),
) -> Status[list[Any]]:
    """One page of `rows` as the Range header asks: `(200, all)` or `(206, page)` with a Next-Range.

    `by` is the field of a page without a Range; `fields` are the others that it may name.
    """
    check_version(request)
    text = request.headers.get("Range", "")
    asked = RANGE.match(text.strip())
    field = asked["field"] if asked and asked["field"] in {by, *fields} else by
    size = _number(text, "max", PAGE)
    down = bool(re.search(r"order\s*=\s*desc", text))
    page = list(
        _after(rows, field, asked["after"] if asked else "", down).order_by(f"{'-' if down else ''}{field}")[
            : size + 1
        ]
    )
    response.headers["Accept-Ranges"] = ", ".join(dict.fromkeys([by, *fields]))
    if len(page) <= size:
        return Status(200, [shape(row) for row in page])
    page = page[:size]
    last, order = getattr(page[-1], field), "desc" if down else "asc"
    mark = last.isoformat().replace("+00:00", "Z") if hasattr(last, "isoformat") else last
    response.headers["Content-Range"] = f"{field} {getattr(page[0], field)}..{mark}"
    response.headers["Next-Range"] = f"{field} ]{mark}..; max={size}, order={order}"
    return Status(206, [shape(row) for row in page])


def is_first_page(request: HttpRequest) -> bool:
    """Whether a list begins where it begins: what has no row comes there."""
    asked = RANGE.match(request.headers.get("Range", "").strip())
    return not (asked and asked["after"])


def _after(rows: "QuerySet[Any]", field: str, start: str, down: bool) -> "QuerySet[Any]":
    if not start:
        return rows
    exclusive, value = start.startswith("]"), start.lstrip("]")
    relation = ("lt" if down else "gt") + ("" if exclusive else "e")
    try:
        return rows.filter(**{f"{field}__{relation}": value})
    except (ValueError, TypeError, DjangoValidationError) as error:
        raise Refusal(f"The range {field} {start}.. can't be read.", id="bad_request", status=416) from error


def _number(text: str, name: str, default: int) -> int:
    found = re.search(rf"{name}\s*=\s*(\d{{1,6}})", text)
    return min(max(int(found[1]), 1), PAGE_MAX) if found else default


def _secret(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


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
    parts = []
    for item in error.errors[:5]:
        where = ".".join(
            str(part) for part in item["loc"] if part not in ("body", "payload", "path", "query")
        )
        parts.append(f"{where or 'body'}: {item['msg']}")
    return Refusal("Invalid params: " + "; ".join(parts))


def _error(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    body = {"id": refusal.id, "message": refusal.message, "url": ""}
    if refusal.resource:
        body["resource"] = refusal.resource
    response = JsonResponse(body, status=refusal.status)
    response.headers["Request-Id"] = getattr(request, "request_id", "")
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="Slipway API"'
    if refusal.status == 429:
        response.headers["Retry-After"] = "60"
    return response


ANSWERS: dict[type[Exception], Callable[[Any], Refusal]] = {
    Refusal: lambda error: error,
    AuthenticationError: lambda error: Unauthorized("Invalid credentials provided."),
    Http404: lambda error: Refusal("Not found.", id="not_found", status=404),
    ValidationError: _invalid,
    HttpError: lambda error: Refusal(str(error), id="bad_request", status=error.status_code),
    RequestDataTooBig: lambda error: Refusal("The body is too large.", id="too_large", status=413),
}
