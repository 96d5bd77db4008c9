"""Makes a pipeline what a document says: by the verbs that people use on its pages, all of them or none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from accounts.models import User
from blueprints import comparing, document, schema
from blueprints.comparing import by_name
from blueprints.document import Document
from ci import settings as ci_settings
from core.errors import Refusal
from flow import actions as flow
from flow import kinds
from flow.models import Freeze, Gate, Line
from notices import actions as notices
from notices.audience import audience
from notices.models import Channel
from pipelines import actions as pipelines
from pipelines import stages as stage_actions
from pipelines.models import Pipeline, Stage
from reviews import actions as reviews
from scheduler.times import check_zone

Secrets = list[tuple[str, str]]


def make(pipeline: Pipeline, now: Document, wanted: Document, *, by: User) -> Secrets:
    """Change what is otherwise. Returns (gate, secret) of webhooks that were added, shown this once. Call it in a
    transaction; a `Refusal` says what can't be, and undoes all of it."""
    made: Secrets = []
    if "stages" in wanted:
        _stages(pipeline, now["stages"], wanted["stages"], by)
        for stage in wanted["stages"]:
            before = by_name(now["stages"]).get(stage["name"], schema.STAGE.defaults)
            with _about(stage["name"]):
                made += _line(_stage(pipeline, stage["name"]), before["line"], stage["line"], by)
    if "freezes" in wanted:
        _freezes(pipeline, now["freezes"], wanted["freezes"], by)
    if wanted.get("reviews", now["reviews"]) != now["reviews"]:
        reviews.set_settings(pipeline, by=by, **wanted["reviews"])
    if wanted.get("ci", now["ci"]) != now["ci"]:
        ci_settings.set_settings(pipeline, by=by, **wanted["ci"])
    for said in wanted.get("notifications", []):
        _channel(pipeline, said, by)
    return made


class _about:
    """What is refused inside is said of that stage."""

    def __init__(self, stage: str) -> None:
        self._stage = comparing.title(stage)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, refusal: BaseException | None, trace: Any) -> None:
        if isinstance(refusal, Refusal):
            raise Refusal(
                f"{self._stage}: {refusal.message}", id=refusal.id, status=refusal.status
            ) from refusal


# --- stages -----------------------------------------------------------------------------------------------------------------


def _stages(pipeline: Pipeline, now: list[Document], wanted: list[Document], by: User) -> None:
    before, after = by_name(now), by_name(wanted)
    for name, said in after.items():
        if name not in before:
            pipelines.add_stage(pipeline, name, word=said["word"], after=None, by=by)
    for name in before:
        if name not in after:
            with _about(name):
                pipelines.remove_stage(_stage(pipeline, name), by=by)
    if list(Stage.objects.filter(pipeline=pipeline).values_list("name", flat=True)) != list(after):
        pipelines.order_stages(pipeline, list(after), by=by)
    for name, said in after.items():
        with _about(name):
            _settle(_stage(pipeline, name), before.get(name), said, by)


def _settle(stage: Stage, now: Document | None, wanted: Document, by: User) -> None:
    """Its word, rules and defaults."""
    now = now or {**schema.STAGE.defaults, "name": stage.name, "word": stage.word}
    if now["word"] != wanted["word"]:
        pipelines.change_stage(stage, word=wanted["word"], by=by)
    if _differ(now, wanted, "promoters", "readers"):
        named = isinstance(wanted["promoters"], list)
        stage_actions.set_rules(
            stage,
            promoters=Stage.Promoters.PEOPLE if named else wanted["promoters"],
            people=_ids(stage_actions.candidates(stage.pipeline), wanted["promoters"]) if named else (),
            readers=wanted["readers"],
            by=by,
        )
    if now["source"] != wanted["source"]:
        stage_actions.set_origin(stage, wanted["source"], by=by)
    if _differ(now, wanted, "buildpacks", "build", "stack", "health", "formation", "addons"):
        stage_actions.set_defaults(
            stage,
            buildpacks=wanted["buildpacks"],
            build_command=wanted["build"],
            stack=wanted["stack"],
            health_path=wanted["health"],
            formation=wanted["formation"],
            addons=wanted["addons"],
            by=by,
        )


def _differ(now: Document, wanted: Document, *keys: str) -> bool:
    return any(now[key] != wanted[key] for key in keys)


def _ids(people: Any, addresses: Sequence[str]) -> list[str]:
    """The ids of `people` with these addresses; `Refusal` when one of them is not among them."""
    found = {user.email.lower(): str(user.pk) for user in people}
    unknown = [address for address in addresses if address not in found]
    if unknown:
        raise Refusal(
            f"{unknown[0]} is nobody here who could be named. Invite them first, or name somebody else."
        )
    return [found[address] for address in addresses]


