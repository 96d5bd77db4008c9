"""What lines have against a promotion, by hand or by themselves: asked through `pipelines.guards`.

A promotion has to pass every line on its way: those into each stage right of the source's, up to the target's. Back or
within a stage only the target's own stops count. Holds and freezes keep everybody out but who overrides them.
"""

from collections.abc import Iterator

from django.utils import timezone

from flow import gates, passages, stops
from flow.models import Line
from pipelines.guards import Attempt
from pipelines.models import Stage
from releases.requirements import missing_required


def ask(attempt: Attempt) -> Iterator[str]:
    """The reasons against `attempt`, in sentences."""
    if attempt.override:
        return
    now = timezone.now()
    stage = attempt.target.stage
    yield from stops.against(stage, now)
    for line in _lines_between(attempt.source.stage, stage):
        yield from _gates_against(line, attempt)
    if Line.objects.filter(stage=stage, needs_config=True).exists():
        yield from _lacking(attempt)


def _lines_between(source: Stage, target: Stage) -> list[Line]:
    rows = Line.objects.filter(
        stage__pipeline=target.pipeline_id,
        stage__position__gt=source.position,
        stage__position__lte=target.position,
    )
    return list(rows.select_related("stage__pipeline").prefetch_related("gates"))


def _gates_against(line: Line, attempt: Attempt) -> Iterator[str]:
    slug = attempt.release.slug
    if slug is None:
        return
    passage = passages.for_attempt(line, attempt.source, slug)
    case = gates.Case(line, attempt.source.app, slug, passage, timezone.now())
    for gate in line.gates.all():
        state = gates.state_of(gate, case)
        if not state.passed:
            yield f"{line.stage.title} asks for {state.rule}: {state.words.rstrip('.')}."


def _lacking(attempt: Attempt) -> Iterator[str]:
    names = missing_required(attempt.release, attempt.target.app)
    if names:
        app = attempt.target.app.name
        yield f"{app} lacks config vars that app.json requires: {', '.join(names[:10])}."
