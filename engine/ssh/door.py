"""What the SSH server is told by those who know people and dynos."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from engine.rendezvous import Guest


class Visit(NamedTuple):
    """A command that runs in a dyno: its guest, and its exit status, waited for; None when it has none."""

    guest: Guest
    status: Callable[[], int | None]


class Ticket(Protocol):
    """What one person may open in one dyno with one key. Methods block, and are for any thread."""

    @property
    def key(self) -> bytes:
        """The public key as SSH writes it: it alone opens."""
        ...

    def open(self, command: str, *, tty: bool, env: Mapping[str, str], about: str = "") -> Visit:
        """Run `command` in the dyno, or a shell where it is empty. What happens many times `about` the same thing is noted
        once. `LookupError` says to the person why not: their right is looked at each time."""
        ...


class Door(Protocol):
    """Who knows the tickets."""

    def find(self, user: str, address: str) -> Ticket | None:
        """The ticket for this user name, which says nothing about who comes from `address` yet. Blocks."""
        ...
