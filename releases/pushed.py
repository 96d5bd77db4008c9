"""What was pushed to apps here, told to whoever wants to know, once it is in the repository for good."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from accounts.models import User
from apps.models import App


@dataclass(frozen=True)
class Moved:
    """A branch of an app's own repository names another commit; no commit when it is gone."""

    app: App
    branch: str
    commit: str
    before: str
    by: User


Listener = Callable[[Moved], None]
_listeners: list[Listener] = []


def follow(listener: Listener) -> None:
    """Have `listener` called with each branch that a push has moved. It may be told late, never twice."""
    _listeners.append(listener)


def tell(moves: Iterable[Moved]) -> None:
    """Tell everybody."""
    for move in moves:
        for listener in _listeners:
            listener(move)
