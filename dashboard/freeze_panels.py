"""What the page of freezes and holds shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.utils import timezone

from accounts.access import DEPLOY, MANAGE
from dashboard.forms import Form
from dashboard.gate_forms import DAYS
from flow.hours import frozen
from flow.models import Freeze, Hold
from pipelines.models import Pipeline, Stage

PER_PAGE = 30
FIELDS = {
    "name": "",
    "stage": "",
    "zone": "UTC",
    "how": "weekly",
    "from": "00:00",
    "to": "24:00",
    "starts_at": "",
    "ends_at": "",
}


@dataclass(frozen=True)
class Row:
    """A freeze in words, whether it is in force now, and whether it is over for good."""

    freeze: Freeze
    words: str
    now: bool
    over: bool


def context(
    pipeline: Pipeline, rights: frozenset[str], form: Form, days: Sequence[str], page: str
) -> dict[str, Any]:
    """The freezes, the holds that stand, and those that were lifted. `form` holds what was turned down."""
    freezes = Freeze.objects.filter(pipeline=pipeline).select_related("stage", "by").order_by("-created_at")
    holds = Hold.objects.filter(pipeline=pipeline).select_related("line__stage", "by", "lifted_by", "app")
    lifted = Paginator(holds.filter(lifted_at__isnull=False), PER_PAGE).get_page(page)
    return {
        "pipeline": pipeline,
        "tab": "settings",
        "section": "freezes",
        "freezes": [_row(freeze) for freeze in freezes[:PER_PAGE]],
        "holds": list(holds.filter(lifted_at__isnull=True)[:PER_PAGE]),
        "page": lifted,
        "stages": Stage.objects.filter(pipeline=pipeline).exclude(word=Stage.Word.REVIEW),
        "days": list(enumerate(DAYS)),
        "chosen": [int(day) for day in days if day in tuple("0123456")],
        "form": form,
        "may_manage": MANAGE in rights,
        "may_stop": DEPLOY in rights,
    }


def _row(freeze: Freeze) -> Row:
    now = timezone.now()
    over = freeze.ends_at is not None and freeze.ends_at < now
    return Row(freeze, in_words(freeze), frozen(freeze, now), over)


def in_words(freeze: Freeze) -> str:
    """When it is: “every Saturday and Sunday”, “24 December 2026, 12:00 to 27 December 2026, 08:00”."""
    if freeze.starts_at is not None and freeze.ends_at is not None:
        zone = ZoneInfo(freeze.zone)
        start, end = freeze.starts_at.astimezone(zone), freeze.ends_at.astimezone(zone)
        return f"{start:%-d %B %Y, %H:%M} to {end:%-d %B %Y, %H:%M}, {freeze.zone}"
    daily = len(freeze.days) == len(DAYS)
    *first, last = ["day"] if daily else [DAYS[day] for day in sorted(freeze.days)]
    days = f"{', '.join(first)} and {last}" if first else last
    whole = freeze.from_minute == 0 and freeze.to_minute == 24 * 60
    hours = "all day" if whole else f"{_clock(freeze.from_minute)} to {_clock(freeze.to_minute)}"
    return f"Every {days}, {hours}, {freeze.zone}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
