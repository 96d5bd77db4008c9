"""HTTP/1.1 on the wire, read strictly: where a message ends is decided here, and whatever two readers could
understand differently is refused, so that no request can be smuggled past the router.

Heads are split and checked as bytes; the lines that need no change are passed on as they came.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

BLANK = b"\r\n\r\n"
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# What a head may hold besides CR LF: no control characters but the tab.
SAFE = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])
HOST = re.compile(rb"([0-9A-Za-z](?:[0-9A-Za-z._-]*[0-9A-Za-z])?\.?|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?")
STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
BARE_LF = re.compile(rb"(?:^|[^\r])\n")
MAX_CHUNK_LINE = 4096
MAX_TRAILERS = 8192

# Headers of a request that the router reads or replaces; all others pass untouched.
_REQUEST = frozenset(
    b"host content-length transfer-encoding connection keep-alive proxy-connection proxy-authorization te upgrade "
    b"http2-settings x-request-id x-forwarded-for x-forwarded-proto x-forwarded-port x-request-start".split()
)
_ONCE = frozenset([b"host", b"content-length", b"transfer-encoding"])
_FRAMING = frozenset([b"content-length", b"transfer-encoding"])  # read, and passed on as they came
_RESPONSE = frozenset(
    b"content-length transfer-encoding connection keep-alive proxy-connection proxy-authenticate upgrade".split()
)
_NOT_IN_TRAILERS = _REQUEST | {b"cookie", b"authorization", b"content-type", b"content-encoding", b"trailer"}
_REUSABLE = frozenset([b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])


class Malformed(Exception):
    """Not HTTP as we accept it. `status` is the answer to it; `host` is set when it could still be told."""

    def __init__(self, status: int, why: str, host: str = "") -> None:
        super().__init__(why)
        self.status, self.why, self.host = status, why, host


class Length:
    """A body of a known number of bytes; 0 for none."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def take(self, data: bytes) -> int:
        """How many bytes at the start of `data` belong to the body."""
        taken = min(self.left, len(data))
        self.left -= taken
        self.done = self.left == 0
        return taken


class UntilClose:
    """A body that ends with its connection."""

    __slots__ = ()
    done = False

    def take(self, data: bytes) -> int:
        """All of it."""
        return len(data)


class Chunked:
    """A chunked body with its trailers, checked as it passes."""

    __slots__ = ("_left", "_line", "_reads", "_trailers", "done")

    def __init__(self) -> None:
        self._left = 0
        self._line = b""
        self._trailers = 0
        self._reads = self._size
        self.done = False

    def take(self, data: bytes) -> int:
        """How many bytes at the start of `data` belong to the body; `Malformed` when it is not chunked."""
        at, end = 0, len(data)
        while at < end and not self.done:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            newline = data.find(b"\n", at)
            stop = newline + 1 or end
            self._line += data[at:stop]
            at = stop
            if len(self._line) > MAX_CHUNK_LINE:
                raise Malformed(400, "a chunk's first line is too long")
            if newline >= 0:
                line, self._line = self._line, b""
                self._reads(line)
        return at

    def _size(self, line: bytes) -> None:
        found = CHUNK.fullmatch(line)
        if not found:
            raise Malformed(400, "bad chunk size")
        self._left = int(found[1], 16)
        self._reads = self._after if self._left else self._trailer

    def _after(self, line: bytes) -> None:
        if line != b"\r\n":
            raise Malformed(400, "a chunk does not end where it said")
        self._reads = self._size

    def _trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.done = True
            return
        self._trailers += len(line)
        name, colon, value = line[:-2].partition(b":")
        well_formed = line.endswith(b"\r\n") and colon and TOKEN.fullmatch(name)
        if not well_formed or value.translate(None, SAFE) or name.lower() in _NOT_IN_TRAILERS:
            raise Malformed(400, "bad trailer")
        if self._trailers > MAX_TRAILERS:
            raise Malformed(431, "trailers too long")


Body = Length | Chunked | UntilClose


