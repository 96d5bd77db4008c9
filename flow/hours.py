"""Windows and freezes: whether a moment lies in one, and when that changes next."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flow.models import Freeze

MINUTE = timedelta(minutes=1)


def within(moment: datetime, days: Sequence[int], begin: int, end: int, zone: str) -> bool:
    """Whether `moment` lies between the minutes `begin` and `end` of one of the `days` (0 is Monday), by the clocks of
    `zone`."""
    here = moment.astimezone(ZoneInfo(zone))
    return here.weekday() in days and begin <= here.hour * 60 + here.minute < end


def changes_at(moment: datetime, days: Sequence[int], begin: int, end: int, zone: str) -> datetime | None:
    """When `within` says something else for the first time after `moment`, in UTC; None when it never does."""
    now = within(moment, days, begin, end, zone)
    clocks = ZoneInfo(zone)
    today = moment.astimezone(clocks).date()
    for ahead in range(9):
        for turn in sorted(_instants(today + timedelta(days=ahead), (0, begin, end), clocks)):
            if turn > moment and within(turn, days, begin, end, zone) != now:
                return turn
    return None


def _instants(day: date, minutes: Sequence[int], clocks: ZoneInfo) -> Iterator[datetime]:
    """Each time that the clocks show these minutes of `day`, and when they are put forward or back on it: a window whose
    begin is left out opens then, and one that has closed may open again."""
    midnight = datetime.combine(day, time())
    for minute in minutes:
        for fold in (0, 1):
            shown = midnight + timedelta(minutes=minute)
            yield shown.replace(tzinfo=clocks, fold=fold).astimezone(UTC)
    early, late = (
        (midnight + timedelta(days=days)).replace(tzinfo=clocks).astimezone(UTC) for days in (0, 1)
    )
    before = _offset(early, clocks)
    if before != _offset(late, clocks):
        while late - early > MINUTE:
            middle = early + (late - early) // MINUTE // 2 * MINUTE
            early, late = (middle, late) if _offset(middle, clocks) == before else (early, middle)
        yield late


def _offset(moment: datetime, clocks: ZoneInfo) -> timedelta | None:
    return moment.astimezone(clocks).utcoffset()


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
