"""The application that Daphne serves: pages, API and git over HTTP, nudges and logs over websockets."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from api.ci_events import CiEvents  # noqa: E402
from dashboard.routing import exact_origin, websocket_urlpatterns  # noqa: E402

pages = exact_origin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
websockets = URLRouter([path("ci-events/websocket", CiEvents.as_asgi()), re_path("", pages)])
application = ProtocolTypeRouter({"http": http, "websocket": websockets})
