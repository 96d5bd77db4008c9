"""How long work takes, judged by how long it took before. Nothing to go by, nothing said."""

from collections.abc import Iterable, Mapping
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
    rows = _builds(apps) if kind == "build" or kind in BUILD_STEPS else _releases(apps)
    past: dict[UUID, list[float]] = {}
    for row in rows:
        seconds = _took(row) if kind in WHOLE else _steps(row).get(kind)
        if seconds is not None:
            past.setdefault(row["app_id"], []).append(seconds)
    return {app: Estimate(median(times), len(times)) for app, times in past.items()}


def of_build(app: App) -> dict[str, Estimate]:
    """What to expect of the next build of `app`: as a whole (`build`) and step by step, in one query."""
    return _all("build", _builds([app.pk]))


def of_release(app: App) -> dict[str, Estimate]:
    """The same of its next release: `release`, and each step's name."""
    return _all("release", _releases([app.pk]))


def _all(whole: str, rows: Iterable[dict[str, Any]]) -> dict[str, Estimate]:
    past: dict[str, list[float]] = {}
    for row in rows:
        known = {name: seconds for name, seconds in _steps(row).items() if name not in WHOLE}
        for name, seconds in (known | {whole: _took(row)}).items():
            past.setdefault(name, []).append(seconds)
    return {name: Estimate(median(times), len(times)) for name, times in past.items()}


def _builds(apps: Iterable[UUID]) -> Iterable[dict[str, Any]]:
    return _last(apps, Build.objects.filter(status=Build.Status.SUCCEEDED))


def _releases(apps: Iterable[UUID]) -> Iterable[dict[str, Any]]:
    """A release without a slug starts nothing, so it tells nothing."""
    return _last(apps, Release.objects.filter(status__in=["succeeded", "expired"], slug__isnull=False))


def _last(apps: Iterable[UUID], ended: Any) -> Iterable[dict[str, Any]]:
    nth = Window(RowNumber(), partition_by=F("app"), order_by=F("created_at").desc())
    told = ended.filter(app__in=list(apps), finished_at__isnull=False, started_at__isnull=False)
    last = told.order_by().annotate(nth=nth).filter(nth__lte=RUNS)
    rows: Iterable[dict[str, Any]] = last.values("app_id", "steps", "started_at", "finished_at")
    return rows


def _took(row: Mapping[str, Any]) -> float:
    return float((row["finished_at"] - row["started_at"]).total_seconds())


def _steps(row: Mapping[str, Any]) -> dict[str, float]:
    return {step["name"]: step["seconds"] for step in row["steps"] if step.get("seconds") is not None}
