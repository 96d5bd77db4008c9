"""Build caches: one of each app, and one of each pipeline that its test runs hand on.

A test run builds in an app that is made for it and goes with it, so it builds with its pipeline's cache. A cache has one
owner at any time: of runs at the same time the first has it, as its row says, and the others begin with nothing. On the
platform's own disk a cache is a folder, on a Docker engine a volume; both go by the same name.
"""

import shutil
from pathlib import Path

from apps.models import TEST, App
from ci.models import TestRun
from pipelines.models import Pipeline

_OF_TESTS = "tests-"


def folder_of(data: Path, name: str) -> Path:
    """Where a cache is on the platform's own disk."""
    return data / "caches" / name


def take(app: App) -> str:
    """The name of the cache that a build of the app works with: its own, or its pipeline's for the app of a test run, if no
    other run has it now. The same answer for each try of a build."""
    run = _run_of(app)
    return f"{_OF_TESTS}{run.pipeline_id}" if run and run.take_cache() else str(app.pk)


def hand_on(app: App) -> None:
    """Let the next test run have the pipeline's cache. No effect on other apps."""
    if run := _run_of(app):
        run.leave_cache()


def drop(data: Path, app: str) -> None:
    """Remove the cache of an app that is gone."""
    shutil.rmtree(folder_of(data, app), ignore_errors=True)


def of_pipelines() -> set[str]:
    """The names of those that test runs leave to each other."""
    return {f"{_OF_TESTS}{pk}" for pk in Pipeline.objects.values_list("pk", flat=True)}


def drop_of_gone_pipelines(data: Path) -> None:
    """Remove what test runs have left on the platform's disk to pipelines that are gone."""
    folders = list((data / "caches").glob(f"{_OF_TESTS}*"))
    alive = of_pipelines()  # asked afterwards: a pipeline made meanwhile keeps its folder
    for folder in folders:
        if folder.name not in alive:
            shutil.rmtree(folder, ignore_errors=True)


def _run_of(app: App) -> TestRun | None:
    return TestRun.objects.filter(app=app).first() if app.ephemeral == TEST else None
