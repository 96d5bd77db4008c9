"""How an app has done lately: requests, errors and response times as the router saw them, and crashes of its dynos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from uuid import UUID

from django.db import transaction

from apps.models import App, Crash, Traffic
from engine.tally import BOUNDS, Count, Key

QUANTILE = 0.95
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Figures:
    """Of a span of time."""

    requests: int = 0
    errors: int = 0
    p95: int | None = None  # milliseconds: the bound that 95 % of the answers kept to; None without requests
    crashes: int = 0

    @property
    def error_rate(self) -> float:
        """Percent of the answers."""
        return 100 * self.errors / self.requests if self.requests else 0.0


def figures(app: App, since: datetime, *, version: int | None = None) -> Figures:
    """How `app` has done since then, or only its release `version` and those after it. Two queries. The minute that
    `since` lies in counts as a whole, so a release's own figures are asked for by its version."""
    rows = Traffic.objects.filter(app=app, minute__gte=since.replace(second=0, microsecond=0))
    crashes = Crash.objects.filter(app=app, at__gte=since)
    if version is not None:
        rows, crashes = (
            rows.filter(release_version__gte=version),
            crashes.filter(release_version__gte=version),
        )
    found = list(rows.values_list("requests", "errors", "spread"))
    spread = [0] * (len(BOUNDS) + 1)
    for _, _, counts in found:
        for at, count in enumerate(counts[: len(spread)]):
            spread[at] += count
    return Figures(
        sum(row[0] for row in found), sum(row[1] for row in found), quantile(spread), crashes.count()
    )


def quantile(spread: Sequence[int]) -> int | None:
    """The bound in milliseconds that 95 % of the answers kept to; None where there are none. Beyond the last bound it is
    told as that."""
    total, so_far = sum(spread), 0
    if not total:
        return None
    for bound, count in zip(BOUNDS, spread, strict=False):
        so_far += count
        if so_far >= QUANTILE * total:
            return bound
    return BOUNDS[-1]


@transaction.atomic
def add(counts: Mapping[Key, Count]) -> None:
    """Add what a router counted to the rows of its minutes; apps that are gone have none. Whatever else adds at the same
    time, nothing is lost."""
    alive = set(App.objects.filter(pk__in={UUID(app) for app, _, _ in counts}).values_list("pk", flat=True))
    wanted = {
        (UUID(app), datetime.fromtimestamp(minute * 60, UTC), release): count
        for (app, release, minute), count in counts.items()
        if UUID(app) in alive
    }
    Traffic.objects.bulk_create(
        [Traffic(app_id=app, minute=minute, release_version=release) for app, minute, release in wanted],
        ignore_conflicts=True,
    )
    chosen = Traffic.objects.filter(
        app__in={key[0] for key in wanted}, minute__in={key[1] for key in wanted}
    ).order_by("pk")
    rows = []
    for row in chosen.select_for_update():
        count = wanted.get((row.app_id, row.minute, row.release_version))
        if count is not None:
            row.requests += count.requests
            row.errors += count.errors
            row.spread = [a + b for a, b in zip_longest(row.spread, count.spread, fillvalue=0)]
            rows.append(row)
    Traffic.objects.bulk_update(rows, ["requests", "errors", "spread"])


def forget_old(app: App, now: datetime) -> None:
    """Delete what is older than it is kept, of one app."""
    Traffic.objects.filter(app=app, minute__lt=now - KEPT).delete()
    Crash.objects.filter(app=app, at__lt=now - KEPT).delete()
