"""What happens to a pipeline's code, told to whoever acts on it: tests, review apps, automatic deploys.

A listener is called in the transaction that takes the news, and answers in sentences what it has done with it
("Started test run 12."): they are kept with the hook that brought the news. It may be told the same twice. What it
raises undoes all of it, so a `Refusal` of its own is for it to catch and to say.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from accounts.models import User
from forge.models import PullRequest
from pipelines.models import Pipeline


@dataclass(frozen=True)
class Pushed:
    """A branch of the pipeline's code names another commit, or is gone when `commit` is empty. `by` is who answers for
    what comes of it: who pushed to us, or who connected the repository. `files` are the names of those that changed,
    None when that is not known."""

    pipeline: Pipeline
    branch: str
    commit: str
    message: str = ""
    author: str = ""
    by: User | None = None
    files: frozenset[str] | None = None


@dataclass(frozen=True)
class PullRequestMoved:
    """A pull request was opened, got commits, changed its mind, or was closed: as its row says now."""

    pipeline: Pipeline
    pull_request: PullRequest
    by: User | None = None


News = Pushed | PullRequestMoved
Listener = Callable[[News], Iterable[str]]
_listeners: list[Listener] = []


def follow(listener: Listener) -> None:
    """Have `listener` called with all news."""
    _listeners.append(listener)


def tell(news: News) -> list[str]:
    """Tell everybody. Returns what they did."""
    return [sentence for listener in _listeners for sentence in listener(news)]
