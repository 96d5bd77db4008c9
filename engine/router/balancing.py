"""A host that several apps share, as the router has it: whose turn it is, and who stays with whom."""

from itertools import accumulate
from random import choices
from typing import TYPE_CHECKING

from engine import balancing
from engine.balancing import Member
from engine.router.wire import Request

if TYPE_CHECKING:
    from engine.router.table import Entry

_NAME = balancing.COOKIE.encode()


class Balancer:
    """Draws the app that a request goes to. On the router's loop only."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._entries: dict[str, Entry] = {}  # by app
        self._drawn: list[Entry] = []
        self._weights: list[int] = []  # each with those before it
        self._stuck: dict[bytes, Entry] = {}  # by what names it
        self._keys: dict[str, str] = {}  # of apps that visitors stay with

    def put(self, entry: "Entry") -> None:
        """An app has a stake in it, and another route than it had."""
        self._entries[entry.route.app] = entry
        self._count()

    def leave(self, app: str) -> bool:
        """An app has no stake in it any more; whether nobody has."""
        self._entries.pop(app, None)
        self._count()
        return not self._entries

    def _count(self) -> None:
        stakes = {app: entry.route.stake_in(self._host) for app, entry in self._entries.items()}
        members = {
            app: Member(stake, balancing.rank(self._entries[app].route))
            for app, stake in stakes.items()
            if stake is not None
        }
        found = balancing.drawn(members)
        self._drawn = [self._entries[app] for app in found]
        self._weights = list(accumulate(stake.weight for stake in found.values()))
        self._stuck = {stake.key.encode(): self._entries[app] for app, stake in found.items() if stake.sticky}
        self._keys = {app: stake.key for app, stake in found.items() if stake.sticky}

    def draw(self, request: Request) -> "tuple[Entry | None, str]":
        """Who answers, None when nobody has weight; and what is to name it to a visitor who stays with it from now on."""
        for key in stuck_with(request) if self._stuck else ():
            if key in self._stuck:
                return self._stuck[key], ""
        if not self._drawn:
            return None, ""
        (entry,) = choices(self._drawn, cum_weights=self._weights)
        return entry, self._keys.get(entry.route.app, "")


def stuck_with(request: Request) -> list[bytes]:
    """What a request's cookies say of whom it stays with."""
    pairs = [
        pair.strip().partition(b"=")
        for line in request.lines
        if line[:7].lower() == b"cookie:"
        for pair in line[7:].split(b";")
    ]
    return [value for name, _, value in pairs if name == _NAME]
