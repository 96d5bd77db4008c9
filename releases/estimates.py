"""How long work takes, judged by how long it took before. Nothing to go by, nothing said."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from apps.models import App
from releases.models import Build, Release

RUNS = 5  # the last ones that ended well
WHOLE = ("build", "release")
BUILD_STEPS = ("fetch source", "compile")


@dataclass(frozen=True)
class Estimate:
    """What the last runs make one expect."""

    seconds: float
    runs: int


def seconds_expected(app: App, kind: str) -> float | None:
    """How many seconds a build (`build`), a release (`release`) or a step of one (`compile`, `release phase` …) of
    `app` takes as a rule: the median of its last five that ended well. None when there were none."""
    found = expected(app, kind)
    return found.seconds if found else None


def expected(app: App, kind: str) -> Estimate | None:
    """The same with the number of runs that it is drawn from."""
    return expected_for([app.pk], kind).get(app.pk)


def expected_for(apps: Iterable[UUID], kind: str) -> dict[UUID, Estimate]:
    """The same for many apps, in one query; those without a past are left out."""
    past: dict[UUID, list[float]] = {}
    for row in _last(list(apps), kind):
        seconds = _took(row, kind)
        if seconds is not None:
            past.setdefault(row["app_id"], []).append(seconds)
    return {app: Estimate(median(times), len(times)) for app, times in past.items()}


def _last(apps: list[UUID], kind: str) -> Any:
    """The last runs of each app. A release without a slug starts nothing, so it tells nothing."""
    ended: Any = Release.objects.filter(status__in=["succeeded", "expired"], slug__isnull=False)
    if kind == "build" or kind in BUILD_STEPS:
        ended = Build.objects.filter(status=Build.Status.SUCCEEDED)
    nth = Window(RowNumber(), partition_by=F("app"), order_by=F("created_at").desc())
    told = ended.filter(app__in=apps, finished_at__isnull=False, started_at__isnull=False)
    last = told.order_by().annotate(nth=nth).filter(nth__lte=RUNS)
    return last.values("app_id", "steps", "started_at", "finished_at")


def _took(row: dict[str, Any], kind: str) -> float | None:
    if kind in WHOLE:
        return (row["finished_at"] - row["started_at"]).total_seconds()
    return next((step["seconds"] for step in row["steps"] if step["name"] == kind), None)
