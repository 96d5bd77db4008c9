"""What dynos used of memory: kept for some minutes at once, per process type, and read as points to draw."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.metrics import Span
from apps.models import App, MemoryUse

STEP = timedelta(minutes=5)
KEPT = timedelta(days=8)
Looks = Mapping[tuple[UUID, str], Sequence[int]]  # by app and process type: bytes of each dyno


@dataclass(frozen=True)
class Use:
    """Of one process type, from `at` on for one step. Both are bytes of a dyno, 0 where nobody looked."""

    at: datetime
    highest: int
    mean: float


@transaction.atomic
def add(looks: Looks, now: datetime) -> None:
    """Add one look at all dynos to the minutes that `now` lies in; apps that are gone have none."""
    at = _begin(now, STEP)
    apps = App.objects.filter(pk__in={app for app, _ in looks})
    alive = set(apps.values_list("pk", flat=True))
    rows = MemoryUse.objects.filter(app__in=alive, at=at).order_by("pk").select_for_update()
    found = {(row.app_id, row.type): row for row in rows}
    new = []
    for (app, type), used in looks.items():
        if app not in alive or not used:
            continue
        row = found.get((app, type))
        if row is None:
            new.append(
                MemoryUse(app_id=app, type=type, at=at, highest=max(used), total=sum(used), looks=len(used))
            )
        else:
            row.highest = max(row.highest, *used)
            row.total += sum(used)
            row.looks += len(used)
    MemoryUse.objects.bulk_update(found.values(), ["highest", "total", "looks"])
    MemoryUse.objects.bulk_create(new, ignore_conflicts=True)


def uses(app: App, span: Span, now: datetime) -> dict[str, list[Use]]:
    """For each process type that was seen in that time its points, oldest first, in steps of the span's or of 5 minutes.
    One query."""
    step = max(span.step, STEP)
    count = span.length // step
    first = _begin(now, step) - step * (count - 1)
    rows: dict[str, list[list[int]]] = defaultdict(lambda: [[0, 0, 0] for _ in range(count)])
    found = MemoryUse.objects.filter(app=app, at__gte=first, at__lte=now).order_by()
    for type, at, highest, total, looks in found.values_list("type", "at", "highest", "total", "looks"):
        sums = rows[type][(at - first) // step]
        sums[:] = max(sums[0], highest), sums[1] + total, sums[2] + looks
    return {
        type: [
            Use(first + step * place, highest, total / looks if looks else 0.0)
            for place, (highest, total, looks) in enumerate(rows[type])
        ]
        for type in sorted(rows, key=lambda type: (type != "web", type))
    }


def forget_old(app: App, now: datetime) -> None:
    """Delete what is older than it is kept, of one app."""
    MemoryUse.objects.filter(app=app, at__lt=now - KEPT).delete()


def _begin(now: datetime, step: timedelta) -> datetime:
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)
