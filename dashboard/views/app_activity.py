"""Everything that happened to an app."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps import access
from dashboard import feed, history, panels
from dashboard.history import Filter
from dashboard.http import PageRequest

PER_PAGE = 50
KINDS = ("", "promotions", "code", "config", "dynos", "access")  # of `history.KINDS`: those that apps have


@require_safe
@login_required
def activity(request: PageRequest, name: str) -> HttpResponse:
    """The app's events, newest first. The filters stand in the address."""
    app = access.app_for(request.user, name)
    wanted = Filter.of(request.GET)
    wanted.where = ""  # all of it is about this app
    found = wanted.apply(panels.events(app), {}).order_by("-at", "-pk")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    rows: list[dict[str, Any]] = [
        {"entry": entry, "url": history.place(entry.event, app.name), "keys": history.keys(entry.event)}
        for entry in feed.entries(page)
    ]
    context = {
        **panels.frame(app, request.user, "activity"),
        "page": page,
        "days": feed.by_day(rows),
        "wanted": wanted,
        "keep": wanted.query,
        "kinds": [(key, history.KINDS[key][0]) for key in KINDS],
        "ways": [(key, word) for key, (_, word) in feed.THROUGH.items()],
        **history.choices(panels.events(app), wanted),
    }
    return render(request, "apps/activity.html", context)
