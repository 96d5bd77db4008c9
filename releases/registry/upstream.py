"""The operator's registry, as we talk to it: one connection a call, with the credentials of the settings."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from django.conf import settings

from core.errors import Refusal

CONNECT_SECONDS = 10
ANSWER_SECONDS = 300  # it reads a whole layer again before it says that it has it
BLOCK = 256 * 1024
JSON_BYTES = 4 * 1024**2  # of a manifest or an image's description
MANIFESTS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


@dataclass(frozen=True)
class Body:
    """What goes along with a call: a file, and how many bytes of it."""

    file: IO[bytes]
    length: int


def ask(
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: Body | None = None,
) -> http.client.HTTPResponse:
    """Call the registry at `path`, the part behind `/v2/`; close the answer. `Refusal` (503) when it is away."""
    place = urlsplit(settings.REGISTRY_URL)
    target = f"{place.path.rstrip('/')}/v2/{quote(path, safe='/:=')}" + (
        f"?{urlencode(query)}" if query else ""
    )
    sent = {**(headers or {}), "Connection": "close", **_credentials()}
    if method in ("POST", "PUT", "PATCH"):
        sent["Content-Length"] = str(body.length if body else 0)
    try:
        connection = _connection(place.scheme, place.netloc)
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read everything
            connection.request(method, target, body=body.file if body else None, headers=sent)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as fault:
        raise away() from fault


def away() -> Refusal:
    """The registry does not answer."""
    return Refusal(
        "The image registry behind this Slipway does not answer. Try again in a minute.",
        id="registry_unavailable",
        status=503,
    )


def fetch(path: str, *, accept: str = MANIFESTS) -> tuple[dict[str, Any], str] | None:
    """The JSON at `path` and the digest that the registry gives for it; None when it is not there."""
    answer = ask("GET", path, headers={"Accept": accept})
    try:
        if answer.status == 404:
            return None
        data = answer.read(JSON_BYTES)
        found = json.loads(data) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise away() from fault
    finally:
        answer.close()
    if not isinstance(found, dict):
        raise away()
    return found, answer.headers.get("Docker-Content-Digest", "")


def _connection(scheme: str, place: str) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(place, timeout=CONNECT_SECONDS, blocksize=BLOCK)
    return http.client.HTTPSConnection(
        place, timeout=CONNECT_SECONDS, blocksize=BLOCK, context=ssl.create_default_context()
    )


def _credentials() -> dict[str, str]:
    if not settings.REGISTRY_AUTH:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(settings.REGISTRY_AUTH.encode()).decode()}
