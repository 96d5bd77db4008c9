"""The OpenAPI document as a person reads it: by tag, with every value that goes in and comes out."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.utils.text import slugify

from api.openapi import document, operations

DEPTH = 6  # of objects in each other in an example
SHARED = ("Range", "If-None-Match")  # told once, for all
BY_FORMAT = {
    "uuid": "01234567-89ab-cdef-0123-456789abcdef",
    "date-time": "2026-01-01T12:00:00Z",
}
BY_TYPE: dict[str, Any] = {"boolean": False, "integer": 1, "number": 1.5, "null": None}
BY_NAME: dict[str, Any] = {
    "name": "example", "email": "username@example.com", "command": "bash", "size": "Standard-1X", "type": "web",
    "hostname": "www.example.com", "stage": "production", "description": "Set LOG_LEVEL", "status": "succeeded",
    "stack": "slipway-24", "web_url": "https://example.localhost/", "git_url": "https://localhost/example.git",
    "message": "Couldn't find that app.", "url": "", "user": "username@example.com", "buildpack": "heroku/python",
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A field of a body, or a part of the address."""

    name: str
    kind: str
    text: str
    needed: bool


@dataclass(frozen=True)
class Outcome:
    """An answer that went well, with one thing of some shape, or many; without a shape it is small or anything."""

    status: str
    text: str
    shape: str
    many: bool


@dataclass(frozen=True)
class Endpoint:
    """One call."""

    method: str
    path: str
    anchor: str
    text: str
    headers: list[Value]
    fields: list[Value]
    body: dict[str, Any] | None
    outcomes: list[Outcome]
    others: list[str]  # the other statuses that it can answer with

    def curl(self, base: str) -> str:
        """The command that makes this call to the API at `base`."""
        verb = "" if self.method == "GET" else f" -X {self.method}"
        data = f" -d '{json.dumps(self.body, ensure_ascii=False)}'" if self.body else ""
        kind = " -H 'Content-Type: application/json'" if data else ""
        return f'curl{verb} {base}{self.path} -H "Authorization: Bearer $TOKEN"{kind}{data}'


@dataclass(frozen=True)
class Group:
    """The endpoints of one tag."""

    name: str
    slug: str
    text: str
    endpoints: list[Endpoint]
    shapes: dict[str, str]  # how the things that they answer with may look, by the shape's name


@cache
def groups() -> list[Group]:
    """All tags with their endpoints, in the document's order."""
    return [_group(tag) for tag in document()["tags"]]


def _group(tag: dict[str, str]) -> Group:
    found = document()
    endpoints = [_endpoint(*one) for one in operations(found) if tag["name"] in one[2]["tags"]]
    names = sorted(
        {outcome.shape for endpoint in endpoints for outcome in endpoint.outcomes if outcome.shape}
    )
    shapes = {
        name: json.dumps(_sample(found["components"]["schemas"][f"{name}Out"]), indent=2, ensure_ascii=False)
        for name in names
    }
    return Group(tag["name"], slugify(tag["name"]), tag["description"], endpoints, shapes)


def _endpoint(path: str, method: str, operation: dict[str, Any]) -> Endpoint:
    schema = _schema(operation.get("requestBody", {}))
    return Endpoint(
        method=method,
        path=path,
        anchor=operation["operationId"].replace("_", "-"),
        text=_plain(operation.get("description", "")),
        headers=[
            Value(p["name"], _kind(p["schema"]), _plain(p.get("description", "")), p.get("required", False))
            for p in operation["parameters"]
            if p["in"] != "path" and p["name"] not in SHARED
        ],
        fields=_fields(schema),
        body=_smallest(schema) if schema else None,
        outcomes=[
            _outcome(status, answer) for status, answer in operation["responses"].items() if status < "300"
        ],
        others=[status for status in operation["responses"] if status >= "300"],
    )


def _plain(text: str) -> str:
    return text.replace("`", "")


def _outcome(status: str, answer: dict[str, Any]) -> Outcome:
    schema = _schema(answer) or {}
    many = schema.get("type") == "array"
    name = (schema.get("items", {}) if many else schema).get("$ref", "").rpartition("/")[2]
    return Outcome(
        status, _plain(answer["description"]), name.removesuffix("Out") if name.endswith("Out") else "", many
    )


def _schema(holder: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = holder.get("content", {}).get("application/json", {}).get("schema")
    return found


def _fields(schema: dict[str, Any] | None) -> list[Value]:
    whole = _resolve(schema or {})
    return [
        Value(
            name,
            _kind(part),
            _resolve(part).get("description", "").partition("\n")[0],
            name in whole.get("required", []),
        )
        for name, part in whole.get("properties", {}).items()
    ]


def _resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema comes down to: the one it refers to, or the first choice that is not null."""
    if "$ref" in schema:
        return _resolve(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for choices in (schema.get("anyOf"), schema.get("allOf")):
        if choices:
            real = [choice for choice in choices if choice.get("type") != "null"]
            return _resolve(real[0]) if real else {"type": "null"}
    return schema


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in schema["anyOf"]))
    whole = _resolve(schema)
    if "enum" in whole:
        return " or ".join(json.dumps(value) for value in whole["enum"])
    if whole.get("type") == "array":
        return f"list of {_kind(whole.get('items', {}))}"
    return str(whole.get("format") or whole.get("type") or "any")


def _smallest(schema: dict[str, Any]) -> Any:
    """A body with what it must have; with its first field when nothing is a must."""
    whole = _resolve(schema)
    if "properties" not in whole:
        return {"LOG_LEVEL": "debug"}
    names = whole.get("required") or list(whole["properties"])[:1]
    return {name: _sample(whole["properties"][name], name) for name in names}


def _sample(schema: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    whole = _resolve(schema)
    if "enum" in whole or "const" in whole:
        return whole.get("const", whole.get("enum", [None])[0])
    if "default" in schema and schema["default"] not in (None, ""):
        return schema["default"]
    kind = whole.get("type")
    if kind == "array":
        return [_sample(whole.get("items", {}), name.removesuffix("s"), depth + 1)] if depth < DEPTH else []
    if kind == "object" or "properties" in whole:
        return _sample_object(whole, depth)
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    if name.endswith("_at"):
        return BY_FORMAT["date-time"]
    return BY_FORMAT.get(whole.get("format", "")) or BY_NAME.get(name, "…")


def _sample_object(whole: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth >= DEPTH:
        return {}
    if "properties" in whole:
        return {name: _sample(part, name, depth + 1) for name, part in whole["properties"].items()}
    extra = whole.get("additionalProperties")
    return {"LOG_LEVEL": _sample(extra, "LOG_LEVEL", depth + 1)} if isinstance(extra, dict) else {}
