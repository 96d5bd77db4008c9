"""What visitors see when there is no answer of an app: a page, JSON or plain text, with the error's code."""

import functools
import html
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fault:
    """An error code: its words in the log, the status, and its words for visitors."""

    words: str
    status: int
    title: str
    text: str
    at: str = "error"


_WAIT = "Nothing is wrong on your side. Wait a moment, then load the page again."
_DOWN = "This site is not responding"
_NOT_HTTP = Fault(
    "Request error", 400, "This request can’t be understood", "It does not follow the rules of HTTP."
)

FAULTS: dict[str, Fault] = {
    "H10": Fault("App crashed", 503, _DOWN, "The app behind it has crashed. " + _WAIT),
    "H11": Fault("Backlog too deep", 503, "This site is very busy", _WAIT),
    "H12": Fault("Request timeout", 503, "This site is taking too long to answer", _WAIT),
    "H13": Fault("Connection closed without response", 503, _DOWN, _WAIT),
    "H14": Fault("No web dynos running", 503, "This site is switched off", "No web dyno is running for it."),
    "H15": Fault("Idle connection", 503, "This site stopped answering", _WAIT),
    "H17": Fault("Poorly formed HTTP response", 503, "This site gave an unreadable answer", _WAIT),
    "H18": Fault("Server Request Interrupted", 503, "This site broke off its answer", _WAIT),
    "H19": Fault("Backend connection timeout", 503, _DOWN, _WAIT),
    "H20": Fault("App boot timeout", 503, "This site is still starting", _WAIT),
    "H21": Fault("Backend connection refused", 503, _DOWN, _WAIT),
    "H26": _NOT_HTTP,
    "H27": Fault("Client Request Interrupted", 499, "", ""),
    "H28": Fault("Client Connection Idle", 499, "", ""),
    "H80": Fault(
        "Maintenance mode",
        503,
        "Back in a few minutes",
        "We are working on this site. This page reloads by itself once we are done.",
        at="info",
    ),
    "H81": Fault("Blank app", 503, "Nothing here yet", "Nothing has been deployed to this app so far."),
    "H84": Fault(
        "App suspended",
        503,
        "This site is suspended",
        "Whoever runs the platform has suspended it. Nothing of it is lost; its owners can ask them why.",
    ),
    "H99": Fault("Platform error", 503, _DOWN, _WAIT),
}

_STATUS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_BROKEN = '<path class="hull" d="M46.4 28.9 131.3 60.1 99.4 68.8 56 52.8z"/><path class="bad" d="m139 44 7-12M147 54l14-5M145 67l13 4"/>'
_WORKS = '<path class="post" d="M58 50V12M92 62V12M126 76V12M50 18h84M50 34h84"/><path class="hull" d="M46.4 28.9 131.3 60.1 99.4 68.8 56 52.8z"/>'
_EMPTY = '<path class="ghost" d="M20.4 19.4 105.3 50.6 73.4 59.2 30 43.3z"/>'
_BUTTON = '<p class="row"><a class="btn" href="">Try again</a></p>'


def fault(code: str) -> Fault:
    """What a code means; an unknown one is ours."""
    return FAULTS.get(code, FAULTS["H99"])


def for_fault(
    code: str,
    *,
    host: str,
    request_id: str,
    accept: bytes,
    head_only: bool,
    close: bool,
    time: str = "",
) -> bytes:
    """The whole answer for an error code of an app's request; `time` as people read it, now without it."""
    what = fault(code)
    maintenance = code == "H80"
    facts = {"Error": f"{code} {what.words}", "Request": request_id, "Time": time or _now()}
    page = functools.partial(
        _page,
        title=what.title,
        label="Maintenance" if maintenance else f"{what.status}, {what.words.lower()}",
        text=what.text,
        art=_WORKS if maintenance else _BROKEN,
        host=host,
        facts={} if maintenance else facts,
        reload=maintenance,
    )
    message = {"id": code, "message": f"{what.title}. {what.text}", "request_id": request_id}
    extra = f"X-Request-Id: {request_id}\r\n" + ("Retry-After: 30\r\n" if maintenance else "")
    return _answer(what.status, page, message, extra, accept=accept, head_only=head_only, close=close)


