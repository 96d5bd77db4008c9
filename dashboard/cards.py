"""What the board shows: one context function per partial, in a number of queries that does not grow with the cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from apps import access as app_access
from apps.models import App
from core.errors import NotFound
from dashboard import fleet
from dashboard.drift import Drift, distinct, drift_between
from dashboard.fleet import AppNow
from dashboard.links import link
from dashboard.standing import Standing
from dashboard.story import BUILD_STEPS, RELEASE_STEPS
from pipelines import access
from pipelines.models import Coupling, Pipeline, Stage
from releases.models import Release, Slug

RECENT = timedelta(minutes=2)
MENU = 6  # targets in the menu of a card; more are chosen in the dialog
CHIPS = {
    "crashed": "crashed",
    "degraded": "degraded",
    "waiting": "waiting",
    "building": "building",
    "releasing": "releasing",
}


@dataclass
class Strip:
    """The band inside a card while something happens, waits or has failed."""

    hue: str  # busy, bad, warn, accent
    title: str
    text: str = ""
    url: str = ""
    sub: str = ""
    since: datetime | None = None
    done: int = 0  # ticks, of work whose steps are known
    of: int = 0


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
    next_cards: list["Card"] = field(default_factory=list)
    may_promote: bool = False
    why_not: str = ""
    launched: bool = False
    last: bool = False

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
    def targets(self) -> list["Card"]:
        """What the menu beside Promote offers: none when there is no choice, or too much of it for a menu."""
        return self.next_cards if 1 < len(self.next_cards) <= MENU else []

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
class Column:
    """One stage of the board. `next` is the stage that its promotions go to by default."""

    stage: Stage
    next: Stage | None
    cards: list[Card] = field(default_factory=list)
    last: bool = False

    @property
    def trouble(self) -> str:
        """The state that the stage tab of a phone shows: the worst, or none."""
        kinds = {card.state.kind for card in self.cards}
        return next(
            (kind for kind in ("crashed", "waiting", "degraded", "building", "releasing") if kind in kinds),
            "",
        )


def board_context(
    pipeline: Pipeline, user: User, *, q: str = "", only: str = "", rights: frozenset[str] | None = None
) -> dict[str, Any]:
    """The whole board, or what of it `q` and `only` (a state) let through."""
    rights = access.rights_in(user, pipeline) if rights is None else rights
    columns = _columns(pipeline, user)
    cards = [card for column in columns for card in column.cards]
    counts = {kind: sum(card.state.kind == kind for card in cards) for kind in CHIPS}
    for column in columns:
        column.cards = [card for card in column.cards if _wanted(card, q.lower(), only)]
    return {
        "pipeline": pipeline,
        "tab": "board",
        "columns": columns,
        "chips": [(kind, word, counts[kind]) for kind, word in CHIPS.items()],
        "empty": not cards,
        "q": q,
        "only": only,
        "may_add": access.DEPLOY in rights,
        "may_manage": access.MANAGE in rights,
    }


def card_context(coupling: Coupling, user: User, *, was: int | None = None) -> dict[str, Any]:
    """One card. `was` is the version that the page shows: a promotion that came since makes the card slide in once."""
    pipeline = coupling.pipeline
    cards = [card for column in _columns(pipeline, user) for card in column.cards]
    card = next((card for card in cards if card.app.pk == coupling.app_id), None)
    if card is None:
        raise NotFound("Couldn't find that app.", resource="app")
    current = card.now.current
    card.launched = bool(
        was is not None and current and current.version > was and current.kind == Release.Kind.PROMOTE
    )
    return {"card": card, "pipeline": pipeline}


def _columns(pipeline: Pipeline, user: User) -> list[Column]:
    stages = list(Stage.objects.filter(pipeline=pipeline))
    seen = access.visible_couplings(user, pipeline).select_related(None).select_related("app")
    couplings = list(app_access.with_rights(seen, user, app="app__").order_by("app__name"))
    now = fleet.look([coupling.app for coupling in couplings])
    by_id = {stage.pk: stage for stage in stages}
    by_stage: dict[Any, list[Card]] = {stage.pk: [] for stage in stages}
    for coupling in couplings:
        coupling.pipeline, coupling.stage = pipeline, by_id[coupling.stage_id]
        found = now[coupling.app_id]
        given = app_access.rights_found(user, coupling.app, coupling)
        by_stage[coupling.stage_id].append(Card(coupling, found, given, found.state, strip_of(found)))
    shown = [stage for stage in stages if by_stage[stage.pk] or stage.word != Stage.Word.REVIEW]
    columns = [Column(stage, next_stage(stage, shown), by_stage[stage.pk]) for stage in shown]
    if columns:
        columns[-1].last = True
    compare(columns)
    return columns


def next_stage(stage: Stage, stages: Sequence[Stage]) -> Stage | None:
    """As `Stage.next`, from the stages at hand."""
    if stage.word in (Stage.Word.REVIEW, Stage.Word.PRODUCTION):
        return None
    return next((other for other in stages if other.position > stage.position), None)


def compare(columns: Sequence[Column]) -> None:
    """Set each card beside those of the next stage, or of the one before where nothing follows."""
    by_stage = {column.stage.pk: column for column in columns}
    for index, column in enumerate(columns):
        following = by_stage[column.next.pk] if column.next else None
        before = columns[index - 1] if index and following is None else None
        ahead_of, behind = _slugs(following), _slugs(before)
        others = sum(len(other.cards) for other in columns) - 1
        for card in column.cards:
            card.last = column.last
            card.next_stage, card.next_cards = column.next, following.cards if following else []
            card.drift = drift_between(card.slug, ahead_of, behind, following, before)
            card.why_not = _why_not(card, others)
            card.may_promote = not card.why_not


def _slugs(column: Column | None) -> list[Slug | None]:
    """One of each that the apps of a column run; None among them when one runs nothing."""
    slugs = [card.slug for card in column.cards] if column else []
    return [*distinct(slugs), *([None] if not all(slugs) else [])]


def _why_not(card: Card, others: int) -> str:
    """Why this viewer can't promote this app now; empty when they can."""
    if card.slug is None:
        return f"{card.app.name} has not been deployed yet"
    if access.DEPLOY not in card.rights:
        return f"You do not have the right to deploy {card.app.name}"
    if not others:
        return "There is no other app in this pipeline"
    if card.next_stage and not card.next_cards:
        return f"{card.next_stage.title} has no app yet"
    if card.drift and card.drift.kind == "level" and card.next_stage:
        return f"{card.next_stage.title} already runs {card.slug}"
    return ""


