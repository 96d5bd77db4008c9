"""What `logs/_log.html` draws before, or without, any JavaScript: the last lines of a stream."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.safestring import SafeString

from apps import logs
from dashboard import ansi
from engine.logstore import Entry, harmless, is_error, is_warning

LINES = 200
_HUES = ("a-cyan", "a-magenta", "a-blue", "a-yellow")


@dataclass(frozen=True)
class Row:
    """One line as a page shows it."""

    number: int
    at: datetime
    source: str
    dyno: str
    kind: str  # is-error, is-warn or empty
    hue: str
    html: SafeString


def log_context(
    stream: str, lines: int = LINES, *, source: str = "", dyno: str = "", text: str = "", level: str = ""
) -> dict[str, Any]:
    """The last `lines` rows of `stream` that match, the number after which new ones follow, whether it is complete,
    and whether its lines are shown by number (builds and releases) or by dyno (apps).

    The caller has asked `releases.streams.stream_for` whether the viewer may read it."""
    store = logs.store()
    ended, after = store.ended(stream), store.last(stream)
    if text or level:
        found = store.search(stream, text=text, level=level, source=source, dyno=dyno, limit=lines)
    else:
        found = store.tail(stream, lines, source=source, dyno=dyno)
    return {
        "rows": rows(entry for entry in found if entry.offset <= after),
        "after": after,
        "ended": ended,
        "numbered": not stream.startswith("app/"),
    }


def rows(entries: Iterable[Entry]) -> list[Row]:
    """Lines as a page shows them."""
    return [_row(entry) for entry in entries]


def _row(entry: Entry) -> Row:
    line, shown = entry.line, harmless(entry.line.text)
    return Row(
        number=entry.offset,
        at=datetime.fromtimestamp(line.at, UTC),
        source=line.source,
        dyno=line.dyno,
        kind="is-error" if is_error(shown) else "is-warn" if is_warning(shown) else "",
        hue=_hue(line.source, line.dyno),
        html=ansi.html(shown),
    )


def _hue(source: str, dyno: str) -> str:
    if source != "app":
        return "a-grey" if dyno == "router" else "a-green"
    return _HUES[sum(map(ord, dyno.partition(".")[0])) % len(_HUES)]
