"""Windows and freezes: whether a moment lies in one, and when that changes next."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from flow.models import Freeze

DAY = 24 * 60


def within(moment: datetime, days: Sequence[int], begin: int, end: int, zone: str) -> bool:
    """Whether `moment` lies between the minutes `begin` and `end` of one of the `days` (0 is Monday), by the clocks of
    `zone`."""
    here = moment.astimezone(ZoneInfo(zone))
    return here.weekday() in days and begin <= here.hour * 60 + here.minute < end


def changes_at(moment: datetime, days: Sequence[int], begin: int, end: int, zone: str) -> datetime | None:
    """When `within` says something else for the first time after `moment`; None when it never does."""
    now = within(moment, days, begin, end, zone)
    clocks = ZoneInfo(zone)
    today = moment.astimezone(clocks).date()
    for ahead in range(9):
        day = today + timedelta(days=ahead)
        for at in (0, begin, end):
            turn = datetime.combine(day, time(), clocks) + timedelta(minutes=at)
            turn = turn.replace(fold=0)
            if turn > moment and within(turn, days, begin, end, zone) != now:
                return turn
    return None


def frozen(freeze: Freeze, moment: datetime) -> bool:
    """Whether it is in force at `moment`."""
    if freeze.starts_at is not None and freeze.ends_at is not None:
        return freeze.starts_at <= moment < freeze.ends_at
    return within(moment, freeze.days, freeze.from_minute, freeze.to_minute, freeze.zone)


def turns_at(freeze: Freeze, moment: datetime) -> datetime | None:
    """When it begins or ends next after `moment`; None: never."""
    if freeze.starts_at is not None and freeze.ends_at is not None:
        return next((at for at in (freeze.starts_at, freeze.ends_at) if at > moment), None)
    return changes_at(moment, freeze.days, freeze.from_minute, freeze.to_minute, freeze.zone)
