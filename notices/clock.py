"""What is told by the clock: freezes that begin and end, and each day's summary."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from flow import hours
from flow.models import Freeze
from notices.events import SUMMARY
from notices.models import Notice, Preference
from notices.occasions import Occasion
from notices.outbox import notice_of, put

EVERY_SECONDS = 20.0
LATE = timedelta(hours=1)  # what is older than that nobody needs to hear


def look(now: datetime | None = None) -> None:
    """Have told what has become due. The same again does nothing."""
    now = now or timezone.now()
    current = Q(starts_at=None) | Q(starts_at__lte=now, ends_at__gte=now - LATE)
    for freeze in Freeze.objects.filter(current):
        for occasion in turns(freeze, now):
            put(occasion)
    if settings.MAIL and now.hour >= settings.SUMMARY_HOUR:
        _summaries(now)


def turns(freeze: Freeze, now: datetime) -> Iterator[Occasion]:
    """When it began and ended, of late."""
    at = max(now - LATE, freeze.created_at)
    while (turn := hours.turns_at(freeze, at)) is not None and turn <= now:
        event = "freeze-began" if hours.frozen(freeze, turn) else "freeze-ended"
        yield Occasion(event, freeze, freeze.pipeline_id, time=turn.isoformat())
        at = turn


def _summaries(now: datetime) -> None:
    """One for each person who wants one of something, each day."""
    day = now.date().isoformat()
    done = Notice.objects.filter(event=SUMMARY, occasion=day).values("user")
    wanting = Preference.objects.filter(summary=True, user__is_active=True).exclude(user__in=done)
    people = {row.user for row in wanting.select_related("user")}
    rows = [notice_of(Occasion(SUMMARY, user, time=day), user=user) for user in people]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)
