"""Requests for apps that sleep: they wait here while somebody has the app's dynos started."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.router.limits import Limits
from engine.router.table import Entry

if TYPE_CHECKING:
    from engine.router.exchange import Exchange

log = logging.getLogger(__name__)
Wake = Callable[[str], None]


def nobody(app: str) -> None:
    """Wakes no app."""


class WaitingRoom:
    """Bounded in number, in all and for each app; how long one may wait is its own affair. On the router's loop only.

    `wake(app)` is called for each that comes, and must be quick."""

    def __init__(self, limits: Limits, wake: Wake = nobody) -> None:
        self._limits = limits
        self._wake = wake
        self._waiting: dict[str, list[Exchange]] = {}
        self._count = 0

    def enter(self, exchange: "Exchange", app: str) -> bool:
        """Have a request wait; False when there is no room, or nobody to wake the app."""
        others = self._waiting.get(app, [])
        if len(others) >= self._limits.waiting or self._count >= self._limits.waiting_in_all:
            return False
        try:
            self._wake(app)
        except Exception:  # whatever ails that side, this one answers
            log.exception("Could not have %s woken", app)
            return False
        self._waiting.setdefault(app, others).append(exchange)
        self._count += 1
        return True

    def leave(self, exchange: "Exchange", app: str) -> None:
        """One waits no more."""
        here = self._waiting.get(app, [])
        if exchange in here:
            here.remove(exchange)
            self._count -= 1
        if not here:
            self._waiting.pop(app, None)

    def close(self) -> None:
        """Nobody will be woken any more."""
        for app in list(self._waiting):
            self.look(app, None)

    def look(self, app: str, entry: Entry | None) -> None:
        """The app has another route, or none: let those go on who need not wait any more."""
        if entry is not None and entry.route.asleep and not entry.pools:
            return
        for exchange in self._waiting.pop(app, ()):
            self._count -= 1
            exchange.go_on(entry)
