"""Looks whether apps are beyond the bounds that people drew for them: see `apps.alerts`, which judges."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from apps import alerts
from apps.alerts import Count
from apps.models import Alert, Traffic
from core import activity
from engine.logstore import LogStore
from engine.logstore.search import Query

LOOK_SECONDS = 30.0
SEARCH_SECONDS = 0.3  # that one look at one log may take


def look(logs: LogStore, now: datetime | None = None) -> int:
    """Turn on and off what is to be; returns how many. One query where nobody asked for alerts, else two and what the
    changes take, and a search for each alert of a log. Safe to run twice, and in two places."""
    now = now or timezone.now()
    rows = list(
        Alert.objects.filter(app__destroyed_at=None, app__suspended_at=None).select_related("app").order_by()
    )
    if not rows:
        return 0
    counts, done = _counts(rows, now), 0
    for row in rows:
        if row.kind == Alert.Kind.LOG:
            found = alerts.of_lines(row, _lines(logs, row, now))
        else:
            found = alerts.of_counts(row, counts[row.app_id], now)
        with activity.coming("conductor"):
            done += alerts.note(row, found, now=now)
    return done


def _counts(rows: Sequence[Alert], now: datetime) -> Mapping[UUID, list[Count]]:
    """What the router counted, of each app whose figures are looked at."""
    found: dict[UUID, list[Count]] = defaultdict(list)
    asked = [row for row in rows if row.kind != Alert.Kind.LOG]
    if asked:
        first = min(alerts.first_minute(row, now) for row in asked)
        counted = Traffic.objects.filter(app__in={row.app_id for row in asked}, minute__gte=first).order_by()
        for app_id, *count in counted.values_list("app_id", "minute", "requests", "errors", "spread"):
            found[app_id].append(Count(*count))
    return found


def _lines(logs: LogStore, row: Alert, now: datetime) -> int:
    """How many lines match, up to the bound."""
    since = (now - timedelta(minutes=row.minutes)).timestamp()
    query = Query(row.text.encode(), since=since)
    return len(logs.find(row.app.log_stream, query, limit=row.bound, seconds=SEARCH_SECONDS).entries)