def _stage(pipeline: Pipeline, name: str) -> Stage:
    return Stage.objects.select_related("pipeline").get(pipeline=pipeline, name=name)


# --- lines ------------------------------------------------------------------------------------------------------------------


def _line(stage: Stage, now: Document, wanted: Document, by: User) -> Secrets:
    if _differ(now, wanted, "mode", "watch", "canary", "needs_config"):
        watch, canary = wanted["watch"], wanted["canary"]
        flow.set_line(
            stage,
            mode=wanted["mode"],
            watch=watch["on"],
            soak_minutes=watch["minutes"],
            most_crashes=watch["crashes"],
            most_errors=watch["errors"],
            most_p95=watch["p95"],
            canary=canary["first"],
            canary_percent=canary["percent"],
            canary_minutes=canary["minutes"],
            needs_config=wanted["needs_config"],
            by=by,
        )
    return _gates(stage, now["gates"], wanted["gates"], by)


def _gates(stage: Stage, now: list[Document], wanted: list[Document], by: User) -> Secrets:
    removed, added, changed = comparing.gate_changes(now, wanted)
    if not (removed or added or changed):
        return []
    line, made = flow.line_of(stage), []
    rows = _rows(line)
    for gate in removed:
        flow.remove_gate(_row(rows, gate), by=by)
    for before, after in changed:
        flow.change_gate(_row(rows, before), _settings(stage, after), by=by)
    for gate in added:
        _, secret = flow.add_gate(line, gate["kind"], _settings(stage, gate), by=by)
        if secret:
            made.append((f"{comparing.title(stage.name)}: {comparing.in_words(gate)}", secret))
    return made


def _rows(line: Line) -> list[tuple[Document, Gate]]:
    """The gates that are there, each with what the document says of it."""
    [said] = [one for one in document.of(line.stage.pipeline)["stages"] if one["name"] == line.stage.name]
    gates = line.gates.select_related("line__stage__pipeline")
    return list(zip(said["line"]["gates"], gates, strict=True))


def _row(rows: list[tuple[Document, Gate]], said: Document) -> Gate:
    at = next(index for index, (one, _) in enumerate(rows) if one == said)
    return rows.pop(at)[1]


def _settings(stage: Stage, gate: Document) -> Document:
    """As a gate keeps them."""
    made = dict(gate["settings"])
    if gate["kind"] == Gate.Kind.APPROVAL:
        addresses = [address.lower() for address in made["people"]]
        made["people"] = _ids(audience(stage.pipeline_id), addresses)
    if gate["kind"] == Gate.Kind.WINDOW:
        made["days"] = [schema.DAYS.index(day) for day in made["days"]]
    return made


# --- freezes, channels -------------------------------------------------------------------------------------------------------


def _freezes(pipeline: Pipeline, now: list[Document], wanted: list[Document], by: User) -> None:
    removed, added = comparing.freeze_changes(now, wanted)
    rows = list(zip(now, Freeze.objects.filter(pipeline=pipeline).select_related("stage"), strict=True))
    for said in removed:
        at = next(index for index, (one, _) in enumerate(rows) if one == said)
        flow.unfreeze(rows.pop(at)[1], by=by)
    for said in added:
        _freeze(pipeline, said, by)


def _freeze(pipeline: Pipeline, said: Document, by: User) -> None:
    stage = Stage.objects.filter(pipeline=pipeline, name=said["stage"]).first() if said["stage"] else None
    if said["stage"] and stage is None:
        raise Refusal(f"The freeze “{said['name']}” is of {said['stage']}, and there is no such stage.")
    zone = check_zone(said["zone"])
    flow.freeze(
        pipeline,
        stage=stage,
        name=said["name"],
        zone=zone,
        starts_at=_moment(said["begins"], zone),
        ends_at=_moment(said["ends"], zone),
        days=[schema.DAYS.index(day) for day in said["days"]],
        from_minute=kinds.minute(said["from"]),
        to_minute=kinds.minute(said["to"]),
        by=by,
    )


def _moment(text: str, zone: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("T", " ")).replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise Refusal(f"There is no {text} in any calendar.") from None


def _channel(pipeline: Pipeline, said: Document, by: User) -> None:
    channel = Channel.objects.filter(pipeline=pipeline, name=said["channel"]).first()
    if channel is None:
        raise Refusal(
            f"There is no channel {said['channel']}. Add it on the page Notifications: its address is a secret, which "
            "no file holds."
        )
    if channel.events != said["events"]:
        notices.change_channel(channel, events=said["events"], by=by)
