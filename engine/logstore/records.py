"""What one line looks like on disk: `<crc32> <microseconds> <source> <dyno> <text>` and a newline.

The text is kept byte for byte. It can't hold a newline, so what an app writes can never look like a record of its own,
and the source, the dyno and the time stay the platform's (promise I-24).
"""

import re
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from engine.spec import Line

TEXT_BYTES = 10_000  # a longer line is cut into pieces of this many bytes
_new = object.__new__
_UNFIT = re.compile(r"[^!-~]+")


class Entry(NamedTuple):
    """A line and its number in its stream."""

    offset: int
    line: Line


def encode(lines: Sequence[Line]) -> list[bytes]:
    """One record for each line; a text with newlines or of more than `TEXT_BYTES` becomes several."""
    records = []
    at, source, dyno, head = -1.0, "", "", b""
    for line in lines:
        if (
            line.at != at or line.source != source or line.dyno != dyno
        ):  # most often it is as in the line before
            at, source, dyno = line.at, line.source, line.dyno
            head = b"%d %s" % (round(at * 1e6), _head(source, dyno))
        for text in (line.text,) if _fits(line.text) else _pieces(line.text):
            body = head + text
            records.append(b"%08x %s\n" % (crc32(body), body))
    return records


def decode(record: bytes) -> Line:
    """The line that a record, without its newline, was made of."""
    at, source, dyno, text = fields(record)
    line = _new(Line)  # the constructor of a frozen dataclass takes three times as long
    line.__dict__.update(source=source, dyno=dyno, text=text, at=at)
    return line


def fields(record: bytes) -> tuple[float, str, str, bytes]:
    """Time, source, dyno and text of a record."""
    _, at, source, dyno, text = record.split(b" ", 4)
    return int(at) / 1e6, _word(source), _word(dyno), text


def entries(first: int, records: Sequence[bytes]) -> list[Entry]:
    """`records` as entries, the first of which has the number `first`."""
    return [Entry(first + i, decode(record)) for i, record in enumerate(records)]


def is_whole(record: bytes) -> bool:
    """Whether a record, without its newline, is what was written."""
    try:
        return len(record.split(b" ", 4)) == 5 and int(record[:8], 16) == crc32(record[9:])
    except ValueError:
        return False


def texts(records: Sequence[bytes]) -> bytes:
    """The texts of `records`, each with a newline after it."""
    return b"".join([record.split(b" ", 4)[4] + b"\n" for record in records])


def gone(first: int, last: int) -> bytes:
    """A record, without its newline, that stands for lines which the stream has outgrown."""
    text = f"Error L11 (Tail buffer overflow): {last - first + 1} messages dropped, lines {first} to {last}."
    return encode([Line("heroku", "logplex", text.encode(), time.time())])[0][:-1]


def _fits(text: bytes) -> bool:
    return len(text) <= TEXT_BYTES and b"\n" not in text


def _pieces(text: bytes) -> Iterator[bytes]:
    for part in text.split(b"\n"):
        yield part[:TEXT_BYTES]
        for start in range(TEXT_BYTES, len(part), TEXT_BYTES):
            yield part[start : start + TEXT_BYTES]


@lru_cache(4096)
def _head(source: str, dyno: str) -> bytes:
    return f"{_UNFIT.sub('_', source) or '-'} {_UNFIT.sub('_', dyno) or '-'} ".encode()


@lru_cache(4096)
def _word(text: bytes) -> str:
    return text.decode("ascii", "replace")


def in_parts(records: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    """`records` in order, in lists of about `size` bytes."""
    part: list[bytes] = []
    room = size
    for record in records:
        part.append(record)
        room -= len(record)
        if room <= 0:
            yield part
            part, room = [], size
    if part:
        yield part
