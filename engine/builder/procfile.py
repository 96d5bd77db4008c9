"""Reading what an app says of itself: Procfile and app.json."""

import json
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

from core.errors import BuildFailed
from core.text import storable
from engine.builder.unpack import show

TYPE = re.compile(r"[-\w]{1,128}", re.ASCII)
MAX_BYTES = 256 * 1024
MAX_DEPTH = 64


def parse_procfile(data: bytes) -> dict[str, str]:
    """Process types and their commands, in the file's order. `BuildFailed` names the line that is wrong."""
    try:
        text = data.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise BuildFailed("The Procfile is not UTF-8 text.") from None
    types: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, command = line.partition(":")
        name, command = name.strip(), command.strip()
        if not colon or not command or not TYPE.fullmatch(name):
            raise BuildFailed(
                f"Line {number} of the Procfile is not `type: command`: {show(line.strip()[:80])}"
            )
        if "\0" in command or len(command) > 10_000:
            raise BuildFailed(f"Line {number} of the Procfile has a command that cannot be run.")
        if name in types:
            raise BuildFailed(f"Line {number} of the Procfile repeats the process type {name}.")
        types[name] = command
    return types


def read_procfile(root: Path) -> dict[str, str] | None:
    """The process types of the Procfile in `root`; None without one."""
    data = read_small(root / "Procfile")
    return None if data is None else parse_procfile(data)


def read_app_json(root: Path) -> dict[str, Any]:
    """The app.json of `root`; empty without one. A `BuildFailed` gives line and column of a mistake."""
    data = read_small(root / "app.json")
    return {} if data is None else parse_app_json(data)


def parse_app_json(data: bytes) -> dict[str, Any]:
    """The object that this text is. `BuildFailed` when it is none, too long or too deep; what it asks for is read by
    `releases.app_json`. Characters that nothing can keep are left out."""
    if len(data) > MAX_BYTES:
        raise _too_long("app.json", MAX_BYTES)
    try:
        found = json.loads(data.removeprefix(BOM_UTF8).decode(), parse_constant=_no_number)
    except UnicodeDecodeError:
        raise BuildFailed("app.json is not UTF-8 text.") from None
    except json.JSONDecodeError as fault:
        raise BuildFailed(f"app.json, line {fault.lineno}, column {fault.colno}: {fault.msg}.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # of thousands of digits
        raise BuildFailed("app.json has a number that is too long.") from None
    if not isinstance(found, dict):
        raise BuildFailed("app.json has to be an object: { … }.")
    _check_depth(found)
    kept: dict[str, Any] = storable(found)
    return kept


def _no_number(text: str) -> None:
    raise BuildFailed(f"app.json: {text} is no number that can be kept.")


def _check_depth(found: dict[str, Any]) -> None:
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> BuildFailed:
    return BuildFailed(f"app.json is nested too deeply: {MAX_DEPTH} levels are the most.")


def _too_long(name: str, most: int) -> BuildFailed:
    return BuildFailed(f"{name} is over {most // 1024} kB. Leave out of it what is not needed here.")


def read_small(path: Path, *, most: int = MAX_BYTES) -> bytes | None:
    """The bytes of a file of the app's that people write by hand; None if it is not there or no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_long(path.name, most)
    return data
