"""Who may do what with tests: whoever may view the pipeline sees runs, whoever may deploy in it starts and stops them
and knows the config vars that they get, and whoever manages it decides when they run."""

from uuid import UUID

from accounts.models import User
from ci.models import TestNode, TestRun
from core.errors import NotFound
from pipelines import access as pipeline_access
from pipelines.access import DEPLOY, MANAGE, VIEW
from pipelines.models import Pipeline

__all__ = ["DEPLOY", "MANAGE", "VIEW", "may_read", "run_for", "run_in"]


def run_for(user: User, ref: UUID | str, *, to: str = VIEW) -> TestRun:
    """The run with this id, for `user` to `to` in its pipeline. Foreign and absent are the same `NotFound`."""
    try:
        run = TestRun.objects.select_related("pipeline", "by").filter(pk=UUID(str(ref))).first()
    except ValueError:
        run = None
    if run is None:
        raise NotFound("Couldn't find that test run.", resource="test_run")
    try:
        run.pipeline = pipeline_access.pipeline_for(user, str(run.pipeline_id), to=to)
    except NotFound:
        raise NotFound("Couldn't find that test run.", resource="test_run") from None
    return run


def run_in(pipeline: Pipeline, number: int) -> TestRun:
    """The run with this number, of a pipeline at hand."""
    run = TestRun.objects.select_related("by", "rerun_of", "app", "build").filter(
        pipeline=pipeline, number=number
    )
    found = run.first()
    if found is None:
        raise NotFound(f"{pipeline.name} has no test run {number}.", resource="test_run")
    found.pipeline = pipeline
    return found


def may_read(user: User, kind: str, ref: str) -> None:
    """Raise a `Refusal` when `user` may not read this output: whoever sees the run may."""
    run_for(user, ref if kind == "test" else _run_of(ref))


def _run_of(node: str) -> UUID:
    found = TestNode.objects.filter(pk=node).values_list("run", flat=True).first()
    if found is None:
        raise NotFound("Couldn't find that stream.", resource="stream")
    return found