@dataclass(slots=True)
class Request:
    """The head of a request. `lines` are the header lines that are passed on as they came."""

    method: bytes
    target: bytes
    minor: int
    host: str  # lower case, without port: what is routed by
    authority: bytes  # the Host header as it came
    body: Body
    lines: list[bytes]
    special: dict[bytes, bytes]
    length: int  # of the head, bytes
    close: bool  # the client wants its connection closed afterwards
    upgrade: bytes = b""

    @property
    def repeatable(self) -> bool:
        """Doing it twice is the same as once, and nothing of it is used up."""
        return (
            self.method in _REUSABLE and type(self.body) is Length and b"content-length" not in self.special
        )

    def header(self, name: bytes) -> bytes:
        """The value of a header among `lines`, for the rare case; `name` in lower case."""
        for line in self.lines:
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return b""


@dataclass(slots=True)
class Response:
    """The head of a response. `head` is its status line and the lines that pass, without the blank line."""

    status: int
    head: bytes
    body: Body
    close: bool  # the backend will close its connection afterwards
    upgrade: bytes = b""


class _Names:
    """Header names as they were seen in the wild, and what is special about each; b"" for nothing."""

    def __init__(self, special: Iterable[bytes]) -> None:
        self.special = frozenset(special)
        self.seen: dict[bytes, bytes] = {}

    def learn(self, name: bytes) -> bytes:
        if not TOKEN.fullmatch(name):
            raise Malformed(400, "bad header name")
        lower = name.lower()
        # CGI and WSGI read X_Forwarded_For as X-Forwarded-For: what we vouch for must have one spelling only.
        alias = lower.replace(b"_", b"-") if b"_" in lower else lower
        rule = b"" if alias not in self.special else lower if alias == lower else b"_drop"
        if len(self.seen) < 2000 and len(name) < 64:
            self.seen[name] = rule
        return rule


_request_names = _Names(_REQUEST)
_response_names = _Names(_RESPONSE)
_statuses: dict[bytes, tuple[int, bytes, bool]] = {}  # status lines as they were seen
_hosts: dict[bytes, str] = {}  # Host headers as they were seen


def parse_request(head: bytes) -> Request:
    """Read a request's head, given without its blank line; `Malformed` when there is any doubt."""
    lines = _lines(head)
    try:
        method, target, version = lines[0].split(b" ")
    except ValueError:
        raise Malformed(400, "bad request line") from None
    if version == b"HTTP/1.1":
        minor = 1
    elif version == b"HTTP/1.0":
        minor = 0
    else:
        raise Malformed(505 if version[:5] == b"HTTP/" else 400, "only version 1.1 is spoken here")
    special: dict[bytes, bytes] = {}
    kept = _sort(lines, _request_names, special)
    authority = special.get(b"host")
    if authority is None:
        raise Malformed(400, "no Host")
    host = host_of(authority)
    target = _target(method, target, authority, host)
    connection = special.get(b"connection", b"")
    body = _request_body(special, minor, host)
    request = Request(method, target, minor, host, authority, body, kept, special, len(head), not minor)
    if connection:
        _connection(request, connection)
    return request


def parse_response(head: bytes, method: bytes) -> Response:
    """Read a response's head, given without its blank line, to a request of `method`."""
    lines = _lines(head)
    status, first, old = _statuses.get(lines[0]) or _status(lines[0])
    special: dict[bytes, bytes] = {}
    kept = _sort(lines, _response_names, special)
    bodiless = method == b"HEAD" or status == 304 or status == 204 or status < 200
    body = _response_body(special, bodiless)
    if (status < 200 or status == 204) and special:  # these have no length
        kept = [line for line in kept if line.partition(b":")[0].lower() not in _FRAMING]
    kept.insert(0, first)
    close = type(body) is UntilClose or old
    if b"connection" in special:
        tokens = special[b"connection"].lower()
        close = type(body) is UntilClose or b"close" in tokens or (old and b"keep-alive" not in tokens)
    return Response(status, b"\r\n".join(kept), body, close, special.get(b"upgrade", b""))


