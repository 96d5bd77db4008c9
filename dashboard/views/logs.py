"""The log of an app, as it comes in and as text."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access
from apps import logs as store
from apps.models import Dyno
from dashboard import panels
from dashboard.http import PageRequest
from releases.stream_views import log_line

SOURCES = {"": "Everything", "app": "App", "router": "Router", "heroku": "Platform"}
LEVELS = {"": "Every line", "error": "Errors", "warning": "Warnings"}
SHOWN, SAVED = 300, 3000  # lines


@require_safe
@login_required
def logs(request: PageRequest, name: str) -> HttpResponse:
    """The last lines that match, and those that come; htmx gets the lines alone."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    asked = _asked(request)
    context = {
        **panels.frame(app, request.user, "logs"),
        "asked": asked,
        "query": _query(asked),
        "lines": SHOWN,
        "sources": SOURCES,
        "levels": LEVELS,
        "dynos": _dynos(app, asked["dyno"]),
    }
    return render(request, "apps/_logs.html" if request.htmx else "apps/logs.html", context)


@require_safe
@login_required
def text(request: PageRequest, name: str) -> HttpResponse:
    """The last lines that match, as a text file."""
    app = access.app_for(request.user, name, to=access.OPERATE)
    wanted = _query(_asked(request))
    found = store.store().search(
        app.log_stream,
        text=wanted["text"],
        level=wanted["level"],
        source=wanted["source"],
        dyno=wanted["dyno"],
        limit=SAVED,
    )
    answer = HttpResponse(
        "".join(f"{log_line(entry)}\n" for entry in found), content_type="text/plain; charset=utf-8"
    )
    answer.headers["Content-Disposition"] = f'attachment; filename="{app.name}.log"'
    return answer


def _asked(request: PageRequest) -> dict[str, str]:
    """What the address asks for; words that we do not know ask for everything."""
    text = {key: request.GET.get(key, "").strip()[:200] for key in ("q", "source", "dyno", "level")}
    text["source"] = text["source"] if text["source"] in SOURCES else ""
    text["level"] = text["level"] if text["level"] in LEVELS else ""
    return text


def _query(asked: dict[str, str]) -> dict[str, str]:
    """The same as the log store takes it: the router is a dyno of the platform's there."""
    router = asked["source"] == "router"
    return {
        "text": asked["q"],
        "level": asked["level"],
        "source": "heroku" if router else asked["source"],
        "dyno": "router" if router else asked["dyno"],
    }


def _dynos(app: Any, chosen: str) -> list[str]:
    """What can be chosen: process types, then dynos, then what the address asks for."""
    names = {dyno.name: dyno for dyno in Dyno.objects.filter(app=app).order_by("-created_at")[:100]}
    types = {dyno.type for dyno in names.values()}
    return sorted({*types, *names, *([chosen] if chosen else [])})
