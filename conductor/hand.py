"""What a conductor has in hand: the rows that it has claimed, and the threads that move them forward."""

import threading
from collections.abc import Callable, Iterable

from django.conf import settings
from django.db.models import Q

from conductor import work
from conductor.turns import Turns
from conductor.work import Held, Key, Kind
from core.errors import LeaseLost
from releases.models import Build


class Hand:
    """All that is in hand. Builds have a thread each, everything else takes turns in a few. `freed` is called whenever a
    row has left it. For any thread."""

    def __init__(self, kinds: Iterable[Kind], *, freed: Callable[[], None]) -> None:
        self._freed = freed
        self._turns = {kind.name: kind.turns for kind in kinds}
        self._held: dict[Key, Held] = {}
        self._lock = threading.Lock()
        self._builders: Turns[Key] = Turns(self._turn, threads=settings.BUILD_SLOTS, name="build")
        self._movers: Turns[Key] = Turns(self._turn, threads=6, name="move")
        # Providers of add-ons take their time.
        self._askers: Turns[Key] = Turns(self._turn, threads=4, name="ask")

    def start(self) -> None:
        """Begin."""
        for turns in (self._builders, self._movers, self._askers):
            turns.start()

    def stop(self) -> None:
        """End the threads, each after the turn it is in."""
        for turns in (self._builders, self._movers, self._askers):
            turns.stop()

    def held(self) -> list[Held]:
        """What is in hand now."""
        with self._lock:
            return list(self._held.values())

    def take(self, held: Held) -> None:
        """Move a row forward that was just claimed."""
        with self._lock:
            self._held[held.key] = held
        self.go_on(held)

    def go_on(self, held: Held) -> None:
        """Something has happened that `held` may have waited for."""
        self._turns_of(held.key).ask(held.key)

    def drop(self, *, led: bool = False) -> list[Held]:
        """Work on none of it any more, or on none that is for who leads. Returns what was in hand."""
        in_hand = self.held()
        for held in in_hand:
            if held.kind.led or not led:
                held.lost.set()
        return in_hand

    def renew(self) -> None:
        """Renew every lease; a row that is lost is dropped by whoever works on it."""
        for held in self.held():
            try:
                held.job.renew(seconds=settings.LEASE_SECONDS)
            except LeaseLost:
                if held in self.held():
                    held.lost.set()

    def note_cancelled(self) -> None:
        """Tell builds that are to end: cancelled, or of an app that is gone or suspended."""
        in_hand = [held for held in self.held() if held.kind.name == "build"]
        if not in_hand:
            return
        halted = Q(app__destroyed_at__isnull=False) | Q(app__suspended_at__isnull=False)
        over = Q(cancel_asked=True) | halted
        asked = Build.objects.filter(over, pk__in=[held.job.pk for held in in_hand])
        cancelled = set(asked.values_list("pk", flat=True))
        for held in in_hand:
            if held.job.pk in cancelled:
                held.cancel.set()

    def _turn(self, key: Key) -> None:
        """Move one row in hand forward."""
        with self._lock:
            held = self._held.get(key)
        if held is None:
            return
        if held.lost.is_set():
            return self._release(held)
        wait = None
        try:
            wait = work.run(held)
        finally:
            if wait is None:
                self._release(held)
        if wait is not None:
            self._turns_of(key).ask_in(key, wait)

    def _release(self, held: Held) -> None:
        """Have it in hand no more. A row that was lost, and claimed again meanwhile, is in hand by its new lease."""
        with self._lock:
            if self._held.get(held.key) is held:
                del self._held[held.key]
        self._freed()

    def _turns_of(self, key: Key) -> Turns[Key]:
        return {"build": self._builders, "ask": self._askers}.get(self._turns[key[0]], self._movers)


def put_back(in_hand: Iterable[Held]) -> None:
    """Free what has not ended, for the next conductor to go on at once."""
    for held in in_hand:
        try:
            held.job.put_back(seconds=0)
        except LeaseLost:
            continue
