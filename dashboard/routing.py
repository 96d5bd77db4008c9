"""Websockets of the pages."""

from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.urls import path

from dashboard.consumers import PageConsumer

websocket_urlpatterns = [path("ws/", PageConsumer.as_asgi())]


def exact_origin(app: Any) -> Any:
    """Refuse websockets (403) from any other origin than the dashboard's own: scheme, host and port must be those of
    the address that the page itself came from, or of `SLIPWAY_URL`. An app's page is another origin (I-45)."""

    async def checked(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        allowed = _is_own(scope)
        return await (app if allowed else WebsocketDenier())(scope, receive, send)

    return checked


def _is_own(scope: dict[str, Any]) -> bool:
    headers = {key.lower(): value.decode("latin1") for key, value in scope["headers"]}
    origin, host = headers.get(b"origin", ""), headers.get(b"host", "").lower()
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    return _parts(origin) in (_parts(settings.URL), _parts(f"{_scheme(scope, headers)}://{host}"))


def _scheme(scope: dict[str, Any], headers: dict[bytes, str]) -> str:
    forwarded = headers.get(b"x-forwarded-proto", "")  # the router sets it, and only the router reaches us
    return forwarded or ("https" if scope.get("scheme") == "wss" else "http")


def _parts(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no origin: nothing else may be in it."""
    try:
        found = urlsplit(url.lower())
        port = found.port or {"http": 80, "https": 443}.get(found.scheme, 0)
    except ValueError:
        return None
    nothing_else = not found.path and not found.query and not found.fragment and "@" not in found.netloc
    return (found.scheme, found.hostname, port) if found.hostname and port and nothing_else else None
