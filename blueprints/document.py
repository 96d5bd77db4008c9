"""A pipeline's settings as a slipway.yml says them: read from the file, or from the pipeline, in one and the same form.

That form is plain: `{"stages": [...], "freezes": [...], ...}` with every key of `schema`, sections that a file says
nothing of left out. Nothing secret is in it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from django.conf import settings

from accounts.models import User
from blueprints import reader, schema
from blueprints.reader import Problem, Unreadable
from blueprints.types import Field, Table
from ci import settings as ci_settings
from flow.models import Freeze, Gate, Line
from notices.models import Channel
from pipelines.models import Pipeline, Stage
from reviews import actions as reviews

Document = dict[str, Any]


# --- from a file ----------------------------------------------------------------------------------------------------------


def read(text: str) -> Document:
    """What a file says; `Unreadable`, with lines, for what is none."""
    root = reader.parse(text.replace("\r\n", "\n").removeprefix("\ufeff"))
    asked = reader.Reader()
    found = schema.ROOT.read(root, asked, "")
    asked.end()
    made = {name: found[name] for name in schema.SECTIONS if found[name] is not None}
    if not made:
        raise Unreadable([Problem(1, f"The file says nothing of {', '.join(schema.SECTIONS)}.")])
    if problems := _against(made):
        raise Unreadable([Problem(1, text) for text in problems])
    return made


def _against(made: Document) -> list[str]:
    """What no single value is to blame for."""
    said = []
    stages = made.get("stages")
    if stages is not None:
        if not stages:
            said.append("A pipeline needs a stage: list all of them, or leave stages out.")
        said += _twice("the stage", [stage["name"] for stage in stages])
        for stage in stages:
            if stage["word"] == Stage.Word.REVIEW and stage["line"] != schema.LINE.defaults:
                said.append(f"Nothing is promoted into {stage['name']}: leave out its line.")
    said += _twice("the channel", [one["channel"] for one in made.get("notifications", [])])
    return said


def _twice(what: str, names: list[str]) -> list[str]:
    return [
        f"{what.capitalize()} {name} is there twice." for name in sorted({*names}) if names.count(name) > 1
    ]


# --- from a pipeline ------------------------------------------------------------------------------------------------------


def of(pipeline: Pipeline) -> Document:
    """What a file would have to say for nothing to change."""
    rows = Stage.objects.filter(pipeline=pipeline).select_related("line")
    stages = list(rows.prefetch_related("people", "line__gates"))
    gates = [gate for stage in stages if (line := _line_of(stage)) for gate in line.gates.all()]
    named = {one for gate in gates for one in gate.settings.get("people", [])}
    addresses = {str(pk): email.lower() for pk, email in _people(named)}
    freezes = Freeze.objects.filter(pipeline=pipeline).select_related("stage")
    asked, tests = reviews.settings_of(pipeline), ci_settings.settings_of(pipeline)
    return {
        "stages": [_stage(stage, addresses) for stage in stages],
        "freezes": [_freeze(freeze) for freeze in freezes],
        "reviews": {field.key: getattr(asked, field.key) for field in schema.REVIEWS.fields},
        "ci": {"on_push": tests.on_push, "supersede": tests.supersede},
        "notifications": [
            {"channel": channel.name, "events": list(channel.events)}
            for channel in Channel.objects.filter(pipeline=pipeline).defer("sealed")
        ],
    }


def _line_of(stage: Stage) -> Line | None:
    """The line into it, if it has one."""
    return getattr(stage, "line", None)


def _people(ids: set[str]) -> list[tuple[Any, str]]:
    return list(User.objects.filter(pk__in=ids).values_list("pk", "email")) if ids else []


def _stage(stage: Stage, addresses: Mapping[str, str]) -> Document:
    line = _line_of(stage)
    people = sorted(user.email.lower() for user in stage.people.all())
    return {
        "name": stage.name,
        "word": stage.word,
        "source": stage.source,
        "promoters": people if stage.promoters == Stage.Promoters.PEOPLE else stage.promoters,
        "readers": stage.readers,
        "buildpacks": list(stage.buildpacks),
        "build": stage.build_command,
        "stack": stage.stack,
        "health": stage.health_path,
        "formation": {
            type: {"quantity": one["quantity"], "size": one["size"]} for type, one in stage.formation.items()
        },
        "addons": list(stage.addons),
        "line": _line(line, addresses) if line else schema.LINE.defaults,
    }


def _line(line: Line, addresses: Mapping[str, str]) -> Document:
    return {
        "mode": line.mode,
        "gates": [{"kind": gate.kind, "settings": _gate(gate, addresses)} for gate in line.gates.all()],
        "watch": {
            "on": line.watch,
            "minutes": line.soak_minutes,
            "crashes": line.most_crashes,
            "errors": line.most_errors,
            "p95": line.most_p95,
        },
        "canary": {
            "first": line.canary,
            "percent": line.canary_percent,
            "minutes": line.canary_minutes,
        },
        "needs_config": line.needs_config,
    }


def _gate(gate: Gate, addresses: Mapping[str, str]) -> Document:
    """Its settings, with people by their addresses and days by their names."""
    said = {**schema.GATES[gate.kind].defaults, **gate.settings}
    if gate.kind == Gate.Kind.APPROVAL:
        said["people"] = sorted(addresses[one] for one in said["people"] if one in addresses)
    if gate.kind == Gate.Kind.WINDOW:
        said["days"] = [schema.DAYS[day] for day in said["days"]]
    return said


def _freeze(freeze: Freeze) -> Document:
    return {
        "name": freeze.name,
        "stage": freeze.stage.name if freeze.stage else "",
        "begins": _moment(freeze.starts_at, freeze.zone),
        "ends": _moment(freeze.ends_at, freeze.zone),
        "days": [schema.DAYS[day] for day in freeze.days],
        "from": _clock(freeze.from_minute),
        "to": _clock(freeze.to_minute),
        "zone": freeze.zone,
    }


def _moment(at: datetime | None, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" if at else ""


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# --- to a file --------------------------------------------------------------------------------------------------------------


def write(document: Document) -> str:
    """The file that says it, without what is so anyway."""
    root: Document = {"version": int(schema.VERSION)}
    for field in schema.ROOT.fields:
        if field.key in document:
            root[field.key] = _written(field, document[field.key])
    text = yaml.safe_dump(root, sort_keys=False, allow_unicode=True, width=110)
    head = f"# What {settings.URL} does with releases of this pipeline: see docs/slipway-yml.md there.\n"
    return head + text


def _written(field: Field, value: Any) -> Any:
    type = field.type
    if isinstance(type, Table):
        return _short(type, value)
    if field.key == "formation":
        return {name: _short(schema.DYNOS, one) or {"quantity": 1} for name, one in value.items()}
    if field.key == "gates":
        return [{one["kind"]: _short(schema.GATES[one["kind"]], one["settings"])} for one in value]
    inner = getattr(type, "of", None)
    if isinstance(inner, Table) and isinstance(value, list):
        return [_short(inner, one) for one in value]
    return value


def _short(table: Table, value: Mapping[str, Any]) -> Document:
    """Its keys that say something, in the order of the reference."""
    said = {}
    for field in table.fields:
        if field.needed or value[field.key] != field.default:
            said[field.key] = _written(field, value[field.key])
    return said


def digest(document: Document) -> str:
    """The same for the same settings."""
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:32]
