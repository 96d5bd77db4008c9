"""The form of a gate: what its settings look like in fields, and what came in."""

from collections.abc import Iterable, Mapping
from datetime import time
from math import isfinite
from typing import Any

from django.http import HttpRequest, QueryDict

from core.errors import NotFound
from dashboard.forms import Form
from flow import kinds
from flow.models import Gate

ICONS = {
    "ci": "check-circle",
    "healthy": "pulse",
    "approval": "user-check",
    "command": "terminal",
    "http": "globe",
    "webhook": "link",
    "window": "clock",
}
# What each kind is for, where one is chosen.
PURPOSES = {
    "ci": "The tests of the commit passed, here or at the repository’s host.",
    "healthy": "The app has run it for a while without a crash, and answered well.",
    "approval": "People other than the author said yes.",
    "command": "A command ends with 0 in a one-off dyno: a smoke test.",
    "http": "A request is answered as it should be.",
    "webhook": "A service of yours is asked, and answers yes.",
    "window": "The hours in which releases may pass.",
}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def choices() -> list[tuple[str, str, str, str]]:
    """Each kind of gate: its key, name, purpose and icon."""
    return [(kind, label, PURPOSES[kind], ICONS[kind]) for kind, label in Gate.Kind.choices]


def filled(form: Form, kind: str, settings: Mapping[str, Any]) -> Form:
    """`form` with `settings` in its fields where nothing came in."""
    return form.over({key: _shown(kind, key, value) for key, value in settings.items()})


def defaults(kind: str) -> dict[str, Any]:
    """The settings that a gate of this kind begins with; `NotFound` when there is no such kind."""
    if kind not in kinds.KINDS:
        raise NotFound("There is no such kind of gate.", resource="gate")
    return dict(kinds.KINDS[kind])


def sent(request: HttpRequest, kind: str) -> Form:
    """The form as it came in. A box that is not ticked does not come: it is empty, not as it was."""
    empty = {key: [] if isinstance(value, list) else "" for key, value in defaults(kind).items()}
    lists: dict[str, Any] = {
        key: request.POST.getlist(key) for key in ("people", "roles", "days") if key in empty
    }
    return Form(request, **empty).holding(lists)


def settings_from(kind: str, sent: QueryDict) -> dict[str, Any]:
    """The settings that a form's fields ask for. A number that is none stays text: the kind's own check says so."""
    return _READERS[kind](sent)


def _shown(kind: str, key: str, value: Any) -> Any:
    if key in ("people", "roles", "days"):
        return [str(one) for one in value]
    if isinstance(value, bool):
        return "on" if value else ""
    if key == "contexts":
        return "\n".join(value)
    return "" if value is None else str(value)


def _text(sent: QueryDict, key: str) -> str:
    return sent.get(key, "").replace("\0", "").strip()[:2000]


def number_in(sent: QueryDict, key: str) -> Any:
    """The whole number in a field; None when it is empty, its text when it is none."""
    text = _text(sent, key)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else text or None


def decimal_in(sent: QueryDict, key: str) -> Any:
    """The number in a field, with a point or a comma; None when it is empty, its text when it is none."""
    text = _text(sent, key).replace(",", ".")
    try:
        number = float(text) if text else None
    except ValueError:
        return text
    return number if number is None or isfinite(number) else text


def _some(values: Iterable[str]) -> list[str]:
    return [value.replace("\0", "")[:200] for value in values][:200]


def _ci(sent: QueryDict) -> dict[str, Any]:
    return {
        "runs": "runs" in sent,
        "host": "host" in sent,
        "contexts": [line.strip() for line in _text(sent, "contexts").splitlines() if line.strip()],
    }


def _healthy(sent: QueryDict) -> dict[str, Any]:
    return {
        "minutes": number_in(sent, "minutes"),
        "errors": decimal_in(sent, "errors"),
        "p95": number_in(sent, "p95"),
    }


def _approval(sent: QueryDict) -> dict[str, Any]:
    return {
        "count": number_in(sent, "count"),
        "people": _some(sent.getlist("people")),
        "roles": _some(sent.getlist("roles")),
        "own": "own" in sent,
    }


def _command(sent: QueryDict) -> dict[str, Any]:
    return {
        "command": _text(sent, "command"),
        "on": _text(sent, "on"),
        "seconds": number_in(sent, "seconds"),
    }


def _http(sent: QueryDict) -> dict[str, Any]:
    return {
        "url": _text(sent, "url"),
        "status": number_in(sent, "status"),
        "contains": _text(sent, "contains"),
    }


def _webhook(sent: QueryDict) -> dict[str, Any]:
    return {"url": _text(sent, "url")}


def _window(sent: QueryDict) -> dict[str, Any]:
    days = [int(day) for day in _some(sent.getlist("days")) if day in ("0", "1", "2", "3", "4", "5", "6")]
    return {
        "days": days,
        "from": _text(sent, "from"),
        "to": _text(sent, "to"),
        "zone": _text(sent, "zone"),
    }


_READERS = {
    "ci": _ci,
    "healthy": _healthy,
    "approval": _approval,
    "command": _command,
    "http": _http,
    "webhook": _webhook,
    "window": _window,
}


def minute_of(text: str) -> int | None:
    """“09:30” as a minute of the day, “24:00” its end; None when it is no time of day."""
    if text == "24:00":
        return 24 * 60
    try:
        at = time.fromisoformat(text)
    except ValueError:
        return None
    return at.hour * 60 + at.minute
