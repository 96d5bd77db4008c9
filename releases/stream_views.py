"""Output of builds and releases, and app logs, for programs: `curl`, the CLI, an `EventSource`."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from apps import logs
from apps.follow import follow
from core.errors import NotFound
from engine.logstore import Entry, Query, harmless
from engine.logstore.records import entries, texts
from releases import readers, streams
from releases.streams import Grant

_RANGE = re.compile(r"bytes=(\d{1,18})-")
_ENDLESS = 2**63 - 1


@require_safe
async def output(
    request: HttpRequest, kind: str, ref: str, token: str
) -> HttpResponse | StreamingHttpResponse:
    """What a build or a release writes, from the start or from `Range: bytes=N-` on, until it is over."""
    grant = await sync_to_async(streams.granted)(token, seconds=streams.OUTPUT_SECONDS)
    if grant.stream != f"{kind}/{ref}":
        raise NotFound("Couldn't find that stream.", resource="stream")
    if "text/event-stream" in request.headers.get("Accept", ""):
        return _events(_numbered(grant, _resumed(request) or 0, lambda entry: harmless(entry.line.text)))
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    start = int(found[1]) if found else 0
    response = _stream(_text(grant, start), "text/plain; charset=utf-8")
    response.headers["Accept-Ranges"] = "bytes"
    if found:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{_ENDLESS}/*"  # nobody knows how long it will be
    return response


@require_safe
async def log_session(request: HttpRequest, token: str) -> StreamingHttpResponse:
    """The last lines of an app's log, and those that follow if that was asked for: as server-sent events to who accepts
    these by name, as the CLI does, to others as text."""
    grant = await sync_to_async(streams.granted)(token, seconds=streams.SESSION_SECONDS)
    after = _resumed(request)
    if after is None:
        await sync_to_async(streams.use_up)(grant)
    if after is None and "text/event-stream" not in request.headers.get("Accept", ""):
        return _stream(_lines(grant), "text/plain; charset=utf-8")
    return _events(_session(grant, after))


async def _session(grant: Grant, after: int | None) -> AsyncIterator[str]:
    # A short retry time: the CLI keeps its timer after we close, and would exit that much later.
    if after is None:
        last, found = await asyncio.to_thread(_tail, grant)
        yield f"retry: 1\nid: {last if not found else found[0].offset - 1}\n\n"
        yield "".join(_event(entry.offset, log_line(entry)) for entry in found)
        after = last
    else:
        yield "retry: 1\n\n"
    if grant.tail:
        async for event in _numbered(grant, after, log_line):
            yield event


async def _lines(grant: Grant) -> AsyncIterator[str]:
    last, found = await asyncio.to_thread(_tail, grant)
    if found:
        yield "".join(f"{log_line(entry)}\n" for entry in found)
    if grant.tail:
        async for more in _matching(grant, last):
            if more:
                yield "".join(f"{log_line(entry)}\n" for entry in more)


def _tail(grant: Grant) -> tuple[int, list[Entry]]:
    store = logs.store()
    last = store.last(grant.stream)
    found = store.tail(grant.stream, grant.lines, source=grant.source, dyno=grant.dyno) if grant.lines else []
    return last, [entry for entry in found if entry.offset <= last]


async def _numbered(grant: Grant, after: int, show: Callable[[Entry], str]) -> AsyncIterator[str]:
    """Events for the entries after number `after`, and a comment when there is nothing to send."""
    async for found in _matching(grant, after):
        yield "".join(_event(entry.offset, show(entry)) for entry in found) or ": still here\n\n"


async def _matching(grant: Grant, after: int) -> AsyncIterator[list[Entry]]:
    """The entries after number `after` of the source and dyno that were asked for; an empty list now and then."""
    query = Query(source=grant.source.encode(), dyno=grant.dyno.encode())
    async for first, records in _while_allowed(grant, after):
        yield [e for e, r in zip(entries(first, records), records, strict=True) if query.matches(r)]


async def _text(grant: Grant, start: int) -> AsyncIterator[bytes]:
    async for _, records in _while_allowed(grant, 0):
        data = texts(records)
        if start < len(data):
            yield data[start:]
        start = max(0, start - len(data))


async def _while_allowed(grant: Grant, after: int) -> AsyncIterator[tuple[int, list[bytes]]]:
    """`follow`, cut short within 5 seconds of the reader losing the right to it (I-31), and ended with the build or
    release if nobody else could say so."""
    loop, checked = asyncio.get_running_loop(), 0.0
    async for first, records in follow(grant.stream, after):
        if loop.time() - checked > 2.5:
            checked = loop.time()
            now = await readers.standing(grant)
            if not now.holds:
                return
            if not records and now.over and await _dry(grant, first):
                return
        yield first, records


async def _dry(grant: Grant, first: int) -> bool:
    return await asyncio.to_thread(logs.store().last, grant.stream) < first


def log_line(entry: Entry) -> str:
    """A line of an app's log as text: when, where from, what."""
    line = entry.line
    at = datetime.fromtimestamp(line.at, UTC).isoformat(timespec="microseconds")
    return f"{at} {line.source}[{line.dyno}]: {harmless(line.text)}"


def _event(number: int, text: str) -> str:
    return f"id: {number}\ndata: {text}\n\n"


def _resumed(request: HttpRequest) -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _events(events: AsyncIterator[str]) -> StreamingHttpResponse:
    return _stream(events, "text/event-stream")


def _stream(
    parts: AsyncIterator[str] | AsyncIterator[bytes] | Iterable[bytes], kind: str
) -> StreamingHttpResponse:
    headers = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}
    return StreamingHttpResponse(parts, content_type=kind, headers=headers)
