"""What may keep a promotion from a stage besides the rights of who asks for it: gates, holds, freezes.

Packages above this one know them; they are asked when a promotion is accepted, and again when a target's turn comes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from accounts.models import User
from core.errors import Conflict
from pipelines.models import Coupling
from releases.models import Release


@dataclass(frozen=True)
class Attempt:
    """A release of `source` that is to be released on `target`. With an `override`, the reason for it, whoever manages the
    pipeline passes what would keep others out."""

    source: Coupling
    release: Release
    target: Coupling
    by: User | None
    automatic: bool = False
    override: str = ""


Guard = Callable[[Attempt], Iterable[str]]
_guards: list[Guard] = []


def follow(guard: Guard) -> None:
    """Have `guard` asked about each attempt. It answers with the reasons against it, in sentences; none: let it pass."""
    _guards.append(guard)


def against(attempt: Attempt) -> list[str]:
    """Every reason against the attempt; empty when nothing is."""
    return [reason for guard in _guards for reason in guard(attempt)]


def demand_open(attempts: Sequence[Attempt]) -> None:
    """`Conflict` with the reasons, each once, when something is against one of the attempts."""
    reasons = list(dict.fromkeys(reason for attempt in attempts for reason in against(attempt)))
    if reasons:
        raise Conflict(" ".join(reasons), id="held")
