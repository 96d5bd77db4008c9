"""How many connections the SSH server has."""

from collections import Counter
from typing import Protocol

STRANGERS, STRANGERS_OF_ONE = 128, 32  # connections that have not shown a key yet: of all, and of one address
GUESTS = 1000  # connections that have


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """End it at once."""
        ...


class Limits:
    """Knows and counts connections. Of use on one loop only."""

    def __init__(self) -> None:
        self.connections: set[Abortable] = set()
        self._strangers: Counter[str] = Counter()
        self._guests = 0

    def enter(self, address: str) -> bool:
        """Whether one more from `address` may come."""
        if self._strangers.total() >= STRANGERS or self._strangers[address] >= STRANGERS_OF_ONE:
            return False
        self._strangers[address] += 1
        return True

    def known(self, address: str) -> bool:
        """It has shown a key: whether it may stay, as one of the guests."""
        self.leave(address, guest=False)
        self._guests += 1
        return self._guests <= GUESTS

    def leave(self, address: str, *, guest: bool) -> None:
        """It has gone."""
        if guest:
            self._guests -= 1
        else:
            self._strangers[address] -= 1
            self._strangers += Counter()  # without those of whom there is none

    def end_all(self) -> None:
        """End every connection."""
        for each in tuple(self.connections):
            each.abort()
