"""What an app says of its build: project.toml, and the buildpacks that are set for it."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BuildFailed
from core.text import is_text
from engine.builder.procfile import read_small

FILE = "project.toml"
KEY = re.compile(r"[A-Za-z_]\w{0,254}", re.ASCII)


@dataclass(frozen=True)
class Project:
    """All of it that a build asks for."""

    buildpacks: list[tuple[str, str]] = field(default_factory=list)  # id and version ("": any), in order
    env: dict[str, str] = field(default_factory=dict, repr=False)
    exclude: list[str] = field(default_factory=list)  # patterns as in .gitignore


def read_project(root: Path) -> Project:
    """What the source's project.toml says; `BuildFailed` says what is wrong with it."""
    data = read_small(root / FILE)
    if data is None:
        return Project()
    try:
        found = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as fault:
        raise BuildFailed(f"{FILE} is not TOML: {fault}."[:300]) from None
    new = _table(_table(found, "io"), "buildpacks")
    build = new or _table(found, "build")  # as version 0.1 of the schema had it
    if "include" in build:
        raise BuildFailed(f"{FILE}: include can't be had here. Write what to leave out, as exclude.")
    groups = build.get("group" if new else "buildpacks") or []
    settings = _table(build, "build") if new else build
    if not isinstance(groups, list) or not all(isinstance(each, dict) for each in groups):
        raise BuildFailed(f"{FILE}: write buildpacks as [[io.buildpacks.group]].")
    return Project(
        [_buildpack(each) for each in groups],
        dict(_variable(each) for each in _list(settings.get("env"))),
        [str(pattern) for pattern in build.get("exclude") or ()],
    )


def order(wanted: Sequence[tuple[str, str]], there: Mapping[str, Sequence[str]], builder: str) -> str:
    """The text of an `order.toml` of one group, of buildpacks that are `there`, in the builder; `BuildFailed` names one
    that is not. A name without a slash means Heroku's."""
    lines = ["[[order]]"]
    for name, version in wanted:
        id = next((each for each in (name, f"heroku/{name}") if each in there), "")
        if not id:
            raise BuildFailed(
                f"{builder} has no buildpack {name[:80]}. It has: {', '.join(sorted(there)) or 'none'}."
            )
        if version and version not in there[id]:
            raise BuildFailed(
                f"{builder} has no version {version[:40]} of {id}. It has: {', '.join(there[id])}."
            )
        lines += ["[[order.group]]", f'id = "{id}"', f'version = "{version or there[id][-1]}"']
    return "\n".join([*lines, ""])


def _buildpack(told: Mapping[str, Any]) -> tuple[str, str]:
    id, version = told.get("id"), told.get("version", "")
    if not isinstance(id, str) or not isinstance(version, str) or "uri" in told or "script" in told:
        raise BuildFailed(
            f"{FILE}: a buildpack of io.buildpacks.group is not named by its id. Only those within the builder can be had, "
            'like id = "heroku/python".'
        )
    return id, version


def _variable(told: Any) -> tuple[str, str]:
    name, value = (told.get("name"), told.get("value", "")) if isinstance(told, dict) else (None, "")
    if (
        not isinstance(name, str)
        or not KEY.fullmatch(name)
        or not isinstance(value, str)
        or not is_text(value)
    ):
        raise BuildFailed(
            f"{FILE}: write variables of the build as [[io.buildpacks.build.env]], with name and value."
        )
    return name, value


def _table(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
