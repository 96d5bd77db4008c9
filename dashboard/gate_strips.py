"""What the board says of a release that waits before a line, and of what holds the pipeline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from accounts.access import MANAGE
from accounts.models import User
from dashboard.gate_forms import ICONS
from dashboard.line_pills import line_into, pill_of
from dashboard.links import link
from dashboard.strips import Strip
from flow import gates
from flow.gates import FAILED, PASSED, WAITING, GateState
from flow.models import Gate, Line, Passage
from flow.stands import Stand, Standing, Stop, stand_of
from pipelines.models import Coupling, Pipeline
from releases.models import Release

if TYPE_CHECKING:
    from dashboard.columns import Card, Column

BADGES = {PASSED: "passed", WAITING: "waiting", FAILED: "failed"}


@dataclass(frozen=True)
class News:
    """A hold or a freeze, for the whole pipeline or one stage."""

    stop: Stop
    where: str  # empty: everywhere
    at: datetime | None


@dataclass(frozen=True)
class Waiting:
    """A passage in a popover."""

    standing: Standing
    rows: list[tuple[str, str, str, str]]  # glyph, rule, state, words


def news_of(stands: Iterable[Stand]) -> tuple[list[News], list[News]]:
    """The holds and the freezes of all these lines, each once."""
    holds: dict[str, News] = {}
    freezes: dict[str, News] = {}
    for stand in stands:
        for stop in stand.holds:
            where = "" if stop.whole else stand.line.stage.title.lower()
            holds.setdefault(stop.id, News(stop, where, datetime.fromisoformat(stop.at)))
        for stop in stand.freezes:
            freezes.setdefault(stop.id, News(stop, "", None))
    return list(holds.values()), list(freezes.values())


def waiting_in(stand: Stand | None, seen: set[Any]) -> list[Waiting]:
    """What waits before the line, of the apps whose ids are in `seen`."""
    rows = [one for one in stand.passages if one.passage.source_id in seen] if stand else []
    return [Waiting(one, [_row(state) for state in one.gates]) for one in rows]


def _row(state: GateState) -> tuple[str, str, str, str]:
    return ICONS[state.kind], state.rule, BADGES[state.state], state.words


def by_source(stands: Mapping[Any, Stand]) -> dict[Any, tuple[Stand, Standing]]:
    """The open passages by the id of the app that they come from."""
    return {one.passage.source_id: (stand, one) for stand in stands.values() for one in stand.passages}


def reviews(stand: Stand, standing: Standing) -> bool:
    """Whether it waits for people's word and nothing else."""
    if standing.failed:
        return False
    people = [state.kind == Gate.Kind.APPROVAL for state in standing.waiting]
    return all(people) if people else stand.line.mode == Line.Mode.ASK


def strip_before(pipeline: Pipeline, stand: Stand, standing: Standing, user: User) -> Strip:
    """The band of a release before the line: the most urgent thing that keeps it there."""
    passage, where = standing.passage, stand.line.stage.title.lower()
    url = link("passage", pipeline.name, passage.pk)
    since = passage.asked_at or passage.created_at
    strip = Strip("accent", f"On its way to {where}", url=url)
    people = [state for state in standing.waiting if state.kind == Gate.Kind.APPROVAL]
    if standing.failed:
        strip.hue, strip.title = "bad", f"Kept out of {where}"
        strip.sub = f"{standing.failed[0].rule}: {standing.failed[0].words}"
    elif people and len(people) == len(standing.waiting):
        yours = any(user.get_full_name() in state.people for state in people)
        strip.hue, strip.title = "warn", f"Waiting for {'your approval' if yours else 'approval'}"
        strip.sub, strip.since = _asked(people[0], where), since
    elif standing.waiting:
        first = next(state for state in standing.waiting if state not in people)
        strip.sub, strip.done, strip.of = _waits(first, then_people=bool(people))
    elif stand.holds or stand.freezes:
        stop = [*stand.holds, *stand.freezes][0]
        strip.hue, strip.title, strip.sub = "warn", f"Held before {where}", stop.words
    elif stand.line.mode == Line.Mode.ASK:
        strip.hue, strip.title, strip.since = "warn", f"Ready for {where}", since
        strip.sub = "Goes on when somebody says so"
    else:
        strip.sub = "Every gate holds"
    return strip