def _wanted(card: Card, q: str, only: str) -> bool:
    return (not only or card.state.kind == only) and all(word in card.words for word in q.split())


def strip_of(now: AppNow) -> Strip | None:
    """The band that the card of an app shows now, if any: the most urgent thing."""
    name = now.app.name
    if now.building:
        return _build_strip(now, link("build", name, now.building.pk))
    if now.releasing:
        return _release_strip(now.releasing, link("release", name, now.releasing.version))
    if now.crashed:
        return _crash_strip(now, link("app-logs", name))
    if now.failed_build:
        url = link("build", name, now.failed_build.pk)
        title, sub = "Build failed", now.failed_build.reason
        return Strip("bad", title, str(now.failed_build.source), url, sub, now.failed_build.finished_at)
    if now.failed_release:
        return _failure_strip(now, now.failed_release, link("release", name, now.failed_release.version))
    return _arrival_strip(now.current)


def _build_strip(now: AppNow, url: str) -> Strip:
    build = now.building
    assert build is not None
    version = f"v{now.app.last_version + 1}"
    text = build.source.message or str(build.source)
    if build.status == "pending":
        return Strip("busy", version, text, url, "Waiting for its turn to build", build.created_at)
    step, done = _progress(build.steps, BUILD_STEPS)
    since = build.started_at or build.created_at
    return Strip("busy", version, text, url, step or "Building", since, done, len(BUILD_STEPS))


def _release_strip(release: Release, url: str) -> Strip:
    text = (release.slug.message if release.slug else "") or release.description
    if release.status == "pending":
        return Strip("busy", str(release), text, url, "Waiting for its turn", release.created_at)
    step, done = _progress(release.steps, RELEASE_STEPS)
    since = release.started_at or release.created_at
    of = len(RELEASE_STEPS) if release.release_command else len(RELEASE_STEPS) - 1
    return Strip("busy", str(release), text, url, step or "Releasing", since, done, of)


def _progress(steps: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> tuple[str, int]:
    """The step that work stands at, and how many are behind it."""
    done = sum(step.get("seconds") is not None for step in steps)
    name = next((str(step.get("name")) for step in steps if step.get("seconds") is None), "")
    return words.get(name, name.capitalize()), done


def _crash_strip(now: AppNow, url: str) -> Strip:
    dyno = now.crashed[0]
    how = (
        f"{dyno.name} exited with {dyno.exit_code}" if dyno.exit_code is not None else f"{dyno.name} crashed"
    )
    return Strip("bad", how, url=url, sub=_crash_words(dyno, timezone.now()), since=dyno.state_at)


def _crash_words(dyno: Any, now: datetime) -> str:
    parts = [f"{dyno.reason.rstrip('.')}." if dyno.reason else ""]
    if dyno.crashes > 1:
        parts.append(f"Crashed {dyno.crashes} times in a row.")
    if dyno.start_after and dyno.start_after > now:
        parts.append(f"Next try in {int((dyno.start_after - now).total_seconds()) + 1} s.")
    return " ".join(part for part in parts if part)


def _failure_strip(now: AppNow, failed: Release, url: str) -> Strip:
    stays = f"{now.current} keeps serving." if now.current else "Nothing serves yet."
    sub = f"{failed.reason.rstrip('.')}. {stays}" if failed.reason else stays
    return Strip("bad", f"{failed} failed", failed.description, url, sub, failed.finished_at)


def _arrival_strip(current: Release | None) -> Strip | None:
    if current is None or current.kind != Release.Kind.PROMOTE or current.finished_at is None:
        return None
    if timezone.now() - current.finished_at > RECENT or current.from_release is None:
        return None
    origin = current.from_release.app.name
    return Strip("accent", f"Promoted from {origin}", since=current.finished_at, sub=current.note)
