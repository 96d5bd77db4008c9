"""How an app has done lately: requests, errors and response times as the router saw them, and crashes of its dynos."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.models import App, Crash, Traffic

# Milliseconds: an answer that took up to the first bound counts in the first place, one beyond the last in the last.
BOUNDS = (
    5,
    10,
    20,
    35,
    50,
    75,
    100,
    150,
    200,
    300,
    500,
    750,
    1000,
    1500,
    2000,
    3000,
    5000,
    10_000,
    20_000,
    30_000,
)
QUANTILE = 0.95


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


def place(milliseconds: float) -> int:
    """Where in a spread an answer counts that took so long."""
    return bisect_left(BOUNDS, milliseconds)


def figures(app: App, since: datetime, *, version: int | None = None) -> Figures:
    """How `app` has done since then, or only its release `version` and those after it. Two queries. The minute that `since` lies in counts as
    a whole where no version is given apart from the others, so a release's own figures are asked for by its version."""
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
