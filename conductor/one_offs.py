"""One-off dynos: started once, never again."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.models import Dyno
from conductor import wishes
from conductor.parts import Parts
from conductor.wishes import View
from core import changes, live
from core.changes import Change
from core.errors import EngineError
from core.text import storable
from engine.plan import ALIVE
from engine.spec import DynoState

LOST = "It ended with the platform that ran it."


def settle(parts: Parts, view: View, found: dict[str, DynoState]) -> None:
    """Start those that wait, stop those that should, note those that have ended."""
    for row in view.one_offs:
        if row.state == Dyno.State.DOWN:
            continue
        state = found.get(row.incarnation)
        if row.generation == 0 and state is None:
            _start(parts, view, row)
        elif state is None:
            _end(row, None, LOST)
        elif state.state not in ALIVE:
            _end(row, state.exit_code, state.reason)
            parts.driver.stop(str(view.app.pk), state.id)
        else:
            _note(row, state)
            if row.stop_asked or view.halted:
                parts.driver.stop(str(view.app.pk), state.id)


def _start(parts: Parts, view: View, row: Dyno) -> None:
    """Write down that it starts, then start it: what dies in between never runs twice."""
    if row.stop_asked or view.halted:
        _end(row, None, "Stopped before it started.")
        return
    if not Dyno.objects.filter(pk=row.pk, generation=0).update(generation=1, state_at=timezone.now()):
        return
    row.generation = 1
    try:
        parts.driver.run(wishes.spec(view.app, row, row.incarnation))
    except LookupError:
        _end(row, None, f"There is no code in v{row.release_version}.")
    except EngineError as error:
        _end(row, None, str(error))


def _note(row: Dyno, state: DynoState) -> None:
    if row.state != state.state:
        _write(row, state=state.state)


def _end(row: Dyno, exit_code: int | None, reason: str) -> None:
    _write(row, state=Dyno.State.DOWN, exit_code=exit_code, reason=storable(reason)[:200], port=None)


@transaction.atomic
def _write(row: Dyno, **news: Any) -> None:
    before, news["state_at"] = row.state, timezone.now()
    Dyno.objects.filter(pk=row.pk).update(**news)
    for name, value in news.items():
        setattr(row, name, value)
    changes.note(Change(row, by=row.by, app_id=row.app_id, details={"state": before}))
    live.tell(row.app.topic)
