"""The figures of the operators' first page: a dozen small questions, whatever there is in the tables."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, F, Min, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.models import App, Dyno
from config.admin_site import checkups, machine
from core.models import Event
from pipelines.models import PromotionTarget
from releases.models import Build, Release

SHOWN = 10  # rows of each list
QUEUES = (
    ("Builds", Build, "admin:releases_build_changelist"),
    ("Releases", Release, "admin:releases_release_changelist"),
    ("Promotions", PromotionTarget, "admin:pipelines_promotion_changelist"),
)
STATES = ("up", "starting", "crashed", "idle", "down")
LOOPING = 2  # crashes in a row


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What unfold asks for before it draws the first page."""
    return {**context, **figures()}


def figures() -> dict[str, Any]:
    """All that the page shows, as it is now."""
    from conductor import (
        status,  # which loads what reaches the engine; commands load this module at their start
    )

    running = status.read()
    return {
        "queues": [_queue(*queue) for queue in QUEUES],
        "builds": list(_building()),
        "dynos": _dynos(),
        "failing": failing(),
        "suspended": App.objects.alive().exclude(suspended_at=None).count(),
        "events": list(Event.objects.order_by("-at")[: SHOWN + 2]),
        "conductor": machine.conductor(running),
        "node": machine.node(running),
        "disk": machine.disk(),
        "backup": checkups.backup(),
        "doctor": checkups.context(),
        "versions": machine.versions(connection.vendor),
        "now": timezone.now(),
    }


def _queue(title: str, model: Any, url: str) -> dict[str, Any]:
    rows = model.objects.filter(status__in=["pending", "running"])
    found = rows.aggregate(
        pending=Count("pk", filter=Q(status="pending")),
        running=Count("pk", filter=Q(status="running")),
        oldest=Min("created_at", filter=Q(status="pending")),
    )
    return {"title": title, "url": reverse(url), **found, "waiting": _age(found["oldest"])}


def _age(since: datetime | None) -> float | None:
    """Seconds since then."""
    return (timezone.now() - since).total_seconds() if since else None


def _building() -> Any:
    rows = Build.objects.filter(status="running").select_related("app", "source", "by")
    return rows.order_by("started_at")[:SHOWN]


def _dynos() -> list[dict[str, Any]]:
    rows = Dyno.objects.exclude(one_off=True, state="down").order_by()
    found = dict(rows.values_list("state").annotate(n=Count("pk")))
    url = reverse("admin:apps_dyno_changelist")
    return [
        {"state": state, "count": found.get(state, 0), "url": f"{url}?state__exact={state}"}
        for state in STATES
        if state in found or state in ("up", "crashed")
    ]


def failing() -> list[dict[str, Any]]:
    """Apps that crash again and again, and those whose last release failed, each with its reason."""
    crashing = Dyno.objects.filter(
        state="crashed", crashes__gte=LOOPING, one_off=False, app__destroyed_at=None
    ).select_related("app")
    failed = Release.objects.filter(
        status="failed", version=F("app__last_version"), app__destroyed_at=None, app__suspended_at=None
    ).select_related("app")
    found = [
        {
            "app": dyno.app,
            "what": f"{dyno.name} crashed {dyno.crashes} times in a row",
            "why": dyno.reason,
            "at": dyno.state_at,
        }
        for dyno in crashing.order_by("-state_at")[:SHOWN]
    ]
    found += [
        {"app": row.app, "what": f"v{row.version} failed", "why": row.reason, "at": row.finished_at}
        for row in failed.defer("sealed_config").order_by("-finished_at")[:SHOWN]
    ]
    return found
