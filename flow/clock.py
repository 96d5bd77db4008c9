"""The clock of this machine may jump. What has to last for a while is counted from the jump on, by who noticed it."""

import time
from datetime import datetime, timedelta

from django.utils import timezone

JUMP_SECONDS = 30.0  # that the time of day may move apart from the seconds that have passed

_last: tuple[datetime, float] | None = None
_floor: datetime | None = None


def tick() -> bool:
    """Compare both clocks with the last time; true when the time of day has jumped since. Called again and again by the
    conductor, which promotes by itself; whoever never calls it knows of no jump."""
    global _last, _floor
    now, passed = timezone.now(), time.monotonic()
    before, _last = _last, (now, passed)
    if before is None:
        return False
    apart = (now - before[0]) - timedelta(seconds=passed - before[1])
    if abs(apart.total_seconds()) <= JUMP_SECONDS:
        return False
    _floor = now
    return True


def floor(now: datetime) -> datetime | None:
    """The time before which nothing counts as having lasted, if the clock has jumped."""
    return min(_floor, now) if _floor else None
