"""The log page of an app: what its address asks for, and the lines that answer it, in bounded time and size.

Three ways to look: the end of the log, which goes on by itself; what stands before a line (`before`); what stands
around one (`line`), which is what a link to a line opens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from apps import logs
from apps.models import App, Dyno
from dashboard.log_lines import Row, rows
from engine.logstore import KINDS, Entry, Query

SOURCES = {"app": "App", "router": "Router", "platform": "Platform"}
LEVELS = {"": "Every line", "warning": "Warnings", "error": "Errors"}
SHOWN = 250  # lines of a page
SHOWN_BYTES = 48_000  # of text, and then it has fewer lines
BEFORE = 80  # lines that come before the one that a link leads to
SAVED, SAVED_BYTES = 20_000, 8 * 1024 * 1024  # lines and bytes of text of a download
PAGE_SECONDS, SAVE_SECONDS = 0.3, 2.0  # how long one request looks through the log


@dataclass(frozen=True)
class Asked:
    """What the address asks for; words that we do not know ask for everything."""

    q: str = ""
    sources: tuple[str, ...] = ()
    dyno: str = ""
    level: str = ""
    before: int | None = None
    line: int | None = None

    @classmethod
    def of(cls, params: QueryDict) -> "Asked":
        """Read an address. All sources are the same as none."""
        sources = tuple(kind for kind in KINDS if kind in params.getlist("source"))
        level = params.get("level", "")
        return cls(
            q=params.get("q", "").strip()[:200],
            sources=sources if len(sources) < len(KINDS) else (),
            dyno=params.get("dyno", "").strip()[:200],
            level=level if level in LEVELS else "",
            before=_number(params.get("before", "")),
            line=_number(params.get("line", "")),
        )

    @property
    def query(self) -> Query:
        """The same as the log store takes it."""
        return Query(self.q.encode(), self.level, dyno=self.dyno.encode(), kinds=self.sources)

    @property
    def narrowed(self) -> bool:
        """Whether not every line is wanted."""
        return self.query != Query()

    def address(self, **place: int) -> str:
        """The query string of these filters, at another place of the log."""
        parts: list[tuple[str, str | int]] = [("q", self.q), *(("source", word) for word in self.sources)]
        parts += [("dyno", self.dyno), ("level", self.level), *place.items()]
        return urlencode([(key, value) for key, value in parts if value != ""])


@dataclass(frozen=True)
class Shown:
    """The lines of a page. `after` is the number that what comes in follows; `still`: it does not go on by itself.
    `unsearched` lines before `since` were not looked at, since that takes too long for one page."""

    rows: list[Row]
    after: int
    still: bool = False
    target: int | None = None
    since: int = 0
    unsearched: int = 0
    older: str = ""
    newer: str = ""
    ended: bool = field(default=False)
    numbered: bool = field(default=False)


def shown(app: App, asked: Asked) -> Shown:
    """The lines that `asked` means."""
    if asked.line is not None:
        return _around(app.log_stream, asked.line)
    store, stream = logs.store(), app.log_stream
    after, first = store.last(stream), store.first(stream)
    found = store.find(stream, asked.query, before=asked.before, limit=SHOWN, seconds=PAGE_SECONDS)
    entries = fitting([entry for entry in found.entries if entry.offset <= after])
    enough = len(found.entries) >= SHOWN or len(entries) < len(found.entries)
    since = entries[0].offset if enough and entries else found.since
    return Shown(
        rows=rows(entries),
        after=after,
        still=asked.before is not None,
        since=since,
        unsearched=0 if enough else max(since - first, 0),
        older=asked.address(before=since) if since > first else "",
        newer=_to_line(entries[-1].offset) if asked.before is not None and entries else "",
    )


def _around(stream: str, line: int) -> Shown:
    store = logs.store()
    first, last = store.first(stream), store.last(stream)
    line = min(max(line, first), max(last, first))
    start = max(line - BEFORE, first)
    found = store.read(stream, after=start - 1, limit=SHOWN)
    at = next((i for i, entry in enumerate(found) if entry.offset >= line), len(found))
    earlier = fitting(found[:at], SHOWN_BYTES // 3)
    later = found[at : at + 1] + fitting(found[at + 1 :], SHOWN_BYTES // 2, newest=False)
    entries = [*earlier, *later]
    end = entries[-1].offset if entries else last
    begin = entries[0].offset if entries else first
    return Shown(
        rows=rows(entries),
        after=last,
        still=True,
        target=line,
        older=urlencode({"before": begin}) if begin > first else "",
        newer=_to_line(end) if end < last else "",
    )


def saved(app: App, asked: Asked) -> tuple[list[Entry], int]:
    """The last lines that match, for a download, and how many older ones were not looked at."""
    store = logs.store()
    found = store.find(app.log_stream, asked.query, before=asked.before, limit=SAVED, seconds=SAVE_SECONDS)
    entries = fitting(found.entries, SAVED_BYTES)
    since = entries[0].offset if len(entries) < len(found.entries) else found.since
    return entries, max(since - store.first(app.log_stream), 0)


def fitting(entries: Sequence[Entry], size: int = SHOWN_BYTES, *, newest: bool = True) -> list[Entry]:
    """As many of them as have `size` bytes of text together, the newest or the oldest."""
    kept: list[Entry] = []
    for entry in reversed(entries) if newest else entries:
        size -= len(entry.line.text) + 40
        if size < 0 and kept:
            break
        kept.append(entry)
    return kept[::-1] if newest else kept


def _to_line(number: int) -> str:
    return f"line={number}#L{number}"


def dynos(app: Any, chosen: str) -> list[str]:
    """What can be chosen: process types and dynos, and what the address asks for."""
    names = {dyno.name: dyno for dyno in Dyno.objects.filter(app=app).order_by("-created_at")[:100]}
    types = {dyno.type for dyno in names.values()}
    return sorted({*types, *names, *([chosen] if chosen else [])})


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
