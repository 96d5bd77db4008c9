"""The kinds of gates: what can be set of each, and how that reads."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from core.errors import Refusal
from flow.models import Gate
from scheduler import times

Kind = Gate.Kind
MAX_TEXT = 1000
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ROLES = ("admin", "member")
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")

# What each kind can be told, with what it does without a word.
KINDS: dict[str, dict[str, Any]] = {
    Kind.CI: {"runs": True, "host": False, "contexts": []},
    Kind.HEALTHY: {"minutes": 10, "errors": None, "p95": None},
    Kind.APPROVAL: {"count": 1, "people": [], "roles": [], "own": False},
    Kind.COMMAND: {"command": "", "on": "source", "seconds": 300},
    Kind.HTTP: {"url": "", "status": 200, "contains": ""},
    Kind.WEBHOOK: {"url": ""},
    Kind.WINDOW: {"days": [0, 1, 2, 3, 4], "from": "09:00", "to": "17:00", "zone": "UTC"},
}
PROBED = frozenset({Kind.COMMAND, Kind.HTTP, Kind.WEBHOOK})  # what they say is found out by doing something


def check(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are kept, whole; `Refusal`, by field, for what can't be."""
    if kind not in KINDS:
        raise Refusal(f"A gate is one of {', '.join(KINDS)}.", fields={"kind": "Choose one."})
    unknown = sorted(set(settings) - set(KINDS[kind]))
    if unknown:
        raise Refusal(f"A gate of the kind {kind} knows no {unknown[0]}.", fields={unknown[0]: "Not known."})
    made = {**KINDS[kind], **settings}
    _CHECKS[kind](made)
    return made


def in_words(kind: str, settings: Mapping[str, Any]) -> str:
    """What it asks for, short: “10 min healthy”."""
    match kind:
        case Kind.CI:
            return "CI passed" if settings["runs"] else "Host’s checks passed"
        case Kind.HEALTHY:
            return f"{settings['minutes']} min healthy"
        case Kind.APPROVAL:
            return "1 approval" if settings["count"] == 1 else f"{settings['count']} approvals"
        case Kind.COMMAND:
            return f"{settings['command'][:40]} succeeds"
        case Kind.HTTP:
            return f"{settings['url'][:40]} answers"
        case Kind.WEBHOOK:
            return f"{urlsplit(settings['url']).hostname} says yes"
    return f"{days_in_words(settings['days'])} {settings['from']}–{settings['to']}"


def days_in_words(days: list[int]) -> str:
    """“Mon–Thu”, “Mon, Wed”."""
    if len(days) > 2 and days == list(range(days[0], days[-1] + 1)):
        return f"{DAYS[days[0]]}–{DAYS[days[-1]]}"
    return ", ".join(DAYS[day] for day in days)


def minute(clock: str) -> int:
    """“09:30” as minutes of the day."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _number(made: dict[str, Any], name: str, least: float, most: float) -> None:
    value = made[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        text = f"Give a number from {least:g} to {most:,g}."
        raise Refusal(f"{name.capitalize()}: {text}", fields={name: text})


def _whole(made: dict[str, Any], name: str, least: int, most: int) -> None:
    _number(made, name, least, most)
    made[name] = int(made[name])


def _text(made: dict[str, Any], name: str, *, needed: bool = True) -> None:
    value = made[name]
    fits = isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value
    if not fits or (needed and not value.strip()):
        text = f"Write it, with {MAX_TEXT} characters at most."
        raise Refusal(f"{name.capitalize()}: {text}", fields={name: text})
    made[name] = value.strip()


def _ci(made: dict[str, Any]) -> None:
    if not isinstance(made["contexts"], list) or not all(isinstance(one, str) for one in made["contexts"]):
        raise Refusal("Name the checks.", fields={"contexts": "Names, separated by commas."})
    made["contexts"] = [one.strip()[:200] for one in made["contexts"][:20] if one.strip()]
    if not made["runs"] and not made["host"]:
        text = "Choose whose checks have to pass."
        raise Refusal(text, fields={"runs": text})


def _healthy(made: dict[str, Any]) -> None:
    _whole(made, "minutes", 0, 7 * 24 * 60)
    if made["errors"] is not None:
        _number(made, "errors", 0, 100)
    if made["p95"] is not None:
        _whole(made, "p95", 1, 60_000)


def _approval(made: dict[str, Any]) -> None:
    _whole(made, "count", 1, 10)
    made["people"] = [str(one) for one in made["people"]][:50]
    made["roles"] = [one for one in ROLES if one in made["roles"]]
    made["own"] = bool(made["own"])


def _command(made: dict[str, Any]) -> None:
    _text(made, "command")
    _whole(made, "seconds", 1, 3600)
    if made["on"] not in ("source", "target"):
        raise Refusal("It runs on the source or on the target.", fields={"on": "Choose one."})


def _http(made: dict[str, Any]) -> None:
    _text(made, "url")
    _text(made, "contains", needed=False)
    _whole(made, "status", 100, 599)
    if not made["url"].startswith("/"):
        _address(made)


def _webhook(made: dict[str, Any]) -> None:
    _text(made, "url")
    _address(made)


def _address(made: dict[str, Any]) -> None:
    try:
        parts = urlsplit(made["url"])
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        fits = False
    if not fits:
        text = "Give an address that starts with https://, without user name and password."
        raise Refusal(text, fields={"url": text})


def _window(made: dict[str, Any]) -> None:
    days = made["days"]
    if not isinstance(days, list) or not days or any(day not in range(7) for day in days):
        raise Refusal("Choose at least one day.", fields={"days": "Choose at least one day."})
    made["days"] = sorted({int(day) for day in days})
    for name in ("from", "to"):
        if not isinstance(made[name], str) or not CLOCK.fullmatch(made[name]):
            raise Refusal("Write a time like 09:00.", fields={name: "Write it like 09:00."})
    if minute(made["from"]) >= minute(made["to"]):
        raise Refusal("It has to begin before it ends.", fields={"to": "It has to end after it begins."})
    made["zone"] = times.check_zone(made["zone"])


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    Kind.CI: _ci,
    Kind.HEALTHY: _healthy,
    Kind.APPROVAL: _approval,
    Kind.COMMAND: _command,
    Kind.HTTP: _http,
    Kind.WEBHOOK: _webhook,
    Kind.WINDOW: _window,
}
