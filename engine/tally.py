"""Counts of requests by app, release and minute: what a router adds to with each request, and who writes them down
takes out now and then."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Milliseconds: an answer that took up to the first bound counts in the first place, one beyond the last in the last.
BOUNDS = (
    5,
    10,
    20,
    35,
    50,
    75,
    100,
    150,
    200,
    300,
    500,
    750,
    1000,
    1500,
    2000,
    3000,
    5000,
    10_000,
    20_000,
    30_000,
)
TUNNEL = 101  # a request that lasts as long as its connection
TURNED_AWAY = (
    "H80",
    "H84",
)  # maintenance and suspension: somebody wants it so, it says nothing about the app
MOST = 20_000  # counts that are kept while nobody takes them out
FINISHED = 2  # minutes after which nothing is added to one
_PLACES = len(BOUNDS) + 1
_TUNNELS, _ERRORS = _PLACES, _PLACES + 1

Key = tuple[str, int, int]  # app, release, the minute's number since the epoch


@dataclass(frozen=True)
class Count:
    """Of one app, release and minute."""

    requests: int
    errors: int  # answered with 5xx, by the app or for it
    spread: Sequence[int]  # how many took so long, by BOUNDS; without tunnels


class Tally:
    """Adds up in memory. One thread adds at a time, which needs no lock: a router does so with each request. What was
    taken out before is kept beside, so that nothing is ever taken away from under an addition."""

    def __init__(self) -> None:
        self._sums: dict[Key, list[int]] = {}
        self._taken: dict[Key, list[int]] = {}
        self._owed: dict[Key, list[int]] = {}

    def add(self, app: str, release: int, status: int, milliseconds: float, at: float) -> None:
        """Count one request that ended `at`, in seconds since the epoch."""
        sums = self._sums.get((app, release, int(at) // 60))
        if sums is None:
            sums = self._begin((app, release, int(at) // 60))
        sums[bisect_left(BOUNDS, milliseconds) if status != TUNNEL else _TUNNELS] += 1
        if status >= 500:
            sums[_ERRORS] += 1

    def take(self, now: float) -> dict[Key, Count]:
        """All that was counted since the last call. `now` is in seconds since the epoch."""
        found, self._owed = self._owed, {}
        for key, sums in list(self._sums.items()):
            so_far, before = sums.copy(), self._taken.get(key)
            news = so_far if before is None else [a - b for a, b in zip(so_far, before, strict=True)]
            if any(news):
                found[key] = [a + b for a, b in zip(news, found[key], strict=True)] if key in found else news
            self._taken[key] = so_far
            if key[2] < now // 60 - FINISHED:
                del self._sums[key], self._taken[key]
        return {key: Count(sum(n[: _TUNNELS + 1]), n[_ERRORS], n[:_PLACES]) for key, n in found.items()}

    def put_back(self, counts: Mapping[Key, Count]) -> None:
        """Keep what was taken and could not be written down, for the next time. By the one who takes."""
        for key, count in list(counts.items())[:MOST]:
            tunnels = count.requests - sum(count.spread)
            self._owed[key] = [*count.spread, tunnels, count.errors]

    def _begin(self, key: Key) -> list[int]:
        sums = [0] * (_ERRORS + 1)
        if len(self._sums) < MOST:
            self._sums[key] = sums
        return sums


def place(milliseconds: float) -> int:
    """Where in a spread an answer counts that took so long."""
    return bisect_left(BOUNDS, milliseconds)
