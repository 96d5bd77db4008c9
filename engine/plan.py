"""What to start and what to stop: a pure function."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.spec import DynoState, ProcessSpec

ALIVE = frozenset({"starting", "up"})


@dataclass(frozen=True)
class Plan:
    """The way from what is found to what is wanted."""

    start: tuple[ProcessSpec, ...]
    stop: tuple[str, ...]  # ids that run and are not wanted
    forget: tuple[str, ...]  # ids that have ended and are not wanted


def plan(wanted: Sequence[ProcessSpec], found: Iterable[DynoState]) -> Plan:
    """Compare by id. What has ended is not started again under the same id: a new start is a new id."""
    states = {state.id: state.state for state in found}
    ids = {spec.id for spec in wanted}
    return Plan(
        start=tuple(spec for spec in wanted if spec.id not in states),
        stop=tuple(id for id, state in states.items() if id not in ids and state in ALIVE),
        forget=tuple(id for id, state in states.items() if id not in ids and state not in ALIVE),
    )
