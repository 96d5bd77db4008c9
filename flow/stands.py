"""How the lines of a pipeline stand, for boards: two queries, from the copies that are kept of rules, stops and gates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flow import gates, passages
from flow.gates import GateState
from flow.models import Line, Passage
from pipelines.models import Pipeline


@dataclass(frozen=True)
class Stop:
    """Why a line stands: a hold, or a freeze (which has no cause)."""

    id: str
    words: str
    cause: str = ""
    by: str = ""
    at: str = ""
    whole: bool = False  # all of the pipeline


@dataclass(frozen=True)
class Standing:
    """A passage and its gates."""

    passage: Passage
    gates: list[GateState]

    @property
    def holds(self) -> bool:
        """Whether every gate holds."""
        return all(state.passed for state in self.gates)

    @property
    def failed(self) -> list[GateState]:
        """Those that something has to change for."""
        return [state for state in self.gates if state.state == gates.FAILED]

    @property
    def waiting(self) -> list[GateState]:
        """Those that may still come to hold."""
        return [state for state in self.gates if state.state == gates.WAITING]

    @property
    def why(self) -> str:
        """What it waits for, in words; empty when every gate holds."""
        return "; ".join(state.words for state in (*self.failed, *self.waiting))


@dataclass(frozen=True)
class Stand:
    """A line into a stage."""

    line: Line
    rules: list[str]
    holds: list[Stop] = field(default_factory=list)
    freezes: list[Stop] = field(default_factory=list)
    passages: list[Standing] = field(default_factory=list)

    @property
    def state(self) -> str:
        """For its colour: held, frozen, shut (a gate fails), waiting, or else auto, ask, hand."""
        if self.holds:
            return "held"
        if self.freezes:
            return "frozen"
        if any(one.failed for one in self.passages):
            return "shut"
        if any(one.waiting for one in self.passages):
            return "waiting"
        return str(self.line.mode)


def stands(pipeline: Pipeline) -> Mapping[Any, Stand]:
    """Each line of the pipeline, by the id of the stage that it leads into; stages without a line have none."""
    return stands_of([pipeline])


def stands_of(pipelines: Iterable[Pipeline]) -> Mapping[Any, Stand]:
    """The same of several pipelines together, in two queries too."""
    wanted = list(pipelines)
    lines = Line.objects.filter(stage__pipeline__in=wanted).select_related("stage")
    waiting = passages.open_in(wanted)
    return {line.stage_id: stand_of(line, waiting.get(line.pk, [])) for line in lines}


def stand_of(line: Line, rows: list[Passage]) -> Stand:
    """How a line at hand stands; `rows` are its open passages."""
    shown = line.shown
    for row in rows:
        row.line = line
    return Stand(
        line,
        [rule["rule"] for rule in shown.get("rules", [])],
        [
            Stop(one["id"], one["reason"], one["cause"], one["by"], one["at"], one["all"])
            for one in shown.get("holds", [])
        ],
        [Stop(one["id"], one["name"]) for one in shown.get("freezes", [])],
        [Standing(row, [gates.restored(found) for found in row.shown]) for row in rows],
    )
