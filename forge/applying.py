"""What becomes of news, whether a hook brought it or a look at the repository found it: rows, and whoever follows.

News that is late never undoes what is newer: a host dates pull requests and statuses, and of branches it says what
they named before.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from core import live
from forge.auto_deploys import look_again
from forge.events import PullRequestMoved, Pushed, tell
from forge.models import CommitStatus, PullRequest, Repository
from forge.told import BranchTold, NothingTold, PullTold, StatusTold, Told

REMEMBERED = 10  # commits that a branch named before
BRANCHES = 200  # of which that is remembered
LONGEST_NAME = 255
SKEW = timedelta(minutes=2)  # what a look finds is dated earlier: the clocks of hosts are not ours


def apply(repository: Repository, told: Iterable[Told]) -> list[str]:
    """Take the news, in the caller's transaction, which holds the repository's row. Returns what came of it."""
    return [sentence for one in told for sentence in _apply(repository, one)]


def _apply(repository: Repository, told: Told) -> list[str]:
    if isinstance(told, BranchTold):
        return _branch(repository, told)
    if isinstance(told, PullTold):
        return _pull_request(repository, told)
    if isinstance(told, StatusTold):
        return _status(repository, told)
    assert isinstance(told, NothingTold)
    return [told.why]


# --- branches ---------------------------------------------------------------------------------------------------------


def _branch(repository: Repository, told: BranchTold) -> list[str]:
    name, known = told.branch, repository.heads.get(told.branch, "")
    if len(name) > LONGEST_NAME:
        return [f"The name of the branch is longer than {LONGEST_NAME} characters, which no app can have."]
    if known == told.commit:
        return ["Known already."]
    past = repository.past.get(name, [])
    if told.commit in past and told.before != known:
        return [f"It came late: {name} has moved on since."]
    _remember(repository, told, [one for one in (told.before, known) if one and one != told.commit])
    return tell(
        Pushed(
            pipeline=repository.pipeline,
            branch=name,
            commit=told.commit,
            message=told.message,
            author=told.author,
            by=_answers(repository),
            files=told.files,
        )
    ) or ["Nothing waits for it."]


def _remember(repository: Repository, told: BranchTold, gone: list[str]) -> None:
    """Note what the branch names now, and named before."""
    heads, past = dict(repository.heads), dict(repository.past)
    heads.pop(told.branch, None)
    if told.commit:
        heads[told.branch] = told.commit
    before = past.pop(told.branch, [])
    past[told.branch] = list(dict.fromkeys([*before, *gone]))[-REMEMBERED:]
    repository.heads, repository.past = heads, dict(list(past.items())[-BRANCHES:])
    repository.save(update_fields=["heads", "past"])


# --- pull requests ----------------------------------------------------------------------------------------------------


def _pull_request(repository: Repository, told: PullTold) -> list[str]:
    if len(told.branch) > LONGEST_NAME:
        return [f"The name of its branch is longer than {LONGEST_NAME} characters, which no app can have."]
    found = PullRequest.objects.filter(repository=repository, number=told.number).first()
    at = told.at or timezone.now() - SKEW
    if found and _is_late(found, told):
        _fill(found, told)
        return [f"It came late: #{told.number} has moved on since."]
    row = found or PullRequest(repository=repository, number=told.number, created_at=at)
    values = {
        "title": told.title or row.title,
        "branch": told.branch,
        "commit": told.commit,
        "author": told.author or row.author,
        "from_fork": told.from_fork,
        "draft": told.draft,
        "state": told.state,
        "url": _link(told.url) or row.url,
    }
    changed = found is None or any(getattr(row, name) != value for name, value in values.items())
    for name, value in {**values, "updated_at": max(at, row.updated_at) if found else at}.items():
        setattr(row, name, value)
    row.save()
    if not changed:
        return ["Known already."]
    live.tell(repository.pipeline.topic)
    told_by = PullRequestMoved(repository.pipeline, row, by=_answers(repository))
    return tell(told_by) or ["Nothing waits for it."]


def _fill(row: PullRequest, told: PullTold) -> None:
    """Note what we did not know, though it is late: a look at the repository finds no titles."""
    if not row.title and told.title:
        row.title, row.author, row.url = told.title, told.author, _link(told.url)
        row.save(update_fields=["title", "author", "url"])


def _is_late(row: PullRequest, told: PullTold) -> bool:
    """Whether what is told was so before what we know. What is merged stays merged."""
    if row.state == PullRequest.State.MERGED and told.state != PullRequest.State.MERGED:
        return True
    return told.at is not None and told.at < row.updated_at


# --- what others say of commits ---------------------------------------------------------------------------------------


def _status(repository: Repository, told: StatusTold) -> list[str]:
    at = told.at or timezone.now()
    row, made = CommitStatus.objects.get_or_create(
        repository=repository,
        commit=told.commit,
        context=told.context,
        defaults={"state": told.state, "updated_at": at},
    )
    if not made and at < row.updated_at:
        return [f"It came late: {told.context} has said more since."]
    row.state, row.updated_at, row.description = told.state, at, told.description
    row.url = _link(told.url)
    row.save()
    live.tell(repository.pipeline.topic)
    live.wake_conductor()
    said = f"{told.context} is {told.state} for {told.commit[:7]}."
    return [said, *look_again(repository.pipeline, told.commit)]


def _link(url: str) -> str:
    """An address that a page may link to; empty for what is none."""
    return url if url.startswith(("https://", "http://")) else ""


def _answers(repository: Repository) -> User | None:
    """Who answers for what comes of it."""
    return repository.by if repository.by and repository.by.is_active else None
