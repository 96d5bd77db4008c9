"""Events as people read them: who, did what, to what, and the particulars."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from django.utils import timezone

from core.models import Event

GLYPHS = {
    "app": "cube",
    "build": "hammer",
    "testrun": "check-circle",
    "release": "commit",
    "domain": "globe",
    "certificate": "lock",
    "addon": "plug",
    "attachment": "plug",
    "dyno": "terminal",
    "pipeline": "layers",
    "stage": "layers",
    "configvar": "key",
    "apitoken": "key",
    "user": "user",
    "membership": "users",
    "invitation": "mail",
    "team": "users",
}
VERB_GLYPHS = {
    "scaled": "sliders",
    "set autoscaling of": "sliders",
    "turned off autoscaling of": "sliders",
    "added an alert to": "bell",
    "removed an alert of": "bell",
    "restarted": "restart",
    "set the sleep of": "sleep",
    "put to sleep": "sleep",
    "woke": "play",
    "promoted": "promote",
    "shared": "users",
    "stopped sharing": "users",
    "balanced the apps of": "swap",
    "changed config of": "key",
    "made write-only config of": "lock",
    "revealed config of": "eye",
    "started a build of": "hammer",
    "cancelled": "stop",
    "destroyed": "trash",
    "transferred": "transfer",
    "offered": "transfer",
    "accepted": "transfer",
    "declined": "transfer",
    "withdrew the offer of": "transfer",
    "moved": "swap",
    "set the rules of": "user-check",
    "set the defaults of": "sliders",
    "set the source of": "swap",
}
THROUGH = {
    "web": ("globe", "Dashboard"),
    "api": ("key", "API"),
    "git": ("branch", "Git push"),
    "ssh": ("terminal", "SSH"),
    "admin": ("shield-check", "Operators’ site"),
    "console": ("terminal", "Console"),
    "conductor": ("cpu", "Platform"),
}


@dataclass(frozen=True)
class Entry:
    """One event, ready to draw."""

    event: Event
    glyph: str
    particulars: str
    through_glyph: str
    through: str

    @property
    def day(self) -> date:
        """When it was, to gather a day's events."""
        return self.event.at.date()


def entries(events: Iterable[Event]) -> list[Entry]:
    """Make events ready to draw; one query for the people is up to the caller (`select_related("by")`)."""
    return [_entry(event) for event in events]


def by_day(rows: Sequence[dict[str, Any]]) -> list[tuple[date, str, list[dict[str, Any]]]]:
    """Rows that hold an `entry` each, newest first, under their days; a day near by goes by a word as well."""
    today = timezone.now().date()
    words = {today: "Today", today - timedelta(days=1): "Yesterday"}
    return [
        (day, words.get(day, ""), list(some)) for day, some in groupby(rows, lambda row: row["entry"].day)
    ]


def _entry(event: Event) -> Entry:
    glyph = VERB_GLYPHS.get(event.verb) or GLYPHS.get(event.kind, "pulse")
    through_glyph, through = THROUGH.get(event.through, ("cpu", event.through))
    return Entry(event, glyph, particulars(event), through_glyph, through)


def particulars(event: Event) -> str:
    """What an event's details say, in words: “web 1 → 2”, “A added, B removed”, “Search timeouts”."""
    details: Mapping[str, Any] = event.details
    parts = [
        _change(details.get("before"), details.get("after")),
        _keys(details.get("keys")),
        str(details.get("what") or ""),
        str(details.get("dyno") or ""),
        str(details.get("commit") or "")[:7],
        _access(details),
        "to " + ", ".join(details["targets"]) if details.get("targets") else "",
        f"to {details['to']}" if details.get("to") else "",
        f"offered by {details['offered_by']}" if details.get("offered_by") else "",
        f"in {details['stage']}" if details.get("stage") else "",
        f"“{details['note']}”" if details.get("note") else "",
    ]
    return "; ".join(part for part in parts if part)


def _change(before: Any, after: Any) -> str:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return ", ".join(f"{key} {_one(before.get(key))} → {_one(after.get(key))}" for key in keys)
    if before is None and after is None:
        return ""
    return f"{_one(before)} → {_one(after)}"


def _one(value: Any) -> str:
    """A formation row stands as `web=2:standard-1x` in events."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    text = str(value) if value not in (None, "") else "none"
    _, equals, rest = text.partition("=")
    if not equals or ":" not in rest:
        return text
    quantity, _, size = rest.partition(":")
    return f"{quantity} × {size}"


def _keys(keys: Any) -> str:
    if isinstance(keys, Mapping):
        return ", ".join(f"{key} {what}" for key, what in sorted(keys.items()))
    return ", ".join(keys) if isinstance(keys, list) else ""


def _access(details: Mapping[str, Any]) -> str:
    if "with_" not in details:
        return ""
    rights = details.get("rights")
    return f"with {details['with_']}" + (f" ({', '.join(rights)})" if rights else "")
