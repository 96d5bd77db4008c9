"""When something is due: cron's five fields, as the `cronsim` library reads them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from core.errors import Refusal

OFTEN = {
    "*/10 * * * *": "Every 10 minutes",
    "0 * * * *": "Every hour",
    "0 0 * * *": "Every day at midnight",
}
CLOSEST = timedelta(minutes=1)
FURTHEST = timedelta(days=3660)
NICKNAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}


def check(text: str) -> str:
    """The schedule as it is kept; `Refusal` for what is none, or never comes."""
    plain = " ".join(NICKNAMES.get(text.strip(), text).split())
    try:
        if len(plain) > 100 or len(plain.split(" ")) != 5:
            raise CronSimError
        after(plain, ZoneInfo("UTC"), datetime.now(UTC))
    except (CronSimError, StopIteration):
        raise Refusal(
            "Write when in cron's five fields: minute, hour, day, month, weekday. 30 5 * * 1-5 is 05:30 from Monday "
            "to Friday.",
            fields={"schedule": "This is no schedule that ever comes."},
        ) from None
    return plain


def check_zone(text: str) -> str:
    """The name of a time zone; `Refusal` for what is none."""
    name = text.strip() or "UTC"
    if name not in available_timezones():
        raise Refusal(
            f"There is no time zone {name[:60]}.", fields={"zone": "Write it like Europe/Berlin, or UTC."}
        )
    return name


def after(schedule: str, zone: ZoneInfo, moment: datetime) -> datetime:
    """When `schedule` comes next after `moment`, by the clocks of `zone`; in UTC. An hour that clocks leave out comes
    right after it, one that they repeat comes once."""
    return next(CronSim(schedule, moment.astimezone(zone))).astimezone(UTC)


def in_words(schedule: str) -> str:
    """What it says, in English."""
    return OFTEN.get(schedule) or CronSim(schedule, datetime.now(UTC)).explain()
