"""Build caches on the platform's own disk: one of each app, and one of each pipeline that its test runs hand on.

A test run builds in an app that is made for it and goes with it. So the cache that a run leaves is renamed to be its
pipeline's, and the next run renames it to be its own: a cache has one owner at any time. Of runs at the same time the
first has it, and the others begin with nothing. A Docker engine keeps caches as volumes, which can't be renamed.
"""

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from apps.models import TEST, App
from ci.models import TestRun
from pipelines.models import Pipeline

_OF_TESTS = "tests-"


def cache_of(data: Path, app_id: UUID) -> Path:
    """Where the builds of an app keep what the next one may need."""
    return data / "caches" / str(app_id)


def take(data: Path, app: App) -> None:
    """Have the app of a test run begin with what the last run left, if no other run has it now. No effect on other
    apps, nor on one that has a cache already."""
    if (kept := _kept(data, app)) and not (mine := cache_of(data, app.pk)).exists():
        with suppress(OSError):
            kept.rename(mine)


def hand_on(data: Path, app: App) -> None:
    """Leave the cache of a test run's app to the next run. No effect on other apps."""
    mine = cache_of(data, app.pk)
    if (kept := _kept(data, app)) and mine.exists():
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):  # another run was faster
            mine.rename(kept)


def drop(data: Path, app_id: UUID) -> None:
    """Remove the cache of an app that is gone."""
    shutil.rmtree(cache_of(data, app_id), ignore_errors=True)


def drop_of_gone_pipelines(data: Path) -> None:
    """Remove what test runs have left to pipelines that are gone."""
    alive = {f"{_OF_TESTS}{pk}" for pk in Pipeline.objects.values_list("pk", flat=True)}
    for folder in (data / "caches").glob(f"{_OF_TESTS}*"):
        if folder.name not in alive:
            shutil.rmtree(folder, ignore_errors=True)


def _kept(data: Path, app: App) -> Path | None:
    run = TestRun.objects.filter(app=app).only("pipeline_id").first() if app.ephemeral == TEST else None
    return data / "caches" / f"{_OF_TESTS}{run.pipeline_id}" if run else None
