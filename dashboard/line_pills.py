"""The line into a stage as the board and the settings show it: a pill with its rules, coloured by what may pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.gate_forms import ICONS
from flow import passages
from flow.models import Line
from flow.stands import Stand, stand_of
from pipelines.models import Pipeline, Stage

FITS = 2  # gates in a pill; of more it says how many
HUES = {
    "auto": "open",
    "ask": "hold",
    "waiting": "hold",
    "hand": "manual",
    "shut": "shut",
    "held": "shut",
    "frozen": "frozen",
}
WAYS = {"auto": "promotes by itself", "ask": "asks, then promotes", "hand": "by hand"}
SILENT = (Stage.Word.REVIEW, Stage.Word.PRODUCTION)  # nothing goes on from there by default


@dataclass(frozen=True)
class Pill:
    """`state` is that of a `flow.stands.Stand`; `parts` and `rules` are glyphs with words."""

    state: str
    parts: list[tuple[str, str]]
    rules: list[tuple[str, str]]
    words: str  # for who does not see the colours
    way: str

    @property
    def hue(self) -> str:
        """The modifier of the pill's class: open, hold, manual, shut or frozen."""
        return HUES[self.state]


def stages_with_lines(pipeline: Pipeline) -> list[Stage]:
    """The stages in order, each with its line and how the pipeline has review apps at hand: one query."""
    rows = Stage.objects.filter(pipeline=pipeline)
    return list(rows.select_related("line", "pipeline__review_settings"))


def line_into(stage: Stage) -> Line | None:
    """The line of a stage from `stages_with_lines`; None for one that takes releases by hand."""
    return getattr(stage, "line", None)


def stands_in(pipeline: Pipeline, stages: Sequence[Stage]) -> Mapping[Any, Stand]:
    """As `flow.stands.stands`, of stages from `stages_with_lines`: one query, or none where no stage has a line."""
    lines = [line for line in map(line_into, stages) if line is not None]
    waiting = passages.open_in([pipeline]) if lines else {}
    for line in lines:
        line.stage.pipeline = pipeline
    return {line.stage_id: stand_of(line, waiting.get(line.pk, [])) for line in lines}


def mode_of(line: Line | None) -> str:
    """How releases pass: hand, ask or auto."""
    return str(line.mode) if line else str(Line.Mode.HAND)


def pill_of(line: Line | None, *, state: str = "", closed: bool = False) -> Pill:
    """The pill of a line; `state` is how it stands, without passages if left out. `closed` says that the viewer may not
    promote over it."""
    stand = stand_of(line, []) if line else None
    state = state or (stand.state if stand else "hand")
    rules = [(ICONS[rule["kind"]], rule["rule"]) for rule in line.shown.get("rules", [])] if line else []
    way = WAYS[mode_of(line)]
    if closed and not rules and state == "hand":
        return Pill("shut", [("lock", "Not yours")], rules, "by hand, not by you", way)
    told = {"held": "held", "frozen": "frozen", "shut": "a gate is shut", "waiting": "a release waits"}.get(
        state
    )
    words = ", ".join([*([told] if told else []), way, *(rule for _, rule in rules)])
    return Pill(state, _parts(rules, state, mode_of(line)), rules, words, way)


def _parts(rules: Sequence[tuple[str, str]], state: str, mode: str) -> list[tuple[str, str]]:
    if state == "held":
        return [("pause", "Held")]
    if state == "frozen":
        return [("calendar", "Frozen")]
    if not rules:
        return [{"auto": ("bolt", "By itself"), "ask": ("user-check", "Asks")}.get(mode, ("user", "By hand"))]
    if len(rules) == 1:
        return list(rules)
    more = len(rules) - FITS
    return [
        *((glyph, _short(words)) for glyph, words in rules[:FITS]),
        *([("", f"+{more}")] if more > 0 else []),
    ]


def _short(words: str) -> str:
    """A rule beside others: “10 min”, “CI”, “Approval”. What is tried and where, the popover says."""
    for ending, short in ((" succeeds", "Command"), (" answers", "HTTP"), (" says yes", "Webhook")):
        if words.endswith(ending):
            return short
    return {"CI passed": "CI", "1 approval": "Approval"}.get(words, words.removesuffix(" healthy"))
