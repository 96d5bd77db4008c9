"""What may keep new code out of an app besides the rights of who brings it: a stage that takes promotions only.

Packages above this one know stages; they are asked when code is pushed, a build or a release of a slug is asked for,
and again when the build is about to be released.
"""

from collections.abc import Callable, Iterable

from accounts.models import User
from apps.models import App
from core.errors import Refusal

Door = Callable[[App, User | None], Iterable[str]]
_doors: list[Door] = []


def follow(door: Door) -> None:
    """Have `door` asked about each app that gets code. It answers with the reasons against that, in sentences for
    `by`, the second argument; none: let it in."""
    _doors.append(door)


def against(app: App, by: User | None) -> list[str]:
    """Every reason why the app takes no code now but by promotion; empty when there is none."""
    return [reason for door in _doors for reason in door(app, by)]


def demand_open(app: App, *, by: User | None) -> None:
    """`Refusal` with the reasons when the app takes no code now but by promotion."""
    reasons = against(app, by)
    if reasons:
        raise Refusal(" ".join(reasons), id="promotion_only")
