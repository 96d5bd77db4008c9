"""Passages: what wants over a line, how it stands there, and how it gets over."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from apps import access as app_access
from core import activity, failpoints, live
from core.errors import Conflict, Refusal
from flow import access, gates, kinds, stops
from flow.gates import GateState
from flow.models import Gate, Hold, Line, Passage, Probe
from pipelines import actions as pipeline_actions
from pipelines.models import Coupling, Pipeline, Promotion, Stage
from releases.models import Release

State = Passage.State
LONGEST = timedelta(minutes=2)  # between two looks at an open passage, whatever its gates say
AGAIN = timedelta(seconds=2)  # until what was to be promoted is looked at, if that came to nothing
BY_THE_CLOCK = frozenset({Gate.Kind.HEALTHY, Gate.Kind.WINDOW})
AT_ONCE = 20


def sources_of(line: Line) -> list[Coupling]:
    """The apps whose releases come over the line by themselves: those of the stage before."""
    before = stage_before(line.stage)
    if before is None:
        return []
    rows = Coupling.objects.filter(stage=before, app__destroyed_at=None)
    return list(rows.select_related("app", "stage", "pipeline"))


def stage_before(stage: Stage) -> Stage | None:
    """The one whose promotions go to `stage` by default."""
    rows = Stage.objects.filter(pipeline=stage.pipeline_id, position__lt=stage.position)
    before = rows.order_by("-position").first()
    return before if before is not None and before.next() == stage else None


def targets_of(line: Line, source: Coupling) -> list[Coupling]:
    """The apps that a release of `source` goes to over the line."""
    return [row for row in source.likely_targets() if row.stage_id == line.stage_id]


@transaction.atomic
def refresh(line: Line) -> list[Passage]:
    """Have one open passage for each app whose code its targets do not run yet, of its newest release; older ones are
    superseded, those that have arrived are closed. Returns the open ones."""
    line = Line.objects.select_for_update().select_related("stage__pipeline").get(pk=line.pk)
    Line.objects.filter(pk=line.pk).update(stale=False)
    opened = []
    sources = sources_of(line) if line.mode != Line.Mode.HAND or line.gates.exists() else []
    for source in sources:
        passage = _refresh_one(line, source)
        if passage is not None:
            opened.append(passage)
    gone = Passage.objects.filter(line=line, state=State.OPEN).exclude(pk__in=[one.pk for one in opened])
    for passage in gone:
        _end(passage, State.SUPERSEDED, "There is nothing to promote any more.")
    show(line)
    return opened


def _refresh_one(line: Line, source: Coupling) -> Passage | None:
    release = Release.objects.current_for(source.app)
    passage = Passage.objects.filter(line=line, source=source.app, state=State.OPEN).first()
    if release is None or release.slug is None:
        return None
    targets = targets_of(line, source)
    if not targets:
        return None
    running = Release.objects.filter(app__in=[row.app_id for row in targets], current=True)
    same = running.filter(slug__digest=release.slug.digest).count()
    if same == len(targets):
        if passage is not None:
            slug = passage.slug_id == release.slug_id
            _end(passage, State.PROMOTED if slug else State.SUPERSEDED, "All its targets run it.")
        return None
    if passage is not None and passage.slug_id == release.slug_id:
        if passage.release_id != release.pk:
            Passage.objects.filter(pk=passage.pk).update(release=release)
        return passage
    if passage is not None:
        _end(passage, State.SUPERSEDED, f"{source.app.name} runs {release} by now.")
    last = Passage.objects.filter(line=line, source=source.app, slug=release.slug).first()
    if last is not None and (last.state == State.REFUSED or _under_way(last)):
        return None
    return Passage.objects.create(line=line, source=source.app, slug=release.slug, release=release)


def _under_way(passage: Passage) -> bool:
    """Whether its promotion has not ended: until it has, its targets run what they ran."""
    return passage.promotion is not None and passage.promotion.status == Promotion.Status.PENDING


def look(passage: Passage) -> Promotion | None:
    """See how an open passage stands: keep a copy of that for boards, have gates tried that were not, tell people what
    waits for them, and promote it if the line does so by itself and nothing is against it."""
    now = timezone.now()
    states = gates.states(passage, now)
    for state in states:
        if state.kind in kinds.PROBED and state.words == gates.UNTRIED:
            _probe(passage, state)
    held = all(state.passed for state in states)
    goes = passage.line.mode == Line.Mode.AUTO and held and not stops.against(passage.line.stage, now)
    _keep(passage, states, now + AGAIN if goes else _next_look(passage, states, now))
    if goes:
        return _promote(passage)
    _ask(passage, states)
    return None


@transaction.atomic
def let_pass(passage: Passage, *, by: User) -> Promotion:
    """Promote it in the name of `by`, whose yes the line asked for. `Conflict` when it has moved on, or a gate does not
    hold."""
    access.demand_letting_pass(by, passage)
    locked = _locked(passage)
    source, targets = _way(locked)
    promotion = pipeline_actions.promote(source, targets, by=by, release=locked.release)
    _promoted(locked, promotion)
    return promotion


def _promote(passage: Passage) -> Promotion | None:
    """Promote it by itself, if all is still so. What is refused then holds the line, visibly."""
    with transaction.atomic():
        Line.objects.select_for_update().get(pk=passage.line_id)  # holds and lifts take turns with us
        try:
            locked = _locked(passage)
            source, targets = _way(locked)
        except Conflict:
            return None
        line = locked.line
        try:
            by = _in_whose_name(line, targets)
            with transaction.atomic():
                promotion = pipeline_actions.promote(
                    source, targets, by=by, release=locked.release, automatic=True
                )
        except Conflict:  # a gate has closed, or a line was held, since we looked
            return None
        except Refusal as refusal:
            hold_line(line, Hold.Cause.FAILED, refusal.message, app=None)
            return None
        _promoted(locked, promotion)
        failpoints.reach("flow.promoted")
    return promotion


def _in_whose_name(line: Line, targets: Sequence[Coupling]) -> User:
    """Who said that it promotes by itself; `Refusal` when they may not do that any more."""
    if line.by is None or not line.by.is_active:
        raise Refusal("Whoever had it promote by itself is gone. Somebody has to say so again.")
    for target in targets:
        if app_access.DEPLOY not in app_access.rights_in(line.by, target.app):
            who = line.by.get_full_name()
            raise Refusal(
                f"It promotes by itself in the name of {who}, who may not deploy to {target.app.name} any more. "
                "Somebody else has to have it promote by itself."
            )
    return line.by


def _locked(passage: Passage) -> Passage:
    found = (
        Passage.objects.select_for_update(of=("self",))
        .select_related("line__stage__pipeline", "line__by", "source", "release__slug", "slug")
        .filter(pk=passage.pk)
        .first()
    )
    if found is None or found.state != State.OPEN:
        raise Conflict("It is not waiting any more. Look at the line as it is now.")
    return found


def _way(passage: Passage) -> tuple[Coupling, list[Coupling]]:
    """Its source and the targets that do not run it yet; `Conflict` when there is no such way any more."""
    source = Coupling.objects.filter(app=passage.source).select_related("app", "stage", "pipeline").first()
    current = Release.objects.current_for(passage.source)
    if source is None or current is None or current.slug_id != passage.slug_id:
        raise Conflict(f"{passage.source.name} runs another release by now.")
    running = Release.objects.filter(current=True, slug__digest=passage.slug.digest).values("app")
    there = set(running.values_list("app", flat=True))
    targets = [row for row in targets_of(passage.line, source) if row.app_id not in there]
    if not targets:
        raise Conflict("All its targets run it already.")
    if passage.line.canary == Line.Canary.APP:
        targets.sort(key=lambda row: row.app.name)
    return source, targets


def _promoted(passage: Passage, promotion: Promotion) -> None:
    Passage.objects.filter(pk=passage.pk).update(promotion=promotion)
    _end(passage, State.PROMOTED, "")


def _end(passage: Passage, state: str, reason: str) -> None:
    ended = Passage.objects.filter(pk=passage.pk, state=State.OPEN).update(
        state=state, reason=reason[:500], ended_at=timezone.now()
    )
    if ended:
        Probe.objects.filter(passage=passage, status__in=["pending", "running"]).update(wake_at=None)
        live.tell(passage.line.stage.pipeline.topic)
        live.wake_conductor()


def refuse_for_good(promotion: Promotion, reason: str) -> None:
    """Have what `promotion` brought not pass by itself again: it has failed there."""
    Passage.objects.filter(promotion=promotion, state=State.PROMOTED).update(
        state=State.REFUSED, reason=reason[:500]
    )


def hold_line(line: Line, cause: str, reason: str, *, app: Any) -> Hold:
    """Stop the line since something went wrong there; once for each cause and app."""
    found = Hold.objects.filter(line=line, cause=cause, app=app, lifted_at=None).first()
    if found is not None:
        return found
    pipeline = line.stage.pipeline
    made = Hold.objects.create(pipeline=pipeline, line=line, cause=cause, reason=reason[:500], app=app)
    activity.record(None, "held", line, pipeline=pipeline, why=reason, stage=line.stage.name)
    show(line)
    live.tell(pipeline.topic)
    return made


def show(line: Line) -> None:
    """Keep the copy of its rules and stops that boards show."""
    rules = [
        {"kind": gate.kind, "rule": kinds.in_words(gate.kind, gate.settings)} for gate in line.gates.all()
    ]
    shown = {"rules": rules, **stops.shown(line)}
    before = Line.objects.filter(pk=line.pk).values_list("shown", flat=True).first()
    if shown != before:
        Line.objects.filter(pk=line.pk).update(shown=shown)
        live.tell(line.stage.pipeline.topic)


def show_passage(passage: Passage) -> None:
    """Keep the copy of what its gates say now, for whoever looks at it this moment; the conductor looks besides."""
    _keep(passage, gates.states(passage), passage.look_at)


def _keep(passage: Passage, states: Sequence[GateState], look_at: datetime) -> None:
    shown = [state.stored() for state in states]
    news: dict[str, Any] = {"look_at": look_at}
    if shown != passage.shown:
        news["shown"] = shown
        passage.shown = shown
        live.tell(passage.line.stage.pipeline.topic)
    Passage.objects.filter(pk=passage.pk, look_at=passage.look_at).update(**news)


def _next_look(passage: Passage, states: Sequence[GateState], now: datetime) -> datetime:
    """When time alone may have changed something that matters. What waits for somebody, or for tests, is looked at when
    they have had their say."""
    missing = [state for state in states if not state.passed]
    turn = stops.turns_at(passage.line.stage, now)
    times = [turn] if turn else []
    if all(state.kind in BY_THE_CLOCK for state in missing):
        times += [datetime.fromisoformat(state.until) for state in missing if state.until]
    return min([*(at for at in times if at > now), now + LONGEST])


def _probe(passage: Passage, state: GateState) -> None:
    with transaction.atomic():
        open_ = Probe.objects.filter(
            gate=uuid.UUID(state.gate), passage=passage, status__in=["pending", "running"]
        )
        if not open_.exists():
            Probe.objects.create(gate_id=uuid.UUID(state.gate), passage=passage)
            live.wake_conductor()


@transaction.atomic
def _ask(passage: Passage, states: Sequence[GateState]) -> None:
    """Tell people, once, when nothing but their word is missing."""
    if passage.asked_at is not None or any(
        not one.passed and one.kind != Gate.Kind.APPROVAL for one in states
    ):
        return
    missing = [one for one in states if not one.passed]
    if any(one.state == gates.FAILED for one in missing):
        return
    if not missing and passage.line.mode != Line.Mode.ASK:
        return
    asked = Passage.objects.filter(pk=passage.pk, asked_at=None, state=State.OPEN)
    if asked.update(asked_at=timezone.now()):
        activity.record(
            None,
            "asked for approval of",
            passage.source,
            pipeline=passage.line.stage.pipeline,
            passage=str(passage.pk),
            release=passage.release.version,
            stage=passage.line.stage.name,
        )


def for_attempt(line: Line, source: Coupling, slug: Any) -> Passage | None:
    """The passage of this slug over this line whose verdicts and probes count: the newest of the app, if it is of this
    slug and was not turned down."""
    found = Passage.objects.filter(line=line, source=source.app).first()
    if found is None or found.slug_id != slug.pk or found.state not in (State.OPEN, State.PROMOTED):
        return None
    return found


def due(now: datetime) -> list[Passage]:
    """Some of the open passages that are to be looked at: first those that somebody has just made due."""
    rows = Passage.objects.filter(state=State.OPEN, look_at__lte=now)
    if not rows.exists():  # asked every second, and nearly always so
        return []
    related = ("line__stage__pipeline", "line__by", "source", "release", "slug")
    return list(rows.select_related(*related).prefetch_related("line__gates").order_by("-look_at")[:AT_ONCE])


def make_due(rows: Any) -> None:
    """Have these passages looked at at once."""
    if rows.filter(state=State.OPEN).update(look_at=timezone.now()):
        live.wake_conductor()


def open_in(pipelines: Iterable[Pipeline]) -> Mapping[uuid.UUID, list[Passage]]:
    """The open passages of these pipelines by line, in one query."""
    rows = Passage.objects.filter(line__stage__pipeline__in=list(pipelines), state=State.OPEN)
    found: dict[uuid.UUID, list[Passage]] = defaultdict(list)
    for row in rows.select_related("source", "release", "slug"):
        found[row.line_id].append(row)
    return found
