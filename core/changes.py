"""Telling of changes in the transaction that makes them, to whoever keeps count of them: webhooks do.

`activity.record` tells of what people do, and a row that is its own job of each new status (`core.jobs`); what else
changes of itself is told by `note`. A listener writes rows, if anything, and is undone with the change.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOVED_ON = "moved on"  # the verb of a change that nobody did


@dataclass(frozen=True)
class Change:
    """Something that happens to the row `thing`, in the words of `activity.record`."""

    thing: Any
    verb: str = MOVED_ON
    by: Any = None  # a user, or None for the platform
    app_id: Any = None
    pipeline_id: Any = None
    details: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Change], None]
_listeners: list[Listener] = []


def follow(listener: Listener) -> None:
    """Have `listener` called with each change, in its transaction."""
    _listeners.append(listener)


def note(change: Change) -> None:
    """Tell of a change. What a listener raises undoes it."""
    for listener in _listeners:
        listener(change)
