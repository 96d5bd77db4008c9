"""How often an app's visitors met an error, and its dynos ran into one: counted in its log, as far as that goes back."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from apps.logs import store
from apps.models import App
from core.errors import Refusal
from engine.logstore import Query

HOURS = 7 * 24  # that can be asked for
MOST = 50_000  # lines that are counted at once
SECONDS = 2.0  # of looking through the log
_ROUTER = re.compile(rb"at=\w+ code=(H\d\d) ")
_DYNO = re.compile(rb"Error (R\d\d) \(")


@dataclass
class Errors:
    """Counts of each code, one for each hour that began at `times`. `since` is set when the log told of a part of that
    time only: from then on."""

    times: list[datetime]
    counts: dict[str, list[int]] = field(default_factory=dict)
    since: datetime | None = None


def router_errors(app: App, start: datetime, end: datetime) -> Errors:
    """What the router answered in the app's stead, or noted: H10, H12 …"""
    return _count(app, Query(text=b"code=h", kinds=("router",)), _ROUTER, start, end)


def dyno_errors(app: App, type: str, start: datetime, end: datetime) -> Errors:
    """What the dynos of a process type ran into: R10, R14 …"""
    return _count(app, Query(text=b'"error r"', source=b"heroku", dyno=type.encode()), _DYNO, start, end)


def _count(app: App, query: Query, code: re.Pattern[bytes], start: datetime, end: datetime) -> Errors:
    stream = app.log_stream
    times = _hours(start, end)
    found = store().find(stream, query, limit=MOST, seconds=SECONDS)
    errors = Errors(times, since=_gap(stream, found.since, start))
    for _, line in found.entries:
        named = code.match(line.text)
        hour = int((line.at - start.timestamp()) // 3600)
        if named and 0 <= hour < len(times) and line.at < end.timestamp():
            errors.counts.setdefault(named[1].decode(), [0] * len(times))[hour] += 1
    return errors


def _hours(start: datetime, end: datetime) -> list[datetime]:
    if end <= start:
        raise Refusal("The end of the time has to be after its start.")
    if end - start > timedelta(hours=HOURS, minutes=1):
        raise Refusal(f"At most {HOURS} hours can be looked back on.")
    hour, found = timedelta(hours=1), [start]
    while found[-1] + hour < end:
        found.append(found[-1] + hour)
    return found


def _gap(stream: str, looked: int, start: datetime) -> datetime | None:
    """When the part of the log begins that was looked through, if lines before it are missing and may be younger than
    `start`."""
    first = store().read(stream, after=max(looked, store().first(stream)) - 1, limit=1)
    if looked <= 1 or not first:
        return None
    began = datetime.fromtimestamp(first[0].line.at, start.tzinfo)
    return began if began > start else None
