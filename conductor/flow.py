"""Lines: has what waits at them looked at when something has changed or its time has come, and promotes by itself."""

import logging
import threading
from typing import Any

from django.db import transaction
from django.utils import timezone

from conductor.work import Held
from core import activity, live
from flow import clock, passages, watching
from flow.models import Line, Passage, Watch

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks without a nudge: two cheap questions
SHOW_SECONDS = 30.0  # between two looks at whether a freeze has begun or ended
WATCH_SECONDS = 2.0  # between two looks at a target that is watched
WATCHES_AT_ONCE = 50


class Flow:
    """Done by the conductor that leads."""

    def __init__(self) -> None:
        self.woken = threading.Event()

    def look(self) -> None:
        """Take what is stale or due."""
        if clock.tick():
            log.warning("The clock has jumped: what has to last for a while is counted from now on")
            passages.make_due(Passage.objects.all())
        with activity.coming("conductor"):
            stale = Line.objects.filter(stale=True).values_list("pk", flat=True)
            for pk in list(stale[:200]):
                _safely(lambda pk=pk: passages.refresh(Line(pk=pk)))
            due = passages.due(timezone.now())
            for passage in due:
                _safely(lambda passage=passage: passages.look(passage))
            if len(due) == passages.AT_ONCE:
                self.woken.set()  # there are more


def show_all() -> None:
    """Have boards show freezes that began or ended meanwhile."""
    rows = Line.objects.filter(stage__pipeline__freezes__isnull=False).distinct()
    for line in rows.select_related("stage__pipeline").prefetch_related("gates"):
        passages.show(line)


def advance(held: Held) -> float | None:
    """Look at a watched target; None when its watch has ended."""
    watch = Watch.objects.select_related("app", "release", "line__stage__pipeline", "back_to__slug").get(
        pk=held.job.pk
    )
    watch.lease_token = held.job.lease_token
    if watching.look(watch):
        return None
    watch.record(attempt=0)
    return WATCH_SECONDS


def fail(watch: Any, reason: str) -> None:
    """End a watch that can't go on."""
    with transaction.atomic():
        watching.fail(watch, reason)
        live.tell(watch.app.topic)


def _safely(work: Any) -> None:
    """One line's trouble is not that of the others."""
    try:
        work()
    except Exception:
        log.exception("A line had trouble")
