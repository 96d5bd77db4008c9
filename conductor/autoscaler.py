"""Scales web dynos for those who asked for it: see `apps.autoscale`, which decides."""

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import UUID

from django.db.models import Exists, Max, OuterRef, Q, Subquery
from django.utils import timezone

from apps import autoscale
from apps.autoscale import Rule, Spread
from apps.models import Autoscale, Dyno, Formation, Traffic
from apps.scaling import WEB
from core import activity
from releases.models import Release

LOOK_SECONDS = 10.0


def look(poke: Callable[[UUID], None], now: datetime | None = None) -> int:
    """Change what is to be changed, and have the keeper look; returns how many apps. One query where nobody asked for
    autoscaling, else two and what the changes take. Safe to run twice, and in two places."""
    now = now or timezone.now()
    rows = _candidates()
    if not rows:
        return 0
    figures, done = _figures(rows, now), 0
    for row in rows:
        since = max(filter(None, (row.changed_at, row.up_at)), default=None)
        rule = Rule(row.minimum, row.maximum, row.p95)
        step = autoscale.decide(rule, row.quantity, figures[row.app_id], since=since, now=now)
        if step is None:
            continue
        with activity.coming("conductor"):
            taken = autoscale.take(row, step, seen=row.quantity, now=now)
        if taken:
            poke(row.app_id)
            done += 1
    return done


def _candidates() -> list[Any]:
    """Rows of `Autoscale` whose web dynos serve and are not about to start: not of apps asleep, in maintenance, halted, or
    between releases. Each with its `quantity` now, and `up_at`, when the last of its dynos came up."""
    web = Dyno.objects.filter(app=OuterRef("app"), type=WEB, one_off=False)
    under_way = Release.objects.open().filter(app=OuterRef("app"))
    quantity = Formation.objects.filter(app=OuterRef("app"), type=WEB, quantity__gt=0).values("quantity")
    up = Q(app__dynos__type=WEB, app__dynos__one_off=False, app__dynos__state=Dyno.State.UP)
    rows = Autoscale.objects.filter(
        ~Exists(under_way),
        ~Exists(web.filter(state=Dyno.State.STARTING)),
        enabled=True,
        app__destroyed_at=None,
        app__suspended_at=None,
        app__asleep_since=None,
        app__maintenance=False,
    )
    rows = rows.annotate(quantity=Subquery(quantity), up_at=Max("app__dynos__state_at", filter=up))
    return list(rows.exclude(quantity=None).exclude(up_at=None).select_related("app__user", "app__team"))


def _figures(rows: list[Any], now: datetime) -> Mapping[UUID, Mapping[datetime, Spread]]:
    """The answers of the last minutes, of each app."""
    found: dict[UUID, dict[datetime, Spread]] = {row.app_id: {} for row in rows}
    first = now - (autoscale.CALM_MINUTES + 1) * autoscale.MINUTE
    counts = Traffic.objects.filter(app__in=found, minute__gte=first)
    for app_id, minute, spread in counts.values_list("app_id", "minute", "spread"):
        so_far = found[app_id].get(minute, ())
        found[app_id][minute] = [a + b for a, b in zip_longest(so_far, spread, fillvalue=0)]
    return found
