"""What the board shows: one context function per partial, in a number of queries that does not grow with the cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import FilteredRelation, OuterRef, Q, QuerySet, Subquery

from accounts.models import User
from apps import access as app_access
from blueprints import proposals
from ci.results import newest_of_what_runs
from core.errors import NotFound
from dashboard import fleet
from dashboard.columns import Card, Column, Side, compare, next_stage
from dashboard.gate_strips import by_source, keep_out, news_of, stand_before, waiting_strip
from dashboard.line_pills import stages_with_lines, stands_in
from dashboard.review_cards import review_cards
from dashboard.strips import strip_of
from flow.stands import Stand
from flow.stands import Standing as Passing
from forge.models import AutoDeploy
from pipelines import access
from pipelines.models import Coupling, Pipeline, PromotionTarget, Stage
from releases.estimates import expected_for
from releases.models import Release, Slug
from reviews.models import ReviewSettings

# Cards on a board, shared out among its columns, and at least in each; a stage alone has pages of so many.
ROOM, LEAST = 32, 4
CHIPS = {
    "crashed": "crashed",
    "failed": "failed",
    "approval": "awaiting approval",
    "degraded": "degraded",
    "waiting": "waiting",
    "building": "building",
    "releasing": "releasing",
}


@dataclass(frozen=True)
class Chip:
    """A state in the summary: how many apps are in it, and the address that shows only those, or all again."""

    kind: str
    word: str
    count: int
    query: str
    chosen: bool


@dataclass(frozen=True)
class Narrowing:
    """What of a board is asked for: words in its cards (`q`), a state (`only`), one stage and a page of that."""

    q: str = ""
    only: str = ""
    stage: str = ""
    page: str = ""

    def lets(self, card: Card) -> bool:
        """Whether `card` is wanted."""
        fits = not self.only or self.only in card.kinds
        return fits and all(word in card.words for word in self.q.lower().split())

    def query(self, **changes: str) -> str:
        """The query string of this with `changes`, from its first page on."""
        wanted = {"q": self.q, "only": self.only, "stage": self.stage} | changes
        return "?" + urlencode({name: value for name, value in wanted.items() if value})


def board_context(
    pipeline: Pipeline, user: User, asked: Narrowing | None = None, *, rights: frozenset[str] | None = None
) -> dict[str, Any]:
    """The whole board, or what of it `asked` lets through."""
    asked = asked or Narrowing()
    rights = access.rights_in(user, pipeline) if rights is None else rights
    columns, stands = _columns(pipeline, user, rights)
    holds, freezes = news_of(stands.values())
    cards = [card for column in columns for card in column.cards]
    chips = _chips(cards, asked)
    shown = [column for column in columns if asked.stage in ("", column.stage.name)]
    if not shown and columns:
        raise NotFound("Couldn't find that stage.", resource="stage")
    for column in shown:
        column.cards = [card for card in column.cards if asked.lets(card)]
        _make_room(column, asked, sum(bool(other.cards) or not other.reviews for other in shown))
    return {
        "pipeline": pipeline,
        "tab": "board",
        "columns": shown,
        "chips": chips,
        "empty": not cards,
        "q": asked.q,
        "only": asked.only,
        "asked": asked,
        # A page that does not hold all the cards has the server look for what a filter wants.
        "partial": asked != Narrowing() or any(column.more for column in shown),
        "all_stages": asked.query(stage=""),
        "holds": holds,
        "freezes": freezes,
        "offered": proposals.offered(pipeline) if access.MANAGE in rights else None,
        "may_add": access.DEPLOY in rights,
        "may_manage": access.MANAGE in rights,
    }


def _chips(cards: Sequence[Card], asked: Narrowing) -> list[Chip]:
    counts = {kind: sum(kind in card.kinds for card in cards) for kind in CHIPS}
    return [
        Chip(
            kind, word, counts[kind], asked.query(only="" if asked.only == kind else kind), asked.only == kind
        )
        for kind, word in CHIPS.items()
    ]


def _make_room(column: Column, asked: Narrowing, columns: int) -> None:
    if asked.stage:
        column.page = Paginator(column.cards, ROOM).get_page(asked.page)
        column.shown = list(column.page)
    else:
        column.shown = column.cards[: max(ROOM // columns, LEAST)]


def card_context(user: User, name: str, *, was: int | None = None, to: str = access.VIEW) -> dict[str, Any]:
    """The card of the app of that name, for who may `to` there. `was` is the version that the page shows: a promotion
    that came since makes the card slide in once."""
    rows: QuerySet[Any] = Coupling.objects.filter(app__in=app_access.apps_for(user), app__name=name)
    found = _with_more(rows.select_related("app", "stage", "pipeline"), user).first()
    if found is None or to not in app_access.rights_found(user, found.app, found):
        access.coupling_for(user, name, to=to)
        raise NotFound("Couldn't find that app.", resource="app")
    stages = stages_with_lines(found.pipeline)
    stands = stands_in(found.pipeline, stages)
    (card,) = _cards(user, [found], by_source(stands))
    _compare_alone(card, stages, user)
    stand = stands.get(card.next_stage.pk) if card.next_stage else None
    if stand is not None:
        keep_out(card, stand, access.rights_in(user, found.pipeline))
    current = card.now.current
    card.launched = bool(
        was is not None and current and current.version > was and current.kind == Release.Kind.PROMOTE
    )
    return {"card": card, "pipeline": found.pipeline}


def _compare_alone(card: Card, stages: Sequence[Stage], user: User) -> None:
    """Set one card beside the stages that it is compared with, without their cards."""
    pipeline, own = card.coupling.pipeline, card.coupling.stage
    at = next(index for index, stage in enumerate(stages) if stage.pk == own.pk)
    before = [stage for stage in stages[:at] if stage.word != Stage.Word.REVIEW][-1:]
    near = [*before, *stages[at + 1 : at + 2]]
    sides = _sides(user, pipeline, near)
    alone = not any(side.names for side in sides.values())
    if alone:
        alone = not access.visible_couplings(user, pipeline).exclude(pk=card.coupling.pk).exists()
    shown = [stage for stage in stages if stage in near or stage.pk == own.pk]
    columns = [Column(stage, next_stage(stage, stages), side=sides.get(stage.pk)) for stage in shown]
    columns[len(before)].cards = [card]
    columns[-1].last = shown[-1].pk == stages[-1].pk
    compare(columns, alone=alone, closed=access.protected_from(user, pipeline, near))


def _sides(user: User, pipeline: Pipeline, stages: Sequence[Stage]) -> dict[Any, Side]:
    """What there is in `stages`, by their ids: one query without a row of the models, however many the apps."""
    sides = {stage.pk: Side() for stage in stages}
    running = FilteredRelation("app__releases", condition=Q(app__releases__current=True))
    rows = access.visible_couplings(user, pipeline).filter(stage__in=stages).annotate(runs=running)
    known: dict[Any, dict[Any, Slug | None]] = {pk: {} for pk in sides}
    fields = ("stage", "app__name", *(f"runs__slug__{name}" for name in ("app_id", "digest", "commit")))
    for stage, name, app, digest, commit in rows.order_by("app__name").values_list(*fields):
        sides[stage].names.append(name)
        slug = Slug(app_id=app, digest=digest, commit=commit) if digest else None
        known[stage].setdefault((digest, commit, app), slug)
    for pk, side in sides.items():
        side.slugs = list(known[pk].values())
    return sides


def _columns(
    pipeline: Pipeline, user: User, rights: frozenset[str]
) -> tuple[list[Column], Mapping[Any, Stand]]:
    """The stages with their apps, and how the lines into them stand, by the stages' ids."""
    stages = stages_with_lines(pipeline)
    stands = stands_in(pipeline, stages)
    seen = access.visible_couplings(user, pipeline).select_related(None).select_related("app")
    couplings = list(_with_more(seen, user).order_by("app__name"))
    by_id = {stage.pk: stage for stage in stages}
    by_stage: dict[Any, list[Card]] = {stage.pk: [] for stage in stages}
    for coupling in couplings:
        coupling.pipeline, coupling.stage = pipeline, by_id[coupling.stage_id]
    for card in _cards(user, couplings, by_source(stands)):
        by_stage[card.coupling.stage_id].append(card)
    shown = [stage for stage in stages if by_stage[stage.pk] or _is_shown(stage, couplings, rights)]
    columns = [Column(stage, next_stage(stage, shown), by_stage[stage.pk]) for stage in shown]
    if columns:
        columns[-1].last = True
    compare(columns, alone=len(couplings) == 1, closed=access.protected_from(user, pipeline, stages))
    for column in columns:
        stand_before(column, stands, rights)
        if column.stage.word == Stage.Word.REVIEW:
            _show_reviews(column, user, rights)
    return columns, stands


