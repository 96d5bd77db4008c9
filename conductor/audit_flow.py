"""The auditor's look at lines: nothing passes twice by itself, and nothing that waits is forgotten."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from conductor.audit import STUCK, Check, Violation
from flow.models import Line, Passage, Probe, Watch
from pipelines.models import Promotion
from releases.models import OPEN


def once() -> Iterator[Violation]:
    """I-07: each promotion that a line made by itself belongs to one passage, which it ended."""
    made: dict[Any, list[Passage]] = defaultdict(list)
    for passage in Passage.objects.exclude(promotion=None).select_related("source", "release", "line__stage"):
        made[passage.promotion_id].append(passage)
        if passage.state == Passage.State.OPEN:
            yield Violation("I-07", f"passage of {passage}", "it was promoted, and waits still")
    for promotion in Promotion.objects.filter(automatic=True).select_related("source", "release"):
        if len(made[promotion.pk]) > 1:
            yield Violation("I-07", str(promotion), "several passages were promoted by it")


def looked_at() -> Iterator[Violation]:
    """I-15: what waits at a line, or is watched or tried for it, is looked at when its time has come."""
    late = timezone.now() - STUCK
    for passage in Passage.objects.filter(state=Passage.State.OPEN, look_at__lt=late).select_related(
        "source", "release", "line__stage"
    ):
        yield Violation("I-15", f"passage of {passage}", "its time came, and nobody looked at it")
    for watch in Watch.objects.filter(status__in=OPEN, until__lt=late).select_related("app", "release"):
        yield Violation("I-15", str(watch), "its time is over, and it has not ended")
    ended = Probe.objects.filter(status__in=OPEN, passage__ended_at__lt=late)
    for probe in ended.select_related("gate", "passage__source", "passage__release", "passage__line__stage"):
        yield Violation("I-15", f"probe of {probe.passage}", "what it was for has ended, and it goes on")


def stale() -> Iterator[Violation]:
    """I-15: a line that has to be looked at is."""
    for line in Line.objects.filter(stale=True).select_related("stage__pipeline"):
        yield Violation("I-15", f"line {line} of {line.stage.pipeline}", "nobody looks at what waits there")


ROWS: tuple[Check, ...] = (once,)
RUNNING: tuple[Check, ...] = (looked_at, stale)  # while there is a conductor
