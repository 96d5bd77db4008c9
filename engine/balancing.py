"""Hosts that several apps share: which of them a request goes to. Both routers go by what is said here."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from engine.spec import Route, Stake

COOKIE = "slipway-lb"  # names the app that a visitor stays with
LOTS = 100
ANSWERS, ASLEEP, AWAY = range(3)  # the ranks of members
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Member:
    """An app that has a stake in a host, and whether it can answer."""

    stake: Stake
    rank: int


def rank(route: Route) -> int:
    """How good an app is to send requests to: those that sleep come after those that answer, and then the others, which
    at least can say why they don't."""
    if route.maintenance:
        return AWAY
    return ANSWERS if route.backends else ASLEEP if route.asleep else AWAY


def drawn(members: Mapping[Key, Member]) -> dict[Key, Stake]:
    """Those that requests go to: with weight, and of the best rank that there is."""
    heavy = {key: member for key, member in members.items() if member.stake.weight > 0}
    best = min((member.rank for member in heavy.values()), default=ANSWERS)
    return {key: member.stake for key, member in heavy.items() if member.rank == best}


def lots(weights: Mapping[Key, int]) -> list[Key]:
    """As many lots as there are, each with what it is for, in proportion to the weights, and one for each at least as far
    as they go. The same weights always make the same list."""
    found: list[Key] = []
    left = sum(weights.values())
    for key, weight in sorted(weights.items(), key=lambda each: (each[1], str(each[0]))):
        free = LOTS - len(found)
        found += [key] * min(free, max(1, round(weight * free / left)))
        left -= weight
    return found


def cookie(key: str, *, secure: bool) -> str:
    """The value of the Set-Cookie header that has a visitor stay with an app."""
    return f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
