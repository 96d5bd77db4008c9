"""Recording who did what. Actions call `record` in the transaction of the change itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from core import changes
from core.models import Event
from core.text import storable


@dataclass(frozen=True)
class Origin:
    """Where a change comes from: set once per request, command or job."""

    through: str = "console"
    address: str | None = None
    request_id: str = ""


_CONSOLE = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=_CONSOLE)


@contextmanager
def coming(through: str, *, address: str | None = None, request_id: str = "") -> Iterator[None]:
    """Everything recorded inside comes through `through`."""
    token = _origin.set(Origin(through, address, request_id))
    try:
        yield
    finally:
        _origin.reset(token)


def origin() -> Origin:
    """Where the current piece of work comes from."""
    return _origin.get()


def record(by: Any, verb: str, thing: Any, *, app: Any = None, pipeline: Any = None, **details: Any) -> Event:
    """Note that `by` (a user, or None for the platform) did `verb` to `thing`. `details` must hold no secrets."""
    here, details = origin(), storable(details)
    kind = thing._meta.model_name
    app_id = thing.pk if kind == "app" else getattr(app, "pk", None) or getattr(thing, "app_id", None)
    pipeline_id = thing.pk if kind == "pipeline" else getattr(pipeline, "pk", None)
    event = Event.objects.create(
        by=by,
        actor=by.email if by else "slipway",
        through=here.through,
        address=here.address,
        request_id=here.request_id[:64],
        verb=verb,
        kind=kind,
        object_id=str(thing.pk),
        label=storable(str(thing))[:200],
        app_id=app_id,
        pipeline_id=pipeline_id,
        details=details,
    )
    changes.note(changes.Change(thing, verb, by, app_id, pipeline_id, details))
    return event