def no_app(*, accept: bytes, head_only: bool, close: bool) -> bytes:
    """The answer for a host that no app has; the same for each, so that it tells nothing (promise I-28)."""
    text = "There is no app at this address. It may have been renamed or destroyed."
    page = functools.partial(_page, title="There is no app here", label="404", text=text, art=_EMPTY)
    message = {"id": "not_found", "message": text}
    return _answer(404, page, message, "", accept=accept, head_only=head_only, close=close)


def challenge(answer: str, *, head_only: bool, close: bool) -> bytes:
    """The answer to a certificate authority, in the words that it expects."""
    body = answer.encode()
    return _head(200, "text/plain", len(body), "", close=close) + (b"" if head_only else body)


def refused(status: int, why: str, *, head_only: bool = False) -> bytes:
    """The answer to what is not a proper request; the connection is closed after it."""
    body = f"{_STATUS[status]}: {why}.\n".encode()
    return _head(status, "text/plain", len(body), "", close=True) + (b"" if head_only else body)


def control_away(*, request_id: str, accept: bytes, head_only: bool, close: bool) -> bytes:
    """The answer while the platform's own pages can't be reached."""
    text = "Apps keep serving meanwhile. Load the page again in a moment."
    page = functools.partial(
        _page,
        title="Slipway is restarting",
        label="503",
        text=text,
        art=_BROKEN,
        facts={"Request": request_id},
    )
    message = {"id": "service_unavailable", "message": "Slipway is restarting. " + text}
    return _answer(503, page, message, "Retry-After: 5\r\n", accept=accept, head_only=head_only, close=close)


def _answer(
    status: int,
    page: functools.partial[str],
    message: dict[str, str],
    extra: str,
    *,
    accept: bytes,
    head_only: bool,
    close: bool,
) -> bytes:
    accept = accept.lower()
    if b"text/html" not in accept and b"json" in accept:
        kind, body = "application/json", json.dumps(message).encode()
    elif b"text/html" not in accept and b"text/plain" in accept:
        kind, body = "text/plain", (message["message"] + "\n").encode()
    else:
        kind, body = "text/html", page().encode()
    return _head(status, kind, len(body), extra, close=close) + (b"" if head_only else body)


def _head(status: int, kind: str, length: int, extra: str, *, close: bool) -> bytes:
    return (
        f"HTTP/1.1 {status} {_STATUS[status]}\r\n"
        f"Content-Type: {kind}; charset=utf-8\r\n"
        f"Content-Length: {length}\r\n"
        "Cache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"{extra}" + ("Connection: close\r\n" if close else "") + "\r\n"
    ).encode()


@functools.cache
def _template() -> Template:
    return Template((_HERE / "page.html").read_text())


def _page(
    *,
    title: str,
    label: str,
    text: str,
    art: str,
    host: str = "",
    facts: dict[str, str] | None = None,
    reload: bool = False,
) -> str:
    rows = "".join(
        f"<dt>{html.escape(key)}</dt><dd><code>{html.escape(value)}</code></dd>"
        for key, value in (facts or {}).items()
    )
    return _template().substitute(
        title=html.escape(title),
        label=html.escape(label),
        text=html.escape(text),
        art=art,
        host=html.escape(host),
        refresh='<meta http-equiv="refresh" content="30">' if reload else "",
        button=_BUTTON if facts else "",
        facts=f'<dl class="facts">{rows}</dl>' if rows else "",
    )


def _now() -> str:
    now = datetime.now(UTC)
    return f"{now:%H:%M:%S} UTC, {now.day} {now:%B %Y}"
