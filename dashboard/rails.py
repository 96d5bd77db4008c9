"""The list of pipelines: each as a rail of its stages, in a number of queries that does not grow with them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from apps import access as app_access
from core.models import Event
from dashboard import fleet
from dashboard.cards import Card, Column, compare, next_stage
from dashboard.fleet import AppNow
from dashboard.standing import Standing
from pipelines import access
from pipelines.models import Coupling, Pipeline, Stage

URGENT = ("crashed", "waiting", "degraded", "building", "releasing", "queued")
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
    def at(self) -> datetime:
        return self.last.at if self.last else self.pipeline.created_at


def list_context(user: User, *, q: str = "", sort: str = "") -> dict[str, Any]:
    """Every pipeline that `user` may see and whose name or apps hold the words of `q`, and the apps in none."""
    pipelines = list(access.pipelines_for(user).select_related("team", "user"))
    alone = list(app_access.apps_for(user).filter(coupling__isnull=True).select_related("team", "user"))
    couplings = _couplings(pipelines, user)
    now = fleet.look([*(coupling.app for coupling in couplings), *alone])
    rails = _rails(pipelines, couplings, now)
    shown = [rail for rail in rails if all(word in _words(rail) for word in q.lower().split())]
    if sort != "name":
        shown.sort(key=lambda rail: rail.at, reverse=True)
    found = [now[app.pk] for app in alone if all(word in app.name for word in q.lower().split())]
    return {
        "tab": "pipelines",
        "rails": shown,
        "alone": found,
        "any": bool(pipelines or alone),
        "q": q,
        "sort": sort,
    }


def _words(rail: Rail) -> str:
    return f"{rail.pipeline.name} {rail.pipeline.owner}".lower()


def _couplings(pipelines: Sequence[Pipeline], user: User) -> list[Coupling]:
    rows = Coupling.objects.filter(pipeline__in=pipelines, app__in=app_access.apps_for(user))
    return list(rows.select_related("app", "stage", "pipeline").order_by("app__name"))


def _rails(
    pipelines: Sequence[Pipeline], couplings: Sequence[Coupling], now: Mapping[UUID, AppNow]
) -> list[Rail]:
    cards: dict[Any, list[Card]] = defaultdict(list)
    for coupling in couplings:
        found = now[coupling.app_id]
        cards[coupling.stage_id].append(Card(coupling, found, frozenset(), found.state))
    stages: dict[Any, list[Stage]] = defaultdict(list)
    for stage in Stage.objects.filter(pipeline__in=pipelines):
        stages[stage.pipeline_id].append(stage)
    last = _last_events(pipelines)
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
