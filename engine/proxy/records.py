"""What HAProxy reports of a request, and the router's line that says the same: in the words of the embedded router."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from engine.router import pages
from engine.router.lines import quoted

# How HAProxy says who ended a request, and when; `engine.proxy.config.RECORD` has the fields.
ENDED = {
    b"SC": "H21", b"sC": "H19", b"SQ": "H11", b"sQ": "H11", b"SH": "H13", b"sH": "H12", b"SD": "H18", b"sD": "H15",
    b"PH": "H17", b"PD": "H17", b"PR": "H26", b"CD": "H27", b"cD": "H28", b"CH": "H27", b"cH": "H28", b"CC": "H27",
    b"cC": "H28", b"CQ": "H27", b"cQ": "H28", b"CR": "H27", b"cR": "H28", b"SR": "H13", b"DC": "H21", b"DH": "H13",
    b"DD": "H18", b"RC": "H99", b"RH": "H99", b"RQ": "H99", b"RR": "H99", b"KH": "H99", b"KD": "H18", b"KC": "H99",
}  # fmt: skip
FIELDS = 15
TUNNEL = 101
_CLIENT_LEFT = (b"CD", b"SD", b"--")  # how a tunnel ends when nobody is at fault


def frames(buffer: bytearray) -> Iterator[bytes]:
    """The records at the start of `buffer`, each behind its length, which are taken out of it. `ValueError` when it
    holds anything else."""
    at = 0
    while (space := buffer.find(b" ", at, at + 8)) > 0:
        end = space + 1 + int(buffer[at:space])
        if end > len(buffer):
            break
        yield bytes(buffer[space + 1 : end])
        at = end
    del buffer[:at]


@dataclass(frozen=True)
class Record:
    """One request of an app."""

    app: str
    release: int  # that answered, or should have; 0 where that is not known
    code: str  # what went wrong, in the router's words
    status: int
    milliseconds: int
    line: bytes  # for the app's log


def read(record: bytes) -> Record | None:
    """What a record says; None for a request that was no app's."""
    fields = record.split(b" ", FIELDS - 1)
    if len(fields) != FIELDS or fields[0] == b"-":
        return None
    state, ended, status, sent, head, headers, connect, total, server, tls, id, method, host, path, fwd = (
        fields
    )
    place, _, why = state.partition(b".")
    app, _, current = place.partition(b"@")
    dyno, _, version = _server(server)
    code = _code(why, ended, status)
    number, start = int(status), b"at=info"
    if code:
        what = pages.fault(code)
        number = what.status if not (code == "H15" and number == TUNNEL) else 503
        start = b'at=%b code=%b desc="%b"' % (what.at.encode(), code.encode(), what.words.encode())
    connected = max(0, int(connect))
    text = (
        b"%b method=%b path=%b host=%b request_id=%b fwd=%b dyno=%b connect=%dms service=%dms status=%d "
        b"bytes=%d protocol=%b"
        % (
            start,
            method,
            quoted(path),
            host,
            id,
            quoted(fwd),
            dyno,
            connected,
            max(0, int(total) - connected),
            number,
            _body(int(sent), head, headers, status),
            b"https" if tls == b"1" else b"http",
        )
    )
    release = int(version or current or 0)
    return Record(app.decode(), release, code, number, max(connected, int(total)), text)


def _server(name: bytes) -> tuple[bytes, bytes, bytes]:
    """Dyno, id and version in a server's name; empty for those that are not known, or for no server."""
    if name[:1] == b"<":
        return b"", b"", b""
    dyno, _, rest = name.partition(b":")
    id, _, version = rest.partition(b":")
    return dyno, id, version if version.isdigit() else b""


def _code(why: bytes, ended: bytes, status: bytes) -> str:
    if ended == b"LR":
        return why.decode()
    if status == b"101":
        return "" if ended in _CLIENT_LEFT else "H15"
    return ENDED.get(ended, "")


def _body(sent: int, head: bytes, headers: bytes, status: bytes) -> int:
    """How many bytes of an answer are its body. HAProxy counts the parts of a head as it keeps them: names and values,
    and 21 bytes beside the words of the status line."""
    if head == b"-":
        return 0  # its own words
    names_and_values = int(head) - 2 - 4 * int(headers)
    return max(0, sent - names_and_values - 21 - len("HTTP/1.1200") - _phrase(status))


@lru_cache(maxsize=256)
def _phrase(status: bytes) -> int:
    try:
        return len(HTTPStatus(int(status)).phrase)
    except ValueError:
        return 0
