"""Probes: gates that find out by doing something. A command runs in one-off dynos, one after the other; an address is
asked; a webhook is told of the passage and answers.

What the world does wrong (nobody answers, a dyno that is lost with the platform) is tried again with longer and longer
pauses; what the app or the other side says is the end of the probe. A probe whose passage has ended, or whose gate was
changed, ends too, and its dyno is stopped.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from apps import one_offs
from apps.models import App, Dyno
from conductor import asking
from conductor.asking import Later, Outcome
from conductor.parts import Parts
from conductor.turns import release_connections
from conductor.work import Held, Kind
from core import failpoints, live
from core.errors import EngineError, LeaseLost, Refusal
from flow import passages
from flow.models import Gate, Passage, Probe
from pipelines.models import Coupling
from releases.models import Release

AT_ONCE = 64
LOOK_SECONDS = 0.5  # between two looks at a dyno
TYPE = "gate"  # of the dynos
OVER = {
    Passage.State.PROMOTED: "It has been promoted meanwhile.",
    Passage.State.SUPERSEDED: "Something else took its place meanwhile.",
    Passage.State.REFUSED: "It has been turned down meanwhile.",
}


@dataclass(frozen=True)
class Place:
    """Where a command runs: an app, and the version whose config it gets there (0: the config of now)."""

    app: App
    version: int


class Probing:
    """Moves probes forward. `poke` has an app's dynos looked at: of what we do ourselves we get no news."""

    def __init__(self, parts: Parts, poke: Callable[[uuid.UUID], None]) -> None:
        self._parts = parts
        self._poke = poke
        self._ways: dict[str, Callable[[Probe], float | None]] = {
            Gate.Kind.COMMAND: self._command,
            Gate.Kind.HTTP: self._ask,
            Gate.Kind.WEBHOOK: self._ask,
        }

    def kind(self) -> Kind:
        """As the conductor knows it."""
        return Kind("probe", Probe, AT_ONCE, self.advance, self.fail, turns="ask")

    def advance(self, held: Held) -> float | None:
        """Go on with a probe; None when it has ended or waits by itself."""
        probe: Probe = held.job
        gate = Gate.objects.filter(pk=probe.gate_id).first()
        related = ("line__stage__pipeline", "source", "release", "slug")
        passage = Passage.objects.select_related(*related).filter(pk=probe.passage_id).first()
        if gate is None or passage is None:  # and so the probe's own row
            self._stop(probe)
            raise LeaseLost(f"Probe {probe.pk}")
        probe.gate, probe.passage = gate, passage
        if over := _why_over(probe):
            self._end(probe, Outcome(False, over))
            return None
        try:
            return self._ways[gate.kind](probe)
        except Refusal as refusal:
            self._end(probe, Outcome(False, refusal.message))
            return None

    def fail(self, probe: Any, reason: str) -> None:
        """End a probe that can't go on."""
        self._end(probe, Outcome(False, reason))

    # --- addresses and webhooks -----------------------------------------------------------------------------------

    def _ask(self, probe: Probe) -> None:
        failpoints.reach("flow.probe_started")
        question = asking.question(probe)
        release_connections()
        answer = question()
        failpoints.reach("flow.probe_done")
        if isinstance(answer, Later):
            probe.record(attempt=0, reason=answer.words[:500])
            probe.put_back(seconds=answer.seconds)
        else:
            self._end(probe, answer)

    # --- commands -------------------------------------------------------------------------------------------------

    def _command(self, probe: Probe) -> float | None:
        """Run it at each place in turn. Which dyno is its own is written down with the dyno, so there is never another."""
        dyno = Dyno.objects.select_related("app").filter(pk=probe.dyno_id).first() if probe.dyno_id else None
        if probe.dyno_id is None or (dyno is not None and str(dyno.app_id) in _done(probe)):
            return self._next(probe)
        if dyno is not None and dyno.state != Dyno.State.DOWN:
            return LOOK_SECONDS
        failpoints.reach("flow.probe_done")
        if dyno is None or (dyno.exit_code is None and not dyno.stop_asked):
            probe.record(dyno_id=None)
            raise EngineError(f"{dyno} of {dyno.app}: {dyno.reason}" if dyno else "The dyno is gone.")
        if dyno.exit_code != 0:
            self._end(probe, Outcome(False, _why_failed(dyno), {"exit_code": dyno.exit_code}))
            return None
        done = [*_done(probe), str(dyno.app_id)]
        probe.record(facts={**probe.facts, "exit_code": 0, "done": done})
        return self._next(probe)

    def _next(self, probe: Probe) -> float | None:
        """Start it where it has not been yet; it holds when there is no such place."""
        place = next((one for one in _places(probe) if str(one.app.pk) not in _done(probe)), None)
        if place is None:
            self._end(probe, Outcome(True, "It exited with status 0."))
            return None
        self._start(probe, place)
        return LOOK_SECONDS

    def _start(self, probe: Probe, place: Place) -> None:
        said = probe.gate.settings
        with transaction.atomic():
            dyno = one_offs.run_detached(
                place.app,
                said["command"],
                release_version=place.version,
                time_to_live=said["seconds"],
                type=TYPE,
                code=probe.passage.slug_id,
                stream=probe.log_stream,
                by=None,
            )
            apps = [*probe.facts.get("apps", []), str(place.app.pk)]
            facts = {**probe.facts, "apps": list(dict.fromkeys(apps))}
            probe.record(dyno_id=dyno.pk, reason=f"running on {place.app.name}", facts=facts)
            live.tell(probe.passage.line.stage.pipeline.topic)
        self._parts.say(probe.log_stream, f"Running {said['command']} on {place.app.name}", dyno=dyno.name)
        failpoints.reach("flow.probe_started")

    # --- the end --------------------------------------------------------------------------------------------------

    def _end(self, probe: Probe, outcome: Outcome) -> None:
        status = Probe.Status.SUCCEEDED if outcome.holds else Probe.Status.FAILED
        with transaction.atomic():
            facts = {**probe.facts, **outcome.facts}
            probe.end(status, reason=outcome.words[:500], facts=facts)
            self._stop(probe)
            pipeline = Passage.objects.get(pk=probe.passage_id).line.stage.pipeline
            live.tell(pipeline.topic)
            live.wake_conductor()
        if not self._parts.logs.ended(probe.log_stream) and self._parts.logs.last(probe.log_stream):
            self._parts.logs.end(probe.log_stream)

    def _stop(self, probe: Probe) -> None:
        """Have its dyno end, if it still runs."""
        chosen = [probe.dyno_id] if probe.dyno_id else []
        for dyno in Dyno.objects.filter(pk__in=chosen).exclude(state=Dyno.State.DOWN):
            Dyno.objects.filter(pk=dyno.pk).update(stop_asked=True)
            transaction.on_commit(partial(self._poke, dyno.app_id))


