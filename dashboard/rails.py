"""The list of pipelines: each as a rail of its stages, in a number of queries that does not grow with them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from apps import access as app_access
from apps.models import App
from core.models import Event
from dashboard import fleet
from dashboard.columns import Card, Column, compare, next_stage
from dashboard.fleet import AppNow
from dashboard.standing import Standing
from pipelines import access, transfers
from pipelines.models import Coupling, Pipeline, Stage

URGENT = ("crashed", "waiting", "degraded", "building", "releasing", "queued")
SHOWN, ALONE, URGED = 40, 50, 5  # pipelines a page, apps in none, crashed apps
COMPARED = 100  # pipelines that are sorted by how far they drifted apart, the latest; it takes git to know
EMPTY = Standing("stopped", "No release yet")


@dataclass
class Stop:
    """A stage on the rail: how its most urgent app stands, and how far it is ahead of the next stage."""

    stage: Stage
    state: Standing
    version: str = ""
    more: int = 0
    ahead: int = 0
    where: str = ""
    last: bool = False


@dataclass
class Rail:
    """One pipeline in the list."""

    pipeline: Pipeline
    stops: list[Stop] = field(default_factory=list)
    last: Event | None = None

    @property
    def ahead(self) -> int:
        """The commits that wait between its stages, all together."""
        return sum(stop.ahead for stop in self.stops)


def list_context(user: User, *, q: str = "", sort: str = "", page: str = "") -> dict[str, Any]:
    """The pipelines that `user` may see and whose name or owner has the words of `q`, a page of them; on the first, what
    waits for the user and the apps in no pipeline. `sort` is `name`, `drift` or else what happened last. Eleven
    queries."""
    pipelines = list(access.pipelines_for(user).select_related("team", "user"))
    last = _last_events(pipelines)
    words = q.lower().split()
    found = [pipeline for pipeline in pipelines if all(word in _words(pipeline) for word in words)]
    if sort != "name":
        found.sort(key=lambda pipeline: last[pipeline.pk].at if pipeline.pk in last else pipeline.created_at)
        found.reverse()
    shown = Paginator(found[:COMPARED] if sort == "drift" else found, COMPARED if sort == "drift" else SHOWN)
    leaf = shown.get_page(page)
    here = list(leaf.object_list)
    apps = _apps(here, user, words)
    now = fleet.look(apps)
    couplings = [app.coupling for app in apps if hasattr(app, "coupling")]
    rails = _rails(here, couplings, now, last)
    if sort == "drift":
        rails.sort(key=lambda rail: rail.ahead, reverse=True)
    alone = [now[app.pk] for app in apps if not hasattr(app, "coupling")] if leaf.number == 1 else []
    offered = transfers.waiting_for(user)
    crashed = [] if q or leaf.number > 1 else _crashed(user, apps, now)
    return {
        "tab": "pipelines",
        "rails": rails,
        "page": leaf,
        "keep": "".join(f"{key}={quote(text)}&" for key, text in (("q", q), ("sort", sort)) if text),
        "alone": alone[:ALONE],
        "more_alone": len(alone) > ALONE,
        "waiting": offered,
        "crashed": crashed,
        "todo": len(offered) + len(crashed),
        "any": bool(pipelines or alone or offered),
        "q": q,
        "sort": sort,
        "topics": " ".join([f"user:{user.pk}", *(rail.pipeline.topic for rail in rails)]),
    }


def _words(pipeline: Pipeline) -> str:
    return f"{pipeline.name} {pipeline.owner}".lower()


def _apps(pipelines: Sequence[Pipeline], user: User, words: Sequence[str]) -> list[App]:
    """The apps that `user` may see in these pipelines, and the first of those that are in none, by name."""
    seen = app_access.apps_for(user)
    lonely = seen.filter(coupling__isnull=True)
    for word in words:
        lonely = lonely.filter(name__contains=word)
    wanted = Q(coupling__pipeline__in=pipelines) | Q(pk__in=lonely.order_by("name").values("pk")[: ALONE + 1])
    rows = app_access.with_rights(seen.filter(wanted), user)
    related = ("team", "user", "coupling__stage", "coupling__pipeline")
    return list(rows.select_related(*related).order_by("name"))


def _crashed(user: User, apps: Sequence[Any], now: Mapping[UUID, AppNow]) -> list[AppNow]:
    """What has crashed of the apps whose dynos are `user`'s to look after."""
    down = [app for app in apps if now[app.pk].state.kind == "crashed"]
    return [now[app.pk] for app in down if app_access.OPERATE in app_access.rights_found(user, app, app)][
        :URGED
    ]


def _rails(
    pipelines: Sequence[Pipeline],
    couplings: Sequence[Coupling],
    now: Mapping[UUID, AppNow],
    last: Mapping[Any, Event],
) -> list[Rail]:
    cards: dict[Any, list[Card]] = defaultdict(list)
    for coupling in couplings:
        found = now[coupling.app_id]
        cards[coupling.stage_id].append(Card(coupling, found, frozenset(), found.state))
    stages: dict[Any, list[Stage]] = defaultdict(list)
    for stage in Stage.objects.filter(pipeline__in=pipelines):
        stages[stage.pipeline_id].append(stage)
    return [
        Rail(pipeline, _stops(stages[pipeline.pk], cards), last.get(pipeline.pk)) for pipeline in pipelines
    ]


def _stops(stages: Sequence[Stage], cards: dict[Any, list[Card]]) -> list[Stop]:
    """The stages that hold apps; a pipeline without any shows none."""
    filled = [stage for stage in stages if cards[stage.pk]]
    columns = [Column(stage, next_stage(stage, filled), cards[stage.pk]) for stage in filled]
    compare(columns)
    stops = [_stop(column) for column in columns]
    if stops:
        stops[-1].last = True
    return stops


def _stop(column: Column) -> Stop:
    card = min(column.cards, key=_urgency)
    version = f"v{card.version}" if card.version else ""
    state = card.state if card.now.current or card.state.kind != "idle" else EMPTY
    stop = Stop(column.stage, state, version, len(column.cards) - 1)
    stop.ahead = max(
        (c.drift.commits for c in column.cards if c.drift and c.drift.kind == "ahead"), default=0
    )
    stop.where = column.next.title.lower() if column.next else ""
    return stop


def _urgency(card: Card) -> int:
    return URGENT.index(card.state.kind) if card.state.kind in URGENT else len(URGENT)


def _last_events(pipelines: Sequence[Pipeline]) -> dict[Any, Event]:
    """The newest event of each pipeline."""
    nth = Window(RowNumber(), partition_by=F("pipeline_id"), order_by=F("at").desc())
    ids = [pipeline.pk for pipeline in pipelines]
    rows = Event.objects.filter(pipeline_id__in=ids).annotate(nth=nth).filter(nth=1)
    return {event.pipeline_id: event for event in rows.select_related("by")}
