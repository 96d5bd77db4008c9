"""No input makes a 5xx: every address, every method, with the kinds of nonsense that have broken others (I-46)."""

import json
import random
import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.actions import create_token
from api.http import allowance
from api.urls import api as platform_api

pytestmark = pytest.mark.promise("I-46")

TEXTS = [
    "",
    " ",
    "a" * 5000,
    "é☃𝕏",
    "a\0b",
    "%00",
    "../../etc/passwd",
    "'; DROP TABLE apps_app; --",
    "<script>",
    "-1",
    "0",
    "9" * 40,
    "NaN",
    "null",
    "00000000-0000-0000-0000-000000000000",
    "shop-staging",
    "shop",
    "web",
    "~",
    "v1",
    "\u202e",
    "\ud7ff",
    "1e999",
    "true",
]
VALUES = [None, True, -1, 10**30, 1.5, [], {}, [[]], {"id": None}, {"id": {"id": "x"}}, *TEXTS]
PATHS = [text for text in TEXTS if text and "/" not in text]
KEYS = [
    "name",
    "stage",
    "app",
    "pipeline",
    "source",
    "targets",
    "quantity",
    "size",
    "updates",
    "type",
    "command",
    "env",
    "release",
    "slug",
    "hostname",
    "user",
    "permissions",
    "source_blob",
    "buildpacks",
    "owner",
    "lines",
    "to",
    "from",
    "note",
    "token",
    "confirm",
    "key",
    "value",
    "text",
    "word",
    "after",
    "email",
    "role",
    "rights",
    "path",
    "description",
]


def addresses(patterns, prefix=""):
    """Every route as a template with `{}` for each argument."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield re.sub(r"<[^>]+>|\(\?P<[^>]+>[^)]*\)", "{}", route).replace("^", "").replace("$", "")


def filled(template: str, dice: random.Random) -> str:
    from urllib.parse import quote

    return "/" + re.sub(r"\{\w*\}", lambda _: quote(dice.choice(PATHS), safe="~"), template).lstrip("/")


def nonsense(dice: random.Random):
    return {key: dice.choice(VALUES) for key in dice.sample(KEYS, dice.randint(0, 8))}


@pytest.mark.parametrize("seed", range(4))
def test_the_api_answers_nonsense_with_4xx(shop, alice, seed, settings):
    settings.API_CALLS_PER_HOUR = 10**6
    allowance._buckets.clear()
    token = create_token(alice, by=alice)[1]
    client, dice = Client(raise_request_exception=False), random.Random(seed)
    calls = [
        (method, path)
        for _, router in platform_api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ]
    for method, path in calls:
        for _ in range(4):
            body = dice.choice([nonsense(dice), dice.choice(VALUES), [nonsense(dice)]])
            url = filled(path, dice)
            answer = client.generic(
                method,
                url,
                json.dumps(body),
                content_type="application/json",
                headers={
                    "Authorization": f"Bearer {token}",
                    "Range": dice.choice(TEXTS).replace("\0", "") or "id ..",
                    "Accept": "application/vnd.heroku+json; version=3",
                },
            )
            assert answer.status_code < 500, (seed, method, url, body, answer.content[:300])


@pytest.mark.parametrize("seed", range(3))
def test_pages_answer_nonsense_with_4xx(shop, alice, seed):
    client, dice = Client(raise_request_exception=False), random.Random(seed)
    client.force_login(alice)
    for template in dict.fromkeys(addresses(get_resolver("config.urls").url_patterns)):
        if template.startswith("admin/") or ".git/" in template or "sign-out" in template:
            continue
        for method in ("GET", "POST"):
            url, fields = filled(template, dice), {k: str(v) for k, v in nonsense(dice).items()}
            answer = client.get(url, fields) if method == "GET" else client.post(url, fields)
            assert answer.status_code < 500, (seed, method, url, fields)
            if answer.wsgi_request.user.is_anonymous:
                client.force_login(alice)


@pytest.mark.parametrize(
    "header",
    [
        "Accept",
        "Authorization",
        "Range",
        "If-None-Match",
        "X-Request-Id",
        "X-Forwarded-For",
        "Referer",
        "Cookie",
        "HX-Request",
        "Content-Type",
        "Host",
    ],
)
def test_headers_of_nonsense(shop, alice, header):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    for text in TEXTS:
        value = text.replace("\0", "").encode("utf-8", "replace").decode("latin-1")
        for path in ("/", "/pipelines/shop/", "/apps/shop-staging/config/", "/apps"):
            assert client.get(path, headers={header: value}).status_code < 500, (header, value, path)
