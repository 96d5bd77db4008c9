"""What tests say of a commit, for whoever waits for them here; packages above this one know tests, and are asked."""

from collections.abc import Callable
from typing import Protocol

from pipelines.models import Pipeline


class Judgement(Protocol):
    """An answer: `state` is none, pending, passed or failed; `words` are for people. `cancelled` is none that would have
    been more."""

    @property
    def state(self) -> str: ...

    @property
    def words(self) -> str: ...

    @property
    def cancelled(self) -> bool: ...


Judge = Callable[[Pipeline, str], Judgement]
_judges: list[Judge] = []
_WORST = {"failed": 0, "pending": 1, "passed": 2, "none": 3}


def follow(judge: Judge) -> None:
    """Have `judge` asked about commits."""
    _judges.append(judge)


def judge(pipeline: Pipeline, commit: str) -> Judgement | None:
    """What all say together: the worst of those that say anything; none when nobody does, None when there is nobody."""
    said = [one(pipeline, commit) for one in _judges]
    return min(said, key=lambda answer: (_WORST[answer.state], not answer.cancelled), default=None)