def _show_reviews(column: Column, user: User, rights: frozenset[str]) -> None:
    """Have the column show review apps and pull requests instead of apps."""
    settings = _review_settings(column.stage)
    column.reviews, column.reviewing = True, bool(settings and settings.enabled)
    found = review_cards(column.stage.pipeline, user, settings, column.cards, rights)
    shown = {card.row.app_id for card in found if card.row}
    others = [card for card in column.cards if card.app.pk not in shown]
    column.cards = [*found, *others]  # an app may have been put there before there were review apps


def _is_shown(stage: Stage, couplings: Sequence[Any], rights: frozenset[str]) -> bool:
    """Whether a stage has its column without an app in it: review apps have theirs once they are enabled, and before
    that for who can do so."""
    if stage.word != Stage.Word.REVIEW:
        return True
    settings = _review_settings(stage)
    return bool(couplings) and (access.MANAGE in rights or bool(settings and settings.enabled))


def _review_settings(stage: Stage) -> ReviewSettings | None:
    return getattr(stage.pipeline, "review_settings", None)


def _with_more(rows: QuerySet[Any], user: User) -> QuerySet[Any]:
    """Couplings with the viewer's rights, where a promotion comes from whose turn is yet to come, and the branch that
    deploys by itself."""
    pending = PromotionTarget.objects.filter(app=OuterRef("app"), status=PromotionTarget.Status.PENDING)
    awaited = Subquery(pending.values("promotion__source__name")[:1])
    tested = newest_of_what_runs()
    follows = Subquery(AutoDeploy.objects.filter(app=OuterRef("app")).values("branch")[:1])
    return app_access.with_rights(
        rows.annotate(awaited=awaited, follows=follows, tested=tested), user, app="app__"
    )


def _cards(user: User, couplings: Sequence[Any], passing: Mapping[Any, tuple[Stand, Passing]]) -> list[Card]:
    """A card for each; couplings come from `_with_more`. `passing` is what waits before lines, by the apps' ids."""
    now = fleet.look([coupling.app for coupling in couplings])
    builds = [pk for pk, found in now.items() if found.building]
    usual = expected_for(builds, "build") if builds else {}
    cards = []
    for coupling in couplings:
        found, expected = now[coupling.app_id], usual.get(coupling.app_id)
        rights = app_access.rights_found(user, coupling.app, coupling)
        stand, waits = passing.get(coupling.app_id, (None, None))
        strip = strip_of(
            found,
            awaited=coupling.awaited or "",
            usual=expected.seconds if expected else None,
            waiting=waiting_strip(coupling.pipeline, stand, waits, user),
        )
        card = Card(coupling, found, rights, found.state, strip)
        card.stand, card.passing = stand, waits
        cards.append(card)
    return cards
