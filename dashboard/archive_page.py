"""The archive of an app's log: what a search asks for, and the page of lines that answers it, newest first, in bounded
time and size."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import QueryDict

from accounts.models import User
from addons import archives
from addons.models import Addon, SavedSearch
from addons.providers.papertrail import rule
from apps import logs
from apps.models import App
from dashboard import log_page, panels
from dashboard.forms import Form
from dashboard.log_lines import Row, rows
from dashboard.marking import marked
from engine.logstore import Held, Keep, Query

SPANS = {
    0: "Any time",
    900: "Last 15 minutes",
    3600: "Last hour",
    86_400: "Last day",
    604_800: "Last 7 days",
    2_592_000: "Last 30 days",
}
SHOWN, SHOWN_BYTES = 100, 40_000  # lines of a page, and bytes of their text; then there are fewer
SECONDS = 1.0  # how long one request looks through the log
MB = 1024**2


@dataclass(frozen=True)
class Asked:
    """What the address, or a form, asks for; what we do not know asks for everything, and a bad time is told."""

    q: str = ""
    sources: tuple[str, ...] = ()
    dyno: str = ""
    level: str = ""
    within: int = 0
    start: str = ""
    end: str = ""
    since: float = 0.0
    until: float = 0.0
    before: int | None = None
    wrong: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sent: QueryDict) -> "Asked":
        """Read it. `from` and `to` are in UTC, `to` to the end of its minute or day."""
        plain = log_page.Asked.of(sent)
        within = int(sent.get("within", "")) if sent.get("within", "") in map(str, SPANS) else 0
        start, end = (sent.get(key, "").replace("\0", "").strip()[:40] for key in ("from", "to"))
        since, until, wrong = _range(start, end)
        return cls(
            q=plain.q.replace("\0", ""),
            sources=plain.sources,
            dyno=plain.dyno.replace("\0", ""),
            level=plain.level,
            within=within,
            start=start,
            end=end,
            since=since,
            until=until,
            before=plain.before,
            wrong=wrong,
        )

    @classmethod
    def again(cls, search: SavedSearch) -> "Asked":
        """What a saved search asks for."""
        return cls(search.text, tuple(search.sources), search.dyno, search.level, search.seconds)

    @property
    def query(self) -> Query:
        """The same as the log store takes it, now."""
        since = max(self.since, time.time() - self.within if self.within else 0.0)
        return Query(self.q.encode(), self.level, b"", self.dyno.encode(), self.sources, since, self.until)

    @property
    def narrowed(self) -> bool:
        """Whether not every line is wanted."""
        return bool(self.kept or self.start or self.end)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """Names and values of what a saved search keeps, for an address or a form."""
        parts = [("q", self.q), *(("source", word) for word in self.sources), ("dyno", self.dyno)]
        parts += [("level", self.level), ("within", str(self.within or ""))]
        return [(key, value) for key, value in parts if value]

    @property
    def live(self) -> str:
        """The query string of the log page, which goes on by itself, for the same lines."""
        return urlencode([(key, value) for key, value in self.kept if key != "within"])

    def address(self, before: int | None = None) -> str:
        """The query string of this search, at another place of the log."""
        times = [("from", self.start), ("to", self.end), ("before", str(before or ""))]
        return urlencode(self.kept + [(key, value) for key, value in times if value])


@dataclass(frozen=True)
class Found:
    """A page of lines, newest first, by day. `older` is the address of what comes before them, empty when that is nothing;
    `reached` is how far back one request came, when there is more to look through."""

    days: list[tuple[date, list[Row]]]
    count: int
    older: str
    reached: datetime | None


@dataclass(frozen=True)
class Saved:
    """A saved search as the page lists it."""

    search: SavedSearch
    address: str
    chosen: bool


def page(app: App, user: User, asked: Asked, form: Form | None = None) -> dict[str, Any]:
    """Everything on the page; without an archive, how to get one."""
    archive = archives.archive_of(app)
    framed = {**panels.frame(app, user, "logs"), "archive": archive, "asked": asked}
    if archive is None:
        return framed
    held, keep = logs.store().held(app.log_stream), rule(archive.plan.limits)
    return {
        **framed,
        "held": held,
        "since": _moment(held.since) if held.since else None,
        "kept": words(keep, held),
        "days": keep.days,
        "found": None if asked.wrong else find(app, asked),
        "sources": log_page.SOURCES,
        "levels": log_page.LEVELS,
        "spans": SPANS.items(),
        "dynos": log_page.dynos(app, asked.dyno),
        "searches": _saved(archive, asked),
        "form": form or Form(),
    }


def find(app: App, asked: Asked) -> Found:
    """The newest lines that match, from `asked.before` back."""
    store, stream, query = logs.store(), app.log_stream, asked.query
    found = store.find(stream, query, before=asked.before, limit=SHOWN, seconds=SECONDS)
    entries = log_page.fitting(found.entries, SHOWN_BYTES)
    full = len(found.entries) >= SHOWN or len(entries) < len(found.entries)
    since = entries[0].offset if full else found.since
    more = since > store.first(stream)
    shown = [replace(row, html=marked(row.html, query.words)) for row in reversed(rows(entries))]
    return Found(
        days=[(day, list(of_day)) for day, of_day in groupby(shown, key=lambda row: row.at.date())],
        count=len(shown),
        older=asked.address(since) if more else "",
        reached=_at(stream, since) if more and not full else None,
    )


def words(keep: Keep, held: Held) -> str:
    """How much there is of what the plan keeps."""
    size = f"{held.size / MB:,.1f} MB" if held.size >= MB else f"{held.size / 1024:,.0f} kB"
    return f"{size} of {keep.size // MB:,} MB"


def loses(app: App, addon: Addon) -> str:
    """What goes for good with the archive `addon` of `app`, beyond what every app keeps of its log."""
    held = logs.store().held(app.log_stream)
    more = held.size - settings.LOG_BYTES
    usual = f"{settings.LOG_BYTES / MB:,.0f} MB"
    if more > 0 and held.since:
        since = _moment(held.since)
        text = f"Of its {held.size / MB:,.1f} MB of log, since {since:%-d %B %Y}, the newest {usual} stay: the rest goes for good."
    else:
        text = f"Its log has less than {usual} so far, and keeps it; later lines push older ones out at that."
    count = addon.searches.count()
    return f"{text} {_times(count)} with it." if count else text


def _times(count: int) -> str:
    return "A saved search goes" if count == 1 else f"{count} saved searches go"


def _saved(archive: Addon, asked: Asked) -> list[Saved]:
    each = [(search, Asked.again(search)) for search in archive.searches.all()]
    return [Saved(search, again.address(), again.kept == asked.kept) for search, again in each]


def _at(stream: str, number: int) -> datetime | None:
    found = logs.store().read(stream, after=number - 1, limit=1)
    return _moment(found[0].line.at) if found else None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _range(start: str, end: str) -> tuple[float, float, dict[str, str]]:
    wrong: dict[str, str] = {}
    since, until = _time(start, "from", wrong), _time(end, "to", wrong)
    if until:
        until += 86_399 if len(end) == len("2026-11-26") else 59
    if since and until and since > until:
        wrong["to"] = "This is before “From”."
    return since, until, wrong


def _time(text: str, name: str, wrong: dict[str, str]) -> float:
    try:
        found = datetime.fromisoformat(text) if text else None
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp() if found else 0.0
    except (ValueError, OverflowError):
        wrong[name] = f"“{text}” is no time. Write it like {datetime.now(UTC):%Y-%m-%d %H:%M}."
        return 0.0


def parts_of(asked: Asked) -> dict[str, Any]:
    """What `archives.save_search` keeps of it."""
    sources: Sequence[str] = asked.sources
    return {
        "text": asked.q,
        "sources": sources,
        "dyno": asked.dyno,
        "level": asked.level,
        "seconds": asked.within,
    }
