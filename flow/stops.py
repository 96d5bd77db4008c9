"""What stands in a line's way besides its gates: holds, freezes, and the whole pipeline being stopped."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from flow import hours
from flow.models import Freeze, Hold, Line
from pipelines.models import Stage


def holds_on(stage: Stage) -> list[Hold]:
    """Those that keep releases out of `stage`, and are not lifted."""
    rows = Hold.objects.filter(
        Q(line__stage=stage) | Q(line=None), pipeline=stage.pipeline_id, lifted_at=None
    )
    return list(rows.select_related("by"))


def freezes_on(stage: Stage, now: datetime | None = None) -> list[Freeze]:
    """Those that are in force for `stage` now."""
    now = now or timezone.now()
    return [freeze for freeze in _freezes_of(stage) if hours.frozen(freeze, now)]


def against(stage: Stage, now: datetime | None = None) -> list[str]:
    """Why nothing passes into `stage` now, in sentences; empty when the way is free."""
    said = [_held(stage, hold) for hold in holds_on(stage)]
    return said + [f"{stage.title} is frozen: {freeze.name}." for freeze in freezes_on(stage, now)]


def turns_at(stage: Stage, now: datetime) -> datetime | None:
    """When a freeze of `stage` begins or ends next; None: never."""
    return _first([hours.turns_at(freeze, now) for freeze in _freezes_of(stage)])


def shown(line: Line) -> dict[str, object]:
    """Both, as boards show them."""
    stage = line.stage
    return {
        "holds": [
            {
                "id": str(hold.pk),
                "cause": hold.cause,
                "reason": hold.reason,
                "by": hold.by.get_full_name() if hold.by else "",
                "at": hold.created_at.isoformat(),
                "all": hold.line_id is None,
            }
            for hold in holds_on(stage)
        ],
        "freezes": [{"id": str(freeze.pk), "name": freeze.name} for freeze in freezes_on(stage)],
    }


def _held(stage: Stage, hold: Hold) -> str:
    where = "The whole pipeline" if hold.line_id is None else f"The line into {stage.title}"
    reason = hold.reason.rstrip(".")
    return f"{where} is held: {reason}." if reason else f"{where} is held."


def _freezes_of(stage: Stage) -> list[Freeze]:
    rows = Freeze.objects.filter(Q(stage=stage) | Q(stage=None), pipeline=stage.pipeline_id)
    return list(rows)


def _first(times: Sequence[datetime | None]) -> datetime | None:
    return min((at for at in times if at is not None), default=None)
