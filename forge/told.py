"""What a host tells of a repository, in our words, whichever host it is and however we heard of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.text import storable


@dataclass(frozen=True)
class BranchTold:
    """A branch names another commit; none when it is gone. `before` is empty when that is not told; `files` are those
    that changed, None when that is not told."""

    branch: str
    commit: str
    before: str = ""
    message: str = ""
    author: str = ""
    files: frozenset[str] | None = None


@dataclass(frozen=True)
class PullTold:
    """How it stands with a pull request."""

    number: int
    branch: str
    commit: str
    state: str  # open, closed, merged
    at: datetime | None  # when this became so, as the host dates it
    title: str = ""
    author: str = ""
    from_fork: str = ""
    draft: bool = False
    url: str = ""


@dataclass(frozen=True)
class StatusTold:
    """What somebody at the host says of a commit."""

    commit: str
    context: str
    state: str  # pending, success, failure, error
    at: datetime | None
    description: str = ""
    url: str = ""


@dataclass(frozen=True)
class NothingTold:
    """What starts nothing, and why, in a sentence."""

    why: str


Told = BranchTold | PullTold | StatusTold | NothingTold


class Unreadable(Exception):
    """A body that is not what its host sends: the text says what is missing."""


class Body:
    """A part of a body: asked for what should be there, it finds that or says `Unreadable`. No text of it is trusted
    to be of any length or kind."""

    def __init__(self, found: Any, place: str = "") -> None:
        self._found, self._place = found, place

    def __bool__(self) -> bool:
        return bool(self._found)

    def part(self, *names: str) -> "Body":
        """The object at the end of a path; an empty one where the path ends early."""
        found: Any = self._found
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return Body(found if isinstance(found, Mapping) else {}, ".".join([self._place, *names]).strip("."))

    def parts(self, *names: str) -> "list[Body]":
        """The objects of a list at the end of a path."""
        *above, last = names
        found = self.part(*above)._found.get(last)
        rows = found if isinstance(found, list) else []
        return [Body(row, last) for row in rows if isinstance(row, Mapping)]

    def texts(self, *names: str) -> list[str]:
        """The texts of a list at the end of a path."""
        *above, last = names
        found = self.part(*above)._found.get(last)
        return [storable(row) for row in found if isinstance(row, str)] if isinstance(found, list) else []

    def text(self, *names: str, most: int = 1000) -> str:
        """The text at the end of a path, empty when there is none; what no column can hold is left out or cut."""
        *above, last = names
        found = self.part(*above)._found.get(last)
        return storable(found)[:most] if isinstance(found, str) else ""

    def needed(self, *names: str, most: int = 1000) -> str:
        """As `text`, but it must be there."""
        found = self.text(*names, most=most)
        if not found:
            raise Unreadable(f"It has no {'.'.join(filter(None, [self._place, *names]))}.")
        return found

    def number(self, *names: str) -> int:
        """A number that must be there, from 1 up to what a column can hold."""
        *above, last = names
        found = self.part(*above)._found.get(last)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 < found < 2**31:
            raise Unreadable(f"Its {'.'.join(filter(None, [self._place, *names]))} is no number.")
        return found

    def yes(self, *names: str) -> bool:
        """Whether the value at the end of a path is true."""
        *above, last = names
        return self.part(*above)._found.get(last) is True

    def time(self, *names: str) -> datetime | None:
        """The time at the end of a path, in one of the ways that hosts write it; None when there is none."""
        *above, last = names
        return moment(self.part(*above)._found.get(last))


def moment(found: Any) -> datetime | None:
    """A time as hosts write it: ISO 8601, “2013-12-03 17:15:43 UTC”, or seconds since 1970."""
    try:
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return datetime.fromtimestamp(found, UTC)
        if not isinstance(found, str):
            return None
        read = datetime.fromisoformat(found.replace(" UTC", "+00:00").replace(" +", "+").strip()[:40])
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def first_line(text: str) -> str:
    """What a commit says in short."""
    return text.strip().partition("\n")[0][:500]


def branch_of(ref: str) -> str:
    """The branch that a full ref is of, empty when it is none's."""
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""


def commit_of(text: str) -> str:
    """The commit, empty for the row of noughts by which hosts say that there is none."""
    return text if text.strip("0") else ""
