"""What those ask who watch over Slipway: whether it lives, whether it is ready, and its figures.

`/health/live` and `/health/ready` are for anybody and say no more than yes or no. `/metrics` wants the token in
SLIPWAY_METRICS_TOKEN; without one it is not there. All are answered before anything else is looked at, since probes
come by address, without a host name of ours, and must not depend on what they watch.
"""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from conductor import figures
from core import metrics, secrets

log = logging.getLogger(__name__)
requests = logging.getLogger("slipway.requests")
Respond = Callable[[HttpRequest], HttpResponse]
_migrated = False


class Monitoring:
    """Answers probes, counts every other request, and writes a line about it at level INFO."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/health/") or request.path == "/metrics":
            return _answer(request)
        started = time.monotonic()
        response = self.respond(request)
        _count(request, response, time.monotonic() - started)
        return response


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return _text("Only GET and HEAD are answered here.", 405)
    if request.path == "/health/live":
        return _text("ok")
    if request.path == "/health/ready":
        return _text("ok") if ready() else _text("not ready", 503)
    if request.path == "/metrics" and _may_read(request):
        return HttpResponse(metrics.text(figures.registry()), content_type=metrics.TYPE)
    return _text("There is nothing here.", 404)


def _text(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(
        f"{text}\n", status=status, content_type="text/plain", headers={"Cache-Control": "no-store"}
    )


def _may_read(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and scheme.lower() == "bearer" and secrets.same(token.strip(), wanted)


def ready() -> bool:
    """Whether requests can be served: the database answers and is of this version, and so does the bus. Why not is in
    the log."""
    global _migrated
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                log.warning("Not ready: the database has to be migrated, by `manage.py migrate`")
                return False
            _migrated = True
        cache.get("ready")
    except (DatabaseError, OSError) as error:
        log.warning("Not ready: %s", error)
        return False
    except Exception as error:  # of the Redis client, whose errors have no root in common with others
        log.warning("Not ready, Redis: %s", error)
        return False
    return True


def _count(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """By route, never by path: paths have names and one-time tokens in them."""
    match = request.resolver_match
    route = f"/{match.route.lstrip('/')}" if match else "none"
    method = request.method if request.method in metrics.METHODS else "other"
    metrics.REQUESTS.labels(method, route, response.status_code).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    fields = {
        "method": method,
        "route": route,
        "status": response.status_code,
        "ms": round(seconds * 1000, 1),
        "request_id": response.headers.get("X-Request-Id", ""),
    }
    requests.info("%s %s %s", method, route, response.status_code, extra={"fields": fields})
