"""What people do about lines: set them up, stop them, and say yes or no to what waits there."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from core import activity, live, secrets
from core.errors import Conflict, NotFound, Refusal
from flow import access, kinds, passages
from flow.models import Freeze, Gate, Hold, Line, Passage, Probe, Verdict
from pipelines.models import Pipeline, Promotion, Stage
from scheduler import times

MAX_GATES = 10
MAX_FREEZES = 50


def line_of(stage: Stage) -> Line:
    """The line into `stage`, made if it has none: by hand, without gates."""
    return Line.objects.select_related("stage__pipeline", "by").get_or_create(stage=stage)[0]


@transaction.atomic
def set_line(
    stage: Stage,
    *,
    mode: str,
    soak_minutes: int = 10,
    watch: bool = True,
    most_crashes: int = 0,
    most_errors: float | None = None,
    most_p95: int | None = None,
    canary: str = Line.Canary.NONE,
    canary_percent: int = 10,
    canary_minutes: int = 5,
    needs_config: bool = False,
    by: User,
) -> Line:
    """Say how releases pass into `stage`. Where they do by themselves, it is in the name of `by` from now on."""
    access.demand_manager(by, stage.pipeline)
    line = _lock(line_of(stage))
    before = _in_words(line)
    given = {
        "mode": mode,
        "soak_minutes": soak_minutes,
        "watch": watch,
        "most_crashes": most_crashes,
        "most_errors": most_errors,
        "most_p95": most_p95,
        "canary": canary,
        "canary_percent": canary_percent,
        "canary_minutes": canary_minutes,
        "needs_config": needs_config,
    }
    _check_line(given)
    for name, value in given.items():
        setattr(line, name, value)
    line.by = by
    line.stale = True
    line.save()
    after = _in_words(line)
    if before != after:
        _record(by, "set how releases pass into", line, before=before, after=after)
    _changed(line)
    return line


@transaction.atomic
def add_gate(line: Line, kind: str, settings: Mapping[str, Any], *, by: User) -> tuple[Gate, str]:
    """Put a condition on the line. Returns it with the secret that calls of a webhook are signed with, shown this once;
    empty for other kinds."""
    access.demand_manager(by, line.stage.pipeline)
    line = _lock(line)
    made = kinds.check(kind, settings)
    if line.gates.count() >= MAX_GATES:
        raise Refusal(f"A line has {MAX_GATES} gates at most.")
    last = line.gates.aggregate(last=Max("position"))["last"]
    gate = Gate(line=line, kind=kind, settings=made, position=0 if last is None else last + 1)
    secret = secrets.new_token("gate") if kind == Gate.Kind.WEBHOOK else ""
    gate.secret = secret
    gate.save(force_insert=True)
    _record(by, "added a gate to", line, gate=kinds.in_words(kind, made))
    _changed(line)
    return gate, secret


@transaction.atomic
def change_gate(gate: Gate, settings: Mapping[str, Any], *, by: User) -> Gate:
    """Set the gate's conditions. What was found out by it before does not count any more."""
    access.demand_manager(by, gate.line.stage.pipeline)
    _lock(gate.line)
    made = kinds.check(gate.kind, settings)
    before = kinds.in_words(gate.kind, gate.settings)
    if made == gate.settings:
        return gate
    gate.settings = made
    gate.save(update_fields=["settings", "updated_at"])
    Probe.objects.filter(gate=gate, status__in=["pending", "running"]).update(wake_at=None)
    _record(by, "changed a gate of", gate.line, before=before, after=kinds.in_words(gate.kind, made))
    _changed(gate.line)
    return gate


@transaction.atomic
def remove_gate(gate: Gate, *, by: User) -> None:
    """Take the condition away: what waited for nothing else passes."""
    access.demand_manager(by, gate.line.stage.pipeline)
    line = _lock(gate.line)
    _record(by, "removed a gate of", line, gate=kinds.in_words(gate.kind, gate.settings))
    gate.delete()
    _changed(line)