def _status(line: bytes) -> tuple[int, bytes, bool]:
    """The status of a status line, the line as we say it, and whether it was HTTP/1.0."""
    found = STATUS.fullmatch(line)
    if not found:
        raise Malformed(503, "bad status line")
    read = int(found[2]), b"HTTP/1.1" + line[8:], found[1] == b"0"
    if len(_statuses) < 256 and len(line) < 64:
        _statuses[line] = read
    return read


def host_of(authority: bytes) -> str:
    """The host name in a Host header: lower case, without port and trailing dot."""
    host = _hosts.get(authority)
    if host is None:
        found = HOST.fullmatch(authority)
        if not found or len(found[1]) > 254 or int(found[2] or 0) > 65535:
            raise Malformed(400, "bad Host")
        host = found[1].decode().lower().rstrip(".")
        if len(_hosts) < 4096:
            _hosts[authority] = host
    return host


def _lines(head: bytes) -> list[bytes]:
    lines = head.split(b"\r\n")
    if head.translate(None, SAFE) != b"\r\n" * (len(lines) - 1):
        raise Malformed(400, "control characters in the head")
    return lines


def _sort(lines: list[bytes], names: _Names, special: dict[bytes, bytes]) -> list[bytes]:
    """The header lines that pass; what the router must know goes to `special` by name."""
    kept = []
    seen = names.seen
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        rule = seen.get(name)
        if rule is None:
            rule = names.learn(name)
        if not colon:
            raise Malformed(400, "a header without a colon")
        if not rule:
            kept.append(line)
            continue
        value = value.strip(b" \t")
        if rule not in special:
            special[rule] = value
            if rule in _FRAMING:
                kept.append(line)
        elif rule in _ONCE:
            raise Malformed(400, f"{rule.decode()} twice")
        else:
            special[rule] += b", " + value
    return kept


def _target(method: bytes, target: bytes, authority: bytes, host: str) -> bytes:
    """The target in origin form. An absolute one must name the same host as the Host header."""
    if not TOKEN.fullmatch(method) or method == b"CONNECT":
        raise Malformed(400, "bad method", host)
    if not target.isascii() or b"\t" in target or b"#" in target:
        raise Malformed(400, "bad target", host)
    if target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return target
    scheme, _, rest = target.partition(b"://")
    named, slash, path = rest.partition(b"/")
    if scheme.lower() not in (b"http", b"https") or named.lower() != authority.lower():
        raise Malformed(400, "bad target", host)
    return slash + path if slash else b"/"


def _length(special: dict[bytes, bytes], host: str = "") -> int | None:
    text = special.get(b"content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise Malformed(400, "bad Content-Length", host)
    return int(text)


def _request_body(special: dict[bytes, bytes], minor: int, host: str) -> Body:
    length = _length(special, host)
    coding = special.get(b"transfer-encoding")
    if coding is None:
        return Length(length or 0)
    if length is not None or not minor:
        raise Malformed(400, "Transfer-Encoding together with Content-Length or HTTP/1.0", host)
    if coding.lower() != b"chunked":
        raise Malformed(501, "only the chunked transfer coding is known", host)
    return Chunked()


def _response_body(special: dict[bytes, bytes], bodiless: bool) -> Body:
    length = _length(special)
    coding = special.get(b"transfer-encoding")
    if coding is not None and (length is not None or coding.lower() != b"chunked"):
        raise Malformed(503, "a body with two lengths")
    if bodiless:
        return Length(0)
    if coding is not None:
        return Chunked()
    return UntilClose() if length is None else Length(length)


def _connection(request: Request, connection: bytes) -> None:
    """Heed the Connection header: keep alive or not, upgrade, and drop the headers that it names."""
    tokens = frozenset(token.strip(b" \t") for token in connection.lower().split(b","))
    request.close = b"close" in tokens or not request.minor
    upgrade = request.special.get(b"upgrade", b"")
    if b"upgrade" in tokens and request.minor and not upgrade.lower().startswith(b"h2"):
        request.upgrade = upgrade
    named = tokens - _FRAMING - {b"close", b"keep-alive", b"upgrade"}
    if named:
        request.lines = [line for line in request.lines if line.partition(b":")[0].lower() not in named]
