"""The columns of a board and the cards in them, and how the cards of neighbouring stages compare."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.paginator import Page

from apps.models import App
from ci.results import Result, read_newest
from dashboard.drift import Drift, distinct, drift_between
from dashboard.fleet import AppNow
from dashboard.gate_strips import Waiting, reviews
from dashboard.line_pills import Pill
from dashboard.links import link
from dashboard.standing import Standing
from dashboard.strips import Strip
from flow.stands import Stand
from flow.stands import Standing as Passing
from pipelines import access
from pipelines.models import Coupling, Stage
from releases.models import Release, Slug

MENU = 6  # targets in the menu of a card; more are chosen in the dialog
TROUBLE = ("crashed", "failed", "approval", "waiting", "degraded", "building", "releasing")


@dataclass
class Card:
    """One app on the board."""

    coupling: Coupling
    now: AppNow
    rights: frozenset[str]
    state: Standing
    strip: Strip | None = None
    drift: Drift | None = None
    next_stage: Stage | None = None
    next_names: Sequence[str] = ()  # of the apps in that stage
    may_promote: bool = False
    why_not: str = ""
    launched: bool = False
    last: bool = False
    stand: Stand | None = None  # of the line into the next stage
    passing: Passing | None = None  # its release before that line

    @property
    def kinds(self) -> tuple[str, ...]:
        """The states that a chip may ask for: its own, and whether its release waits for people."""
        return (self.state.kind, "approval") if self.asks else (self.state.kind,)

    @property
    def asks(self) -> bool:
        """Whether its release waits for people's word before the next line."""
        return self.stand is not None and self.passing is not None and reviews(self.stand, self.passing)

    @property
    def app(self) -> App:
        return self.coupling.app

    @property
    def release(self) -> Release | None:
        """What it runs, or will run first."""
        return self.now.current or self.now.newest

    @property
    def slug(self) -> Slug | None:
        """The code of the release that serves."""
        return self.now.current.slug if self.now.current else None

    @property
    def version(self) -> int:
        """Of the release that serves; 0 for none."""
        return self.now.current.version if self.now.current else 0

    @property
    def targets(self) -> Sequence[str]:
        """What the menu beside Promote offers: none when there is no choice, or too much of it for a menu."""
        return self.next_names if 1 < len(self.next_names) <= MENU else ()

    @property
    def classes(self) -> str:
        """The modifiers of the card's class."""
        bad = " card--bad" if self.now.crashed else ""
        return f"{bad} card--launched" if self.launched else bad

    @property
    def tests(self) -> Result | None:
        """What tests say of the code that it runs; None where none have run."""
        return read_newest(self.coupling.tested, self.coupling.pipeline)  # type: ignore[attr-defined]

    @property
    def message(self) -> str:
        """What the code is about."""
        current = self.now.current
        return (self.slug.message if self.slug else "") or (current.description if current else "")

    @property
    def site(self) -> str:
        return self.app.web_url

    @property
    def url(self) -> str:
        return link("app", self.app.name)

    @property
    def release_url(self) -> str:
        return link("release", self.app.name, self.release.version) if self.release else self.url

    @property
    def promote_url(self) -> str:
        return link("promotion-new", self.coupling.pipeline.name) + f"?from={self.app.name}"

    @property
    def words(self) -> str:
        """What the filter box looks through."""
        slug = self.slug
        parts = [self.app.name, *((slug.message, slug.author, slug.branch, slug.short) if slug else ())]
        return " ".join(parts).lower()


@dataclass
class Side:
    """A stage as the cards of others see it: the names of its apps, and one of each slug that they run; None among
    those when an app runs nothing."""

    names: list[str] = field(default_factory=list)
    slugs: list[Slug | None] = field(default_factory=list)


@dataclass
class Column:
    """One stage of the board. `next` is the stage that its promotions go to by default."""

    stage: Stage
    next: Stage | None
    cards: list[Any] = field(default_factory=list)
    last: bool = False
    shown: list[Any] = field(default_factory=list)  # of the cards, those that there is room for
    page: Page | None = None  # of the cards, where the stage is alone on the board
    closed: bool = False  # the viewer may not promote into the next stage
    reviews: bool = False  # it has cards of review apps, which are other cards
    reviewing: bool = False  # and there may be more of them
    side: "Side | None" = None  # what cards elsewhere are compared with, where it is known without the cards
    pill: Pill | None = None  # the line into the next stage
    stand: Stand | None = None
    waiting: list[Waiting] = field(default_factory=list)

    @property
    def more(self) -> int:
        """How many cards there was no room for."""
        return len(self.cards) - len(self.shown)

    @property
    def trouble(self) -> str:
        """The state that the stage tab of a phone shows: the worst, or none."""
        kinds = {kind for card in self.cards for kind in card.kinds}
        return next((kind for kind in TROUBLE if kind in kinds), "")


def compare(columns: Sequence[Column], *, alone: bool = False, closed: Collection[Any] = ()) -> None:
    """Set each card beside those of the next stage, or of the one before where nothing follows. `closed` are the ids
    of the stages that the viewer may not promote into; `alone` says that there is one app only."""
    sides = [column.side or _side(column) for column in columns]
    places = {column.stage.pk: index for index, column in enumerate(columns)}
    for index, column in enumerate(columns):
        following = places.get(column.next.pk) if column.next else None
        before = index - 1 if index and following is None else None
        if before is not None and columns[before].stage.word == Stage.Word.REVIEW:
            before = None
        ahead_of, behind = (Side() if at is None else sides[at] for at in (following, before))
        column.closed = bool(column.next and column.next.pk in closed)
        for card in column.cards:
            card.last = column.last
            card.next_stage, card.next_names = column.next, ahead_of.names
            card.drift = drift_between(
                card.slug,
                ahead_of.slugs,
                behind.slugs,
                None if following is None else columns[following],
                None if before is None else columns[before],
            )
            card.why_not = _why_not(card, alone, column.closed)
            card.may_promote = not card.why_not


def next_stage(stage: Stage, stages: Sequence[Stage]) -> Stage | None:
    """As `Stage.next`, from the stages at hand."""
    if stage.word in (Stage.Word.REVIEW, Stage.Word.PRODUCTION):
        return None
    return next((other for other in stages if other.position > stage.position), None)


def _side(column: Column) -> Side:
    slugs = [card.slug for card in column.cards]
    one_of_each = [*distinct(slugs), *([None] if not all(slugs) else [])]
    return Side([card.app.name for card in column.cards], one_of_each)


def _why_not(card: Card, alone: bool, closed: bool) -> str:
    """Why this viewer can't promote this app now; empty when they can."""
    if card.slug is None:
        return f"{card.app.name} has not been deployed yet"
    if access.DEPLOY not in card.rights:
        return f"You do not have the right to deploy {card.app.name}"
    if alone:
        return "There is no other app in this pipeline"
    if card.next_stage and not card.next_names:
        return f"{card.next_stage.title} has no app yet"
    if card.drift and card.drift.kind == "level" and card.next_stage:
        return f"{card.next_stage.title} already runs {card.slug}"
    if card.next_stage and closed:
        return f"You may not promote into {card.next_stage.title.lower()}"
    return ""