# --- what people say ------------------------------------------------------------------------------------------------------


def approve(passage: Passage, *, note: str = "", by: User) -> Verdict:
    """Say yes. `Conflict` when it has been superseded or promoted meanwhile, `Forbidden` for whose word does not count."""
    return _say(passage, True, note, by)


def refuse(passage: Passage, *, note: str, by: User) -> Verdict:
    """Say no, with a reason: it does not pass while this stands."""
    access.demand_deciding(by, passage)
    if not note.strip():
        raise Refusal("Say why, for whoever made it.", fields={"note": "Say why."})
    return _say(passage, False, note, by)


@transaction.atomic
def take_back(passage: Passage, *, by: User) -> None:
    """Have said nothing."""
    passage = _waiting(passage)
    gone, _ = Verdict.objects.filter(passage=passage, user=by).delete()
    if not gone:
        raise NotFound("You have not said anything about this.", resource="verdict")
    _record_about(by, "took back a word on", passage)
    _heard(passage)


def let_pass(passage: Passage, *, by: User) -> Promotion:
    """The yes that a line asks for: promote it now, in the name of `by`."""
    return passages.let_pass(passage, by=by)


@transaction.atomic
def probe_again(gate: Gate, passage: Passage, *, by: User) -> Probe:
    """Try a gate once more. `Conflict` while it is being tried."""
    passage = _waiting(passage)
    access.demand_stopping(by, passage.line.stage.pipeline, passage.line)
    if gate.line_id != passage.line_id or gate.kind not in kinds.PROBED:
        raise NotFound("Couldn't find that gate.", resource="gate")
    if Probe.objects.filter(gate=gate, passage=passage, status__in=["pending", "running"]).exists():
        raise Conflict("It is being tried right now.")
    probe = Probe.objects.create(gate=gate, passage=passage)
    _record_about(by, "had a gate tried again for", passage, gate=kinds.in_words(gate.kind, gate.settings))
    _heard(passage)
    return probe


@transaction.atomic
def reopen(passage: Passage, *, note: str, by: User) -> Passage:
    """Let a release that failed behind the line try again: its gates are asked anew."""
    access.demand_stopping(by, passage.line.stage.pipeline, passage.line)
    line = _lock(passage.line)
    newest = Passage.objects.filter(line=line, source=passage.source).first()
    if newest is None or newest.pk != passage.pk or passage.state != Passage.State.REFUSED:
        raise Conflict("Something newer is on its way, or it was not turned down.")
    made = Passage.objects.create(
        line=line, source=passage.source, slug=passage.slug, release=passage.release
    )
    _record_about(by, "reopened", made, note=note)
    _changed(line)
    return made


# --- stops ------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def hold(pipeline: Pipeline, *, line: Line | None = None, reason: str, by: User) -> Hold:
    """Have nothing pass over the line, or anywhere in the pipeline, until somebody lifts it. What is on its way goes on
    to its end."""
    access.demand_stopping(by, pipeline, line)
    if not reason.strip():
        raise Refusal("Say why, for the others.", fields={"reason": "Say why."})
    lines = _lock_all(pipeline, line)
    made = Hold.objects.create(pipeline=pipeline, line=line, reason=reason.strip()[:500], by=by)
    _record_stop(by, "held", pipeline, line, why=made.reason)
    for one in lines:
        passages.show(one)
    live.tell(pipeline.topic)
    return made


@transaction.atomic
def lift(hold: Hold, *, note: str = "", by: User) -> None:
    """Let releases pass again. `Conflict` when somebody was faster."""
    access.demand_stopping(by, hold.pipeline, hold.line)
    lines = _lock_all(hold.pipeline, hold.line)
    lifted = Hold.objects.filter(pk=hold.pk, lifted_at=None).update(
        lifted_at=timezone.now(), lifted_by=by, lifted_note=note.strip()[:500]
    )
    if not lifted:
        raise Conflict("It has been lifted already.")
    _record_stop(by, "lifted", hold.pipeline, hold.line, why=hold.reason, note=note)
    for one in lines:
        _changed(one)


