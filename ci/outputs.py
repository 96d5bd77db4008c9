"""The output of test runs: whether more of it will come."""

from ci.models import TestNode, TestRun


def is_over(kind: str, ref: str) -> bool:
    """Whether no line will follow: a run's set-up is over when its tests have begun."""
    if kind == "test":
        run = TestRun.objects.filter(pk=ref).first()
        return run is None or run.is_over or run.running_at is not None
    node = TestNode.objects.select_related("run").filter(pk=ref).first()
    return node is None or node.finished_at is not None or node.run.is_over