def _why_over(probe: Probe) -> str:
    """Why nobody wants to know any more; empty when somebody does."""
    if probe.gate.updated_at > probe.created_at:
        return "The gate was changed meanwhile."
    return OVER.get(Passage.State(probe.passage.state), "")


def _done(probe: Probe) -> list[str]:
    return list(probe.facts.get("done", []))


def _places(probe: Probe) -> list[Place]:
    """Where the command is to run; `Refusal` when that is nowhere."""
    passage = probe.passage
    if probe.gate.settings["on"] == "source":
        return [Place(passage.source, passage.release.version)]
    source = Coupling.objects.filter(app=passage.source_id).select_related("app", "stage", "pipeline").first()
    apps = [row.app for row in passages.targets_of(passage.line, source)] if source else []
    if not apps:
        raise Refusal(f"There is no app in {passage.line.stage.name} to run it on.")
    current = Release.objects.filter(app__in=apps, current=True)
    versions: dict[uuid.UUID, int] = dict(current.values_list("app", "version"))
    return [
        Place(app, versions.get(app.pk, 0)) for app in sorted(apps, key=lambda app: (app.name, str(app.pk)))
    ]


def _why_failed(dyno: Dyno) -> str:
    if dyno.stop_asked:
        return f"{dyno} of {dyno.app} was stopped."
    return f"{dyno.reason or f'It exited with status {dyno.exit_code}'} on {dyno.app}."