@transaction.atomic
def freeze(
    pipeline: Pipeline,
    *,
    stage: Stage | None = None,
    name: str,
    zone: str = "UTC",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    days: Iterable[int] = (),
    from_minute: int = 0,
    to_minute: int = 24 * 60,
    by: User,
) -> Freeze:
    """Have nothing pass at certain hours: from `starts_at` to `ends_at` once, or on `days` of each week (0 is Monday)
    between two minutes of the day."""
    access.demand_manager(by, pipeline)
    chosen = sorted({int(day) for day in days})
    _check_freeze(pipeline, name, starts_at, ends_at, chosen, from_minute, to_minute)
    lines = _lock_all(pipeline, line_of(stage) if stage else None)
    made = Freeze.objects.create(
        pipeline=pipeline,
        stage=stage,
        name=name.strip()[:100],
        zone=times.check_zone(zone),
        starts_at=starts_at,
        ends_at=ends_at,
        days=chosen,
        from_minute=from_minute,
        to_minute=to_minute,
        by=by,
    )
    activity.record(by, "added the freeze", made, pipeline=pipeline, stage=stage.name if stage else "")
    for line in lines:
        _changed(line)
    return made


@transaction.atomic
def unfreeze(freeze: Freeze, *, by: User) -> None:
    """Take the freeze away."""
    access.demand_manager(by, freeze.pipeline)
    lines = _lock_all(freeze.pipeline, line_of(freeze.stage) if freeze.stage else None)
    activity.record(by, "removed the freeze", freeze, pipeline=freeze.pipeline)
    freeze.delete()
    for line in lines:
        _changed(line)


# --- parts ------------------------------------------------------------------------------------------------------------------


@transaction.atomic
def _say(passage: Passage, approves: bool, note: str, by: User) -> Verdict:
    passage = _waiting(passage)
    access.demand_deciding(by, passage)
    said, _ = Verdict.objects.update_or_create(
        passage=passage,
        user=by,
        defaults={"approves": approves, "note": note.strip()[:500], "created_at": timezone.now()},
    )
    _record_about(by, "approved" if approves else "refused", passage, note=said.note)
    _heard(passage)
    return said


def _waiting(passage: Passage) -> Passage:
    """The passage, locked, while it is open: what people say is about what they saw."""
    found = (
        Passage.objects.select_for_update(of=("self",))
        .select_related("line__stage__pipeline", "source", "release", "slug")
        .filter(pk=passage.pk)
        .first()
    )
    if found is None or found.state != Passage.State.OPEN:
        said = {"promoted": "It has been promoted already.", "refused": "It has failed there already."}
        reason = said.get(found.state if found else "", "A newer release has taken its place.")
        raise Conflict(f"{reason} Look at the line as it is now.")
    return found


def _heard(passage: Passage) -> None:
    passages.show_passage(passage)
    passages.make_due(Passage.objects.filter(pk=passage.pk))
    live.tell(passage.line.stage.pipeline.topic)


def _lock(line: Line) -> Line:
    return (
        Line.objects.select_for_update(of=("self",)).select_related("stage__pipeline", "by").get(pk=line.pk)
    )


def _lock_all(pipeline: Pipeline, line: Line | None) -> list[Line]:
    """The line, or every line of the pipeline (made where a stage has none), locked: promotions take turns with us."""
    if line is not None:
        return [_lock(line)]
    stages = Stage.objects.filter(pipeline=pipeline).exclude(word=Stage.Word.REVIEW)
    return [_lock(line_of(stage)) for stage in stages]


