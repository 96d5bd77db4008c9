"""What the CLI asks of other hosts than the API's, all of which can be told to be this one: sign-in by browser, status,
and the buildpack registry; and where programs fetch their tokens. These calls carry no token of the API's, or none at all."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts import cli_sign_in, oauth
from addons import partners
from api.http import basic
from core.errors import Refusal
from core.middleware import client_address
from engine.builder.buildpacks import NAME, REGISTRY
from engine.builder.builtin import BUILTINS

PAUSE_SECONDS, ALIVE_SECONDS = 0.5, 10.0
STALE_SECONDS = 30.0  # a conductor that has not written for so long is taken for gone


# --- sign-in by browser -----------------------------------------------------------------------------------------------


@csrf_exempt
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """`heroku login` begins: where its person goes, and where it waits for the answer."""
    try:
        body = json.loads(request.body or b"{}")
        description = str(body.get("description", "")) if isinstance(body, dict) else ""
        question, secret = cli_sign_in.ask(description, address=client_address(request))
    except (ValueError, RecursionError):
        return JsonResponse({"id": "bad_request", "message": "The body is not JSON.", "url": ""}, status=400)
    except Refusal as refusal:
        return JsonResponse({"id": refusal.id, "message": refusal.message, "url": ""}, status=refusal.status)
    answer = {
        "browser_url": reverse("cli-sign-in", args=[question.pk], urlconf=settings.ROOT_URLCONF),
        "cli_url": f"/auth/cli/{question.pk}",
        "token": secret,
    }
    return JsonResponse(answer, status=201)


@require_safe
async def wait(request: HttpRequest, ref: UUID) -> StreamingHttpResponse:
    """`heroku login` waits: blanks now and then, and the answer at last."""
    secret = request.headers.get("Authorization", "").partition(" ")[2].strip()
    return StreamingHttpResponse(_answer(ref, secret), content_type="application/json")


async def _answer(ref: UUID, secret: str) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    said = loop.time()
    while (found := await sync_to_async(cli_sign_in.answer)(ref, secret)) is None:
        if loop.time() - said > ALIVE_SECONDS:
            said = loop.time()
            yield " "
        await asyncio.sleep(PAUSE_SECONDS)
    yield json.dumps(found)


# --- programs -----------------------------------------------------------------------------------------------------------


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """Where programs fetch and renew their tokens (RFC 6749): a form, with the program's secret in it or in HTTP
    Basic."""
    given = request.POST
    if partners.is_grant(given.get("code", "") or given.get("refresh_token", "")):
        return _partner_token(request)
    name, password = basic(request.headers.get("Authorization", ""))
    client = {
        "client_id": name or given.get("client_id", ""),
        "secret": password or given.get("client_secret", ""),
    }
    try:
        if given.get("grant_type") == "authorization_code":
            proof = {
                "verifier": given.get("code_verifier", ""),
                "redirect_uri": given.get("redirect_uri", ""),
            }
            granted = oauth.exchange(given.get("code", ""), **client, **proof)
        elif given.get("grant_type") == "refresh_token":
            granted = oauth.refresh(given.get("refresh_token", ""), **client)
        else:
            raise Refusal(
                "A grant_type is authorization_code or refresh_token.",
                id="unsupported_grant_type",
                status=400,
            )
    except Refusal as refusal:
        return _kept(refusal.status, {"error": refusal.id, "error_description": refusal.message})
    answer = {
        "access_token": granted.secret,
        "refresh_token": granted.refresh,
        "token_type": "Bearer",
        "expires_in": oauth.TOKEN_SECONDS,
        "scope": " ".join(granted.token.scope),
        "user_id": str(granted.token.user_id),
        "session_nonce": None,
    }
    return _kept(200, answer)


def _partner_token(request: HttpRequest) -> HttpResponse:
    """The same for the partner behind an add-on, whose secret is the password of its manifest."""
    given = request.POST
    secret = basic(request.headers.get("Authorization", ""))[1] or given.get("client_secret", "")
    try:
        if given.get("grant_type") == "refresh_token":
            granted = partners.refresh(given.get("refresh_token", ""), secret=secret)
        else:
            granted = partners.exchange(given.get("code", ""), secret=secret)
    except Refusal as refusal:
        return _kept(refusal.status, {"error": refusal.id, "error_description": refusal.message})
    answer = {
        "access_token": granted.access,
        "refresh_token": granted.refresh,
        "token_type": "Bearer",
        "expires_in": partners.TOKEN_SECONDS,
    }
    return _kept(200, answer)


def _kept(status: int, answer: dict[str, object]) -> JsonResponse:
    """An answer that nobody in between may keep."""
    return JsonResponse(answer, status=status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


# --- status -----------------------------------------------------------------------------------------------------------


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """How this Slipway is: `heroku status`."""
    try:
        well = time.time() - (settings.DATA / "run" / "status.json").stat().st_mtime < STALE_SECONDS
    except OSError:
        well = False
    colour = "green" if well else "red"
    systems = [
        {"system": name, "status": colour if name != "Tools" else "green"}
        for name in ("Apps", "Data", "Tools")
    ]
    return JsonResponse({"status": systems, "incidents": [], "scheduled": []})


# --- buildpack registry -----------------------------------------------------------------------------------------------


@require_safe
def buildpacks(request: HttpRequest) -> HttpResponse:
    """The buildpacks that come with Slipway: `heroku buildpacks:search`."""
    asked = [text.lower() for key in request.GET for text in request.GET.getlist(key) if text]
    rows = [_pack(f"heroku/{name}") for name in BUILTINS]
    found = [row for row in rows if all(text in json.dumps(row).lower() for text in asked)]
    return JsonResponse(found, safe=False)


@require_safe
def buildpack(request: HttpRequest, name: str) -> HttpResponse:
    """Where a buildpack is. Names of others than ours are fetched from the public registry when they are built."""
    return _of(name, lambda: _pack(name))


@require_safe
def revisions(request: HttpRequest, name: str) -> HttpResponse:
    """The version that is used: ours, or the newest."""
    return _of(
        name,
        lambda: [{"release": 1, "created_at": "2026-01-01T00:00:00Z", "status": "published", "license": ""}],
    )


@require_safe
def readme(request: HttpRequest, name: str) -> HttpResponse:
    """A few words about it."""
    return _of(name, lambda: {"content": _pack(name)["description"], "encoding": "utf-8"})


def _of(name: str, found: Callable[[], object]) -> HttpResponse:
    if not NAME.fullmatch(name) or "/" not in name:
        message = f"There is no buildpack {name[:100]}: names look like heroku/python."
        return JsonResponse({"id": "not_found", "message": message, "url": ""}, status=404)
    return JsonResponse(found(), safe=False)


def _pack(name: str) -> dict[str, object]:
    space, _, short = name.partition("/")
    ours = space == "heroku" and short in BUILTINS
    text = "Comes with Slipway." if ours else "Fetched from the public registry at each build."
    return {
        "id": name,
        "namespace": space,
        "name": short,
        "category": "languages",
        "description": text,
        "blob_url": REGISTRY.format(name),
        "support": {"method": "", "address": ""},
        "source": {"type": "", "owner": space, "repo": short},
        "logo": None,
    }


urlpatterns = [
    path("auth", ask, name="cli-auth"),
    path("auth/cli/<uuid:ref>", wait, name="cli-auth-answer"),
    path("oauth/token", token),
    path("api/v4/current-status", status, name="current-status"),
    path("buildpacks", buildpacks),
    path("buildpacks/<path:name>/revisions", revisions),
    path("buildpacks/<path:name>/readme", readme),
    path("buildpacks/<path:name>", buildpack),
]
