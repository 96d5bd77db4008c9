"""Whether an answer of the API is what the published schema says."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.api.published import ROUTES, SHAPES

PATHS = [
    (method, re.compile(re.sub(r"\{\}", "[^/]+", re.escape(path).replace(r"\{\}", "{}"))), shape)
    for route, shape in sorted(ROUTES.items(), key=lambda item: item[0].count("{}"))
    for method, path in [route.split(" ")]
]
TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list, "boolean": bool, "integer": int, "null": type(None), "number": (int, float), "object": dict,
    "string": str,
}  # fmt: skip

# What the published schema has forgotten, and the CLI waits for.
BEYOND = {"=provisioning,provisioned,deprovisioned": ("deprovisioning",)}


def check(method: str, path: str, status: int, body: Any) -> str | None:
    """Fail when the answer differs; returns the shape that it was compared with, None when the schema has none."""
    if not 200 <= status < 300:
        assert {"id", "message", "url"} <= set(body) and all(isinstance(v, str) for v in body.values()), body
        return None
    bare = path.partition("?")[0]
    shape = next((shape for m, pattern, shape in PATHS if m == method and pattern.fullmatch(bare)), None)
    if shape is None:
        return None
    found = list(_differences(SHAPES[shape.removesuffix("[]")], body, shape, many=shape.endswith("[]")))
    assert not found, f"{method} {path} is not as published:\n" + "\n".join(found)
    return shape


def _differences(wanted: Any, found: Any, where: str, *, many: bool = False) -> Any:
    if many:
        wanted = [wanted]
    if isinstance(wanted, dict):
        yield from _object(wanted, found, where)
    elif isinstance(wanted, list):
        if not isinstance(found, list):
            yield f"{where} is {found!r}, not an array"
            return
        for number, item in enumerate(found):
            yield from _differences(wanted[0], item, f"{where}[{number}]")
    elif not any(_is(kind, found) for kind in wanted.split("|")):
        yield f"{where} is {found!r}, not {wanted}"


def _object(wanted: dict[str, Any], found: Any, where: str) -> Any:
    if found is None and "?" in wanted:
        return
    if not isinstance(found, dict):
        yield f"{where} is {found!r}, not an object"
        return
    for name, kind in wanted.items():
        if name == "?":
            continue
        if name not in found:
            yield f"{where}.{name} is missing"
        else:
            yield from _differences(kind, found[name], f"{where}.{name}")


def _is(kind: str, found: Any) -> bool:
    if kind == "any":
        return True
    if kind.startswith("="):
        return found in kind[1:].split(",") or found in BEYOND.get(kind, ())
    if kind in TYPES:
        return isinstance(found, TYPES[kind]) and (kind == "boolean" or not isinstance(found, bool))
    if not isinstance(found, str):
        return False
    try:
        if kind == "uuid":
            UUID(found)
        elif kind == "date-time":
            datetime.strptime(found, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return False
    return kind != "email" or "@" in found