def _changed(line: Line) -> None:
    """Have the conductor look at what waits there, now."""
    Line.objects.filter(pk=line.pk).update(stale=True)
    passages.show(line)
    passages.make_due(Passage.objects.filter(line=line))
    live.tell(line.stage.pipeline.topic)
    live.wake_conductor()


def _check_line(given: Mapping[str, Any]) -> None:
    if given["mode"] not in Line.Mode.values or given["canary"] not in Line.Canary.values:
        raise Refusal("Choose how releases pass.", fields={"mode": "Choose one."})
    bounds = {
        "soak_minutes": (0, 7 * 24 * 60),
        "most_crashes": (0, 1000),
        "most_errors": (0, 100),
        "most_p95": (1, 60_000),
        "canary_percent": (1, 99),
        "canary_minutes": (1, 24 * 60),
    }
    for name, (least, most) in bounds.items():
        value = given[name]
        if value is None and name in ("most_errors", "most_p95"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            text = f"Give a number from {least:,} to {most:,}."
            raise Refusal(text, fields={name: text})


def _check_freeze(
    pipeline: Pipeline,
    name: str,
    starts_at: datetime | None,
    ends_at: datetime | None,
    days: list[int],
    from_minute: int,
    to_minute: int,
) -> None:
    if not name.strip():
        raise Refusal("Say why, in a word or two.", fields={"name": "Say why, in a word or two."})
    once = starts_at is not None or ends_at is not None
    if once and (starts_at is None or ends_at is None or starts_at >= ends_at):
        raise Refusal("It has to end after it begins.", fields={"ends_at": "Later than it begins."})
    if once == bool(days):
        raise Refusal(
            "Give its first and last moment, or days of the week.", fields={"days": "Choose a day."}
        )
    if not set(days) <= set(range(7)) or not 0 <= from_minute < to_minute <= 24 * 60:
        raise Refusal("It has to end after it begins.", fields={"to": "Later than it begins."})
    if Freeze.objects.filter(pipeline=pipeline).count() >= MAX_FREEZES:
        raise Refusal(f"A pipeline has {MAX_FREEZES} freezes at most.")


def _in_words(line: Line) -> dict[str, str]:
    watch = f"{line.soak_minutes} min" if line.watch else "no"
    canary = {
        Line.Canary.APP: "one app first",
        Line.Canary.SHARE: f"{line.canary_percent} % of the traffic for {line.canary_minutes} min",
    }.get(Line.Canary(line.canary), "no")
    limits = [
        f"{line.most_crashes} crashes",
        *([f"{line.most_errors:g} % errors"] if line.most_errors is not None else []),
        *([f"p95 {line.most_p95} ms"] if line.most_p95 is not None else []),
    ]
    return {
        "mode": str(line.mode),
        "watch": watch,
        "limits": ", ".join(limits),
        "canary": canary,
        "required config": "needed" if line.needs_config else "not needed",
    }


def _record(by: User, verb: str, line: Line, **details: Any) -> None:
    activity.record(by, verb, line, pipeline=line.stage.pipeline, stage=line.stage.name, **details)


def _record_about(by: User, verb: str, passage: Passage, **details: Any) -> None:
    activity.record(
        by,
        verb,
        passage.source,
        pipeline=passage.line.stage.pipeline,
        passage=str(passage.pk),
        release=passage.release.version,
        stage=passage.line.stage.name,
        **{key: value for key, value in details.items() if value},
    )


def _record_stop(by: User, verb: str, pipeline: Pipeline, line: Line | None, **details: Any) -> None:
    thing: Any = line or pipeline
    stage = line.stage.name if line else ""
    activity.record(
        by, verb, thing, pipeline=pipeline, stage=stage, **{k: v for k, v in details.items() if v}
    )


def open_holds(pipeline: Pipeline) -> list[Hold]:
    """Everything that stands still in the pipeline, the newest first."""
    rows = Hold.objects.filter(pipeline=pipeline, lifted_at=None)
    return list(rows.select_related("line__stage", "by", "app"))
