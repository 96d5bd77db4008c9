"""What became of the dynos of an app, drawn as one lane each: when it was up, started, and was down."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps import dyno_events
from apps.dyno_events import Life, Stay
from apps.models import App, Dyno, DynoEvent

MOST = 24  # lanes
LISTED = 50  # events in words
SPOKEN = 5  # events in the words of one lane
NARROWEST = 0.4  # percent that something is wide at least, to be seen
ROOM = 9.0  # percent that the word beside a mark needs
ASLEEP = "asleep"
CODE = re.compile(r"Error (R\d\d)")
CSS = {Dyno.State.UP: "up", Dyno.State.STARTING: "boot", Dyno.State.CRASHED: "down"}
WORDS = {
    Dyno.State.UP: "Up",
    Dyno.State.STARTING: "Starting",
    Dyno.State.CRASHED: "Crashed",
    Dyno.State.IDLE: "Asleep",
}
ORDER = (Dyno.State.UP, Dyno.State.STARTING, Dyno.State.CRASHED)  # the later lies over the earlier
BECAME = {
    Dyno.State.UP: "came up",
    Dyno.State.IDLE: "went to sleep",
    "": "ended",
}


@dataclass(frozen=True)
class Bar:
    """A stay in one state; `x` and `width` are percent."""

    css: str
    x: float
    width: float
    words: str


@dataclass(frozen=True)
class Note:
    """A word beside what happened, `x` percent from the left; before it, unless there is no room."""

    x: float
    word: str
    after: bool


@dataclass(frozen=True)
class Lane:
    """One dyno. `words` says what the eye would see."""

    dyno: str
    bars: Sequence[Bar]
    notes: Sequence[Note]
    words: str


@dataclass(frozen=True)
class Happening:
    """One event in words."""

    at: datetime
    dyno: str
    words: str
    release: int
    bad: bool


@dataclass(frozen=True)
class Lanes:
    """All of them, and what happened, newest first. `since` is set when they begin later than was asked for."""

    lanes: Sequence[Lane]
    more: int
    happenings: Sequence[Happening]
    since: datetime | None


def lanes(app: App, start: datetime, now: datetime) -> Lanes:
    """The dynos of `app` from `start` to `now`. Two queries."""
    lives, since = dyno_events.lives(app, start, now)
    drawn = [_lane(life, start, now) for life in lives[:MOST]]
    events = sorted(
        (event for life in lives for event in life.events), key=lambda event: -event.at.timestamp()
    )
    return Lanes(
        drawn,
        len(lives) - len(drawn),
        [_happening(event) for event in events[:LISTED]],
        since if since > start else None,
    )


def _lane(life: Life, start: datetime, now: datetime) -> Lane:
    stays = sorted(
        (stay for stay in life.stays if stay.state in CSS),
        key=lambda stay: ORDER.index(Dyno.State(stay.state)),
    )
    told = [f"{event.at:%H:%M} {_what(event)}" for event in life.events]
    latest = f": {', '.join(told[-SPOKEN:])}" if told else ", nothing happened"
    ends = [stay for stay in life.stays if stay.end == now]
    standing = f" {WORDS[Dyno.State(ends[-1].state)]} now." if ends else " Not there now."
    return Lane(
        life.dyno,
        [_bar(stay, start, now) for stay in stays] + list(_warnings(life.events, start, now)),
        list(_notes(life.events, start, now)),
        f"{life.dyno}{latest}.{standing}",
    )


def _bar(stay: Stay, start: datetime, now: datetime) -> Bar:
    left, right = _x(stay.start, start, now), _x(stay.end, start, now)
    width = max(right - left, NARROWEST)
    words = (
        f"{WORDS[Dyno.State(stay.state)]} from {stay.start:%H:%M:%S} to {stay.end:%H:%M:%S}, v{stay.release}"
    )
    return Bar(
        CSS[Dyno.State(stay.state)],
        round(min(left, 100 - width), 2),
        round(width, 2),
        f"{words}. {stay.reason}" if stay.reason else words,
    )


def _warnings(events: Sequence[DynoEvent], start: datetime, now: datetime) -> Iterator[Bar]:
    for event in events:
        if event.state == event.before:
            x = min(_x(event.at, start, now), 100 - NARROWEST)
            yield Bar("over", round(x, 2), NARROWEST, f"{event.at:%H:%M:%S}: {event.reason}")


def _notes(events: Sequence[DynoEvent], start: datetime, now: datetime) -> Iterator[Note]:
    """What went wrong and when it slept. Of what stands too near to each other the worst is told, and how often."""
    beside: list[tuple[float, list[str]]] = []
    for event in events:
        word, x = _note(event), _x(event.at, start, now)
        if word and beside and x - beside[-1][0] < ROOM:
            beside[-1][1].append(word)
        elif word:
            beside.append((x, [word]))
    for x, words in beside:
        worst = max(words, key=lambda word: (word != ASLEEP, word != "R14"))
        times = words.count(worst)
        yield Note(round(x, 2), f"{worst} ×{times}" if times > 1 else worst, x < ROOM)


def _note(event: DynoEvent) -> str:
    if event.state == Dyno.State.IDLE:
        return ASLEEP
    code = CODE.match(event.reason)
    if code:
        return code[1]
    return "crashed" if event.state == Dyno.State.CRASHED else ""


def _happening(event: DynoEvent) -> Happening:
    bad = bool(event.reason) or event.state == Dyno.State.CRASHED
    return Happening(event.at, event.dyno, _what(event), event.release_version, bad)


def _what(event: DynoEvent) -> str:
    """What happened, after the dyno's name: “crashed, Error R15 …”."""
    if event.state == Dyno.State.STARTING:
        again = {"": "began to start", Dyno.State.IDLE: "was woken"}
        return again.get(event.before, "began to start again")
    if event.state == event.before:
        return f"warned: {event.reason}"
    if event.state == Dyno.State.CRASHED:
        return f"crashed: {event.reason}" if event.reason else "crashed"
    return BECAME[event.state]


def _x(at: datetime, start: datetime, now: datetime) -> float:
    return min(max((at - start) / (now - start) * 100, 0.0), 100.0)