def _asked(state: GateState, where: str) -> str:
    """“Before it goes on to production”, “1 of 2 approvals: Bob Sawyer or Vera Claythorne”."""
    said = _sentence(state.words) if state.words[:1].isdigit() else f"Before it goes on to {where}"
    if not state.people:
        return said
    *first, last = state.people
    return f"{said}: {', '.join(first)} or {last}" if first else f"{said}: {last}"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _waits(state: GateState, *, then_people: bool) -> tuple[str, int, int]:
    """What is waited for, in words, and minutes done of how many where a gate counts them."""
    words = _sentence(state.words) + (", then asks for approval" if then_people else "")
    minutes = int(state.rule.split()[0]) if state.kind == Gate.Kind.HEALTHY else 0
    if not minutes or not state.until:
        return words, 0, 0
    left = (datetime.fromisoformat(state.until) - timezone.now()).total_seconds()
    return words, min(max(minutes - ceil(left / 60), 0), minutes), minutes


def against(stand: Stand, standing: Standing | None) -> Sequence[str]:
    """What keeps a promotion by hand from this line, in words."""
    stops = [f"Held: {stop.words}" for stop in stand.holds] + [
        f"Frozen: {stop.words}" for stop in stand.freezes
    ]
    gates = [*standing.failed, *standing.waiting] if standing else []
    return [*stops, *(f"{state.rule}: {state.words}" for state in gates)]


def stand_before(column: "Column", stands: Mapping[Any, Stand], rights: frozenset[str]) -> None:
    """Say of a column and its cards how the line into the next stage stands."""
    if column.next is None:
        return
    column.stand = stand = stands.get(column.next.pk)
    state = stand.state if stand else ""
    column.pill = pill_of(line_into(column.next), state=state, closed=column.closed)
    column.waiting = waiting_in(stand, {card.app.pk for card in column.cards})
    for card in column.cards:
        keep_out(card, stand, rights)


def keep_out(card: "Card", stand: Stand | None, rights: frozenset[str]) -> None:
    """Who can't override what the line says is told so where the button stands."""
    said = against(stand, card.passing) if stand else ()
    if said and card.may_promote and MANAGE not in rights:
        card.may_promote, card.why_not = False, said[0]


def waiting_strip(
    pipeline: Pipeline, stand: Stand | None, waits: Standing | None, user: User
) -> Strip | None:
    """Where people promote by hand, a release waits for nobody but them, unless others have to approve it."""
    if stand is None or waits is None:
        return None
    if stand.line.mode == Line.Mode.HAND and not reviews(stand, waits):
        return None
    return strip_before(pipeline, stand, waits, user)


@dataclass(frozen=True)
class Barrier:
    """What stands before the apps of a stage: stops, and each gate with what it said last."""

    where: str
    stops: list[Stop]
    rows: list[tuple[str, str, str, str]]  # glyph, rule, state, words

    @property
    def shut(self) -> bool:
        """Whether something is against a promotion."""
        return bool(self.stops) or any(state != "passed" for _, _, state, _ in self.rows)


def barriers(source: Coupling, release: Release, targets: Sequence[Coupling]) -> list[Barrier]:
    """What stands between `source` and each stage of `targets`, whose lines are at hand: one query, or none where no
    stage has a line. Back and within a stage no gate is asked."""
    stages = {target.stage_id: target.stage for target in targets}
    lines = {pk: line for pk, stage in stages.items() if (line := line_into(stage)) is not None}
    open_ = Passage.objects.filter(line__in=lines.values(), source=source.app, slug=release.slug_id)
    asked = {row.line_id: row for row in open_.filter(state="open")} if lines else {}
    found = []
    for pk, line in lines.items():
        stand = stand_of(line, [])
        ahead = stages[pk].position > source.stage.position
        said = [gates.restored(one) for one in asked[line.pk].shown] if line.pk in asked else []
        rows = [_row(state) for state in said] or _unasked(line)
        found.append(Barrier(stages[pk].title.lower(), [*stand.holds, *stand.freezes], rows if ahead else []))
    return [barrier for barrier in found if barrier.stops or barrier.rows]


def _unasked(line: Line) -> list[tuple[str, str, str, str]]:
    rules = line.shown.get("rules", [])
    return [(ICONS[rule["kind"]], rule["rule"], "waiting", "asked when you promote") for rule in rules]
