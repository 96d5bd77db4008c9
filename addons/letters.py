"""Takes mail apart that anybody may have written. Nothing here trusts it: headers are cut before they are parsed, charsets
are not what they say, parts are nested deeper than anybody reads."""

import base64
import mimetypes
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from core.text import storable

HEADER_CHARACTERS, HEADERS = 2000, 60
PARTS, DEEPEST = 100, 20
MOST_HEADERS, MOST_PARTS = (
    500,
    2000,
)  # beyond which a mail is not taken apart: the standard library needs seconds
HEAD_BYTES = 64 * 1024  # that are looked through for the headers of a list
LINKS, LINK_CHARACTERS = 30, 2000
HTML_CHARACTERS = 100_000  # that are looked through for links
TEXT_CHARACTERS = 60_000
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
ODD_CHARSETS = {
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "undefined",
}  # slow, or no charsets
NOT_READ = (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
_CONTROL = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Piece:
    """An attachment, or a picture inside."""

    number: int
    name: str
    kind: str  # "image/png"
    id: str  # what `cid:` addresses call it
    content: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)


@dataclass(frozen=True)
class Letter:
    """A mail, taken apart."""

    headers: list[tuple[str, str]]
    text: str | None = None
    html: str | None = field(default=None, repr=False)
    pieces: list[Piece] = field(default_factory=list)
    cut: bool = False  # the text is longer than what is here
    problem: str = ""  # why there is nothing but headers

    def header(self, name: str) -> str:
        """The first header of that name; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class _Bounded(policy.Compat32):
    """Keeps the beginning of each header: some parsers of the standard library take hours for the whole of a long one."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Name and value."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:HEADER_CHARACTERS]


_POLICY = _Bounded()


class _Part(Message):
    """A part of a mail that has no more of everything than is read."""

    def set_raw(self, name: str, value: str) -> None:
        """One more header."""
        if len(self) >= MOST_HEADERS:
            raise ValueError("too many headers")
        super().set_raw(name, value)


def _parsed(raw: bytes) -> Message:
    made = 0

    def part(policy: Any = _POLICY) -> Message:
        nonlocal made
        made += 1
        if made > MOST_PARTS:
            raise ValueError("too many parts")
        return _Part(policy=policy)

    return BytesParser(part, policy=_POLICY).parsebytes(raw)


def headline(raw: bytes) -> tuple[str, str, str]:
    """From, To and Subject, each in one line; empty where there is none."""
    letter = Letter(_top(raw))
    return letter.header("From"), letter.header("To"), letter.header("Subject")


def read(raw: bytes) -> Letter:
    """All of it. What can't be taken apart is a letter with headers and a `problem`."""
    try:
        message = _parsed(raw)
        return _letter(message, list(_leaves(message))[:PARTS])
    except NOT_READ:
        return Letter(_top(raw), problem="It can't be taken apart. Download its source to look at it.")


def page(letter: Letter) -> str:
    """Its HTML as it is, with the pictures that it brings along put in."""
    inside = {piece.id: piece for piece in letter.pieces if piece.id and piece.kind in PICTURES}

    def picture(found: re.Match[str]) -> str:
        piece = inside.get(found[1])
        if piece is None:
            return found[0]
        return f"data:{piece.kind};base64,{base64.b64encode(piece.content).decode()}"

    return re.sub(r"cid:([^\s\"'<>)]{1,200})", picture, letter.html or "") if inside else letter.html or ""


def links(letter: Letter) -> list[str]:
    """Where it leads, each address once: of its HTML, or else of its text."""
    if letter.html is None:
        found = re.findall(r"https?://[^\s<>\"')\]]{1,2000}", letter.text or "")
    else:
        found = _Links().of(letter.html[:HTML_CHARACTERS])
    return [link for link in dict.fromkeys(found) if _leads_out(link)][:LINKS]


class _Links(HTMLParser):
    """Collects where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def of(self, html: str) -> list[str]:
        """What is found until it can't be read any more."""
        with suppress(AssertionError, *NOT_READ):
            self.feed(html)
        return self.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where it leads, if it is a link."""
        href = dict(attrs).get("href") if tag == "a" else None
        if href and len(href) <= LINK_CHARACTERS and len(self.found) < LINKS * 4:
            self.found.append(storable(href.strip()))


def _leads_out(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _top(raw: bytes) -> list[tuple[str, str]]:
    try:
        return _headers(BytesHeaderParser(policy=_POLICY).parsebytes(raw[:HEAD_BYTES]))
    except NOT_READ:
        return []


def _letter(message: Message, parts: list[Message]) -> Letter:
    text = html = None
    pieces: list[Piece] = []
    for part in parts:
        kind, apart = part.get_content_type(), part.get_content_disposition() == "attachment" or _name(part)
        if kind == "text/plain" and text is None and not apart:
            text = _text(part)
        elif kind == "text/html" and html is None and not apart:
            html = _text(part)
        else:
            pieces.append(_piece(len(pieces) + 1, part))
    shown = text[:TEXT_CHARACTERS] if text is not None else None
    return Letter(_headers(message), shown, html, pieces, cut=shown != text)


def _leaves(message: Message, depth: int = 0) -> Iterator[Message]:
    """The parts that are no mere wrapping. A mail inside a mail is one part."""
    inner: Any = message.get_payload() if message.get_content_maintype() == "multipart" else None
    if isinstance(inner, list) and depth < DEEPEST:
        for part in inner:
            yield from _leaves(part, depth + 1)
    else:
        yield message


def _piece(number: int, part: Message) -> Piece:
    name = _line(_name(part)).replace("/", "_").replace("\\", "_")[:200]
    kind = _line(part.get_content_type())[:100]
    content = _content(part)
    marked = _line(str(part.get("Content-ID", ""))).strip("<>")[:200]
    name = name or f"part-{number}{mimetypes.guess_extension(kind) or ''}"
    return Piece(number, name, kind, marked, content)


def _content(part: Message) -> bytes:
    inner = part.get_payload()
    if isinstance(inner, list):
        return b"".join(one.as_bytes() for one in inner if isinstance(one, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _name(part: Message) -> str:
    try:
        return _decoded(part.get_filename() or "")
    except NOT_READ:
        return ""


def _text(part: Message) -> str:
    content = _content(part)
    try:
        charset = str(part.get_content_charset() or "utf-8").replace("-", "_").lower()
        text = content.decode("utf-8" if charset in ODD_CHARSETS else charset, "replace")
    except NOT_READ:
        text = content.decode("utf-8", "replace")
    return _CONTROL.sub("", storable(text)).replace("\r\n", "\n")


def _headers(message: Message) -> list[tuple[str, str]]:
    found = [(name, _raw(value)) for name, value in message.raw_items()]
    return [(_line(name)[:100], _line(_decoded(value))) for name, value in found[:HEADERS]]


def _raw(value: object) -> str:
    """A header's bytes as the UTF-8 that they mostly are, whatever the standards say."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except NOT_READ:
        return value


def _line(text: str) -> str:
    """In one line, without what no row can hold."""
    return " ".join(_CONTROL.sub(" ", storable(text)).split())[:HEADER_CHARACTERS]
