"""Commits as git stores them: bytes of any encoding, written by anyone."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from core.text import storable

_PERSON = re.compile(r"(.*?) ?<([^<>]*)> ?(-?\d+)?.*", re.DOTALL)
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")  # controls, those of direction too


@dataclass(frozen=True)
class Commit:
    """A commit as people read it."""

    sha: str
    author: str
    author_email: str
    at: datetime | None  # when it was committed
    message: str  # its first line

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.sha[:7]


def read_commit(sha: str, raw: bytes) -> Commit:
    """The commit that `git cat-file commit` printed. What is broken in it is empty or replaced, never an error."""
    head, _, message = raw.partition(b"\n\n")
    fields = dict(_fields(head))
    encoding = fields.get(b"encoding", b"utf-8").decode("ascii", "replace")
    author, email, _ = _person(fields.get(b"author", b""), encoding)
    *_, at = _person(fields.get(b"committer", b""), encoding)
    first = next((line for line in _text(message, encoding).splitlines() if line.strip()), "")
    return Commit(sha, author, email, moment(at), clean(first))


def moment(seconds: str) -> datetime | None:
    """The time that git wrote as seconds since the epoch; None when it is no time that a calendar has."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = [line.partition(b" ") for line in head.split(b"\n") if not line.startswith(b" ")]
    return [(name, value) for name, _, value in reversed(lines)]  # the first of a name counts


def _person(value: bytes, encoding: str) -> tuple[str, str, str]:
    found = _PERSON.fullmatch(_text(value, encoding))
    return (clean(found[1]), clean(found[2]), found[3] or "") if found else ("", "", "")


def _text(value: bytes, encoding: str) -> str:
    try:
        return value.decode(encoding, "replace")
    except (LookupError, ValueError):  # no encoding, or one of Python's own that replaces nothing
        return value.decode("utf-8", "replace")


def clean(text: str) -> str:
    """`text` on one line and fit for a row, without what would move a cursor or turn the direction of writing."""
    return str(storable(_UNFIT.sub(" ", text))).strip()
