"""Looking at connected repositories that send no hooks, or whose hooks may get lost: what is new there is news."""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import activity
from core.errors import EngineError, Refusal
from forge import credentials, hosts
from forge.applying import apply
from forge.models import PullRequest, Repository
from forge.told import BranchTold, PullTold, Told
from releases import remotes

log = logging.getLogger(__name__)

PATTERNS = ("refs/heads/*", "refs/pull/*/head", "refs/merge-requests/*/head")
PULL = re.compile(r"refs/(?:pull|merge-requests)/(\d{1,9})/head")
KEPT_PULLS = 300  # the newest numbers
ASKED = 20  # pull requests that a host's API is asked about one by one
LONGEST_SECONDS = 3600.0  # between two looks at a repository that can't be read


@dataclass(frozen=True)
class View:
    """What a look found."""

    branches: Mapping[str, str]
    pulls: Mapping[str, str]
    told: list[PullTold] | None  # by the host's API; None without one


def due(now: datetime) -> list[UUID]:
    """The repositories whose turn has come, those that waited longest first."""
    rows = Repository.objects.filter(polls=True, polled_at__lt=now - timedelta(seconds=settings.POLL_SECONDS))
    found = rows.order_by("polled_at").values_list("pk", "polled_at", "failures")[:500]
    return [pk for pk, polled_at, failures in found if polled_at and now >= polled_at + _pause(failures)]


def _pause(failures: int) -> timedelta:
    return timedelta(seconds=min(settings.POLL_SECONDS * 2 ** min(failures, 10), LONGEST_SECONDS))


def look(repository_id: UUID) -> list[str]:
    """Look at one repository, and tell what is new. Waits for its host, outside of any transaction. Returns what came
    of it."""
    now = timezone.now()
    turn = Repository.objects.filter(
        pk=repository_id, polls=True, polled_at__lt=now - timedelta(seconds=settings.POLL_SECONDS / 2)
    )
    if not turn.update(polled_at=now):  # another was faster
        return []
    repository = Repository.objects.get(pk=repository_id)
    try:
        view = view_of(repository)
    except (Refusal, EngineError) as fault:
        rows = Repository.objects.filter(pk=repository.pk)
        rows.update(error=str(fault)[:300], failures=F("failures") + 1)
        return []
    return _take(repository, view)


def view_of(repository: Repository) -> View:
    """What there is now; `Refusal` or `EngineError` when that can't be found out."""
    listed = remotes.look(repository.url, *PATTERNS, authorization=credentials.header_of(repository))
    api = hosts.api_of(repository)
    return View(listed.branches, pulls_of(listed), None if api is None else _of_api(repository, api))


def pulls_of(listed: remotes.Listed) -> dict[str, str]:
    """{number: commit} of the newest pull requests that a repository has refs of."""
    found = {match[1]: sha for name, sha in listed.refs.items() if (match := PULL.fullmatch(name))}
    newest = sorted(found, key=int, reverse=True)[:KEPT_PULLS]
    return {number: found[number] for number in newest}


def _of_api(repository: Repository, api: hosts.Api) -> list[PullTold]:
    """What the API tells: those that are open, and what became of those that we take for open."""
    told = api.open_pulls()
    seen = {one.number for one in told}
    ours = PullRequest.objects.filter(repository=repository, state=PullRequest.State.OPEN)
    gone = ours.exclude(number__in=seen).values_list("number", flat=True)[:ASKED]
    return [*told, *(one for number in gone if (one := api.pull(number)))]


def _take(repository: Repository, view: View) -> list[str]:
    with transaction.atomic(), activity.coming("poll"):
        row = (
            Repository.objects.select_for_update(of=("self",))
            .filter(pk=repository.pk, url=repository.url)
            .first()
        )
        if row is None:
            return []
        if row.error or row.failures:
            row.error, row.failures = "", 0
            row.save(update_fields=["error", "failures"])
        news = [*_branches(row, view), *_pulls(row, view)]
        if dict(view.pulls) != row.pulls:
            row.pulls = dict(view.pulls)
            row.save(update_fields=["pulls"])
        return apply(row, news)


def _branches(row: Repository, view: View) -> list[Told]:
    """The branches that name another commit than when last looked at."""
    found: list[Told] = [
        BranchTold(name, sha, before=row.heads.get(name, ""))
        for name, sha in view.branches.items()
        if row.heads.get(name) != sha
    ]
    gone = [name for name in row.heads if name not in view.branches]
    return found + [BranchTold(name, "", before=row.heads[name]) for name in gone]


def _pulls(row: Repository, view: View) -> Iterable[Told]:
    if view.told is not None:
        return view.told
    return [*_moved(row, view), *_closed(row, view)]


def _moved(row: Repository, view: View) -> list[PullTold]:
    """Pull requests that are new or have got commits. Whose commit no branch here names is taken for a fork's: that
    is the careful guess."""
    branch_of = {sha: name for name, sha in view.branches.items()}
    known = {one.number: one for one in row.pull_requests.filter(number__in=map(int, view.pulls))}
    found = []
    for number, sha in view.pulls.items():
        if row.pulls.get(number) == sha:
            continue
        before = known.get(int(number))
        branch = branch_of.get(sha, "")
        found.append(
            PullTold(
                number=int(number),
                branch=branch or (before.branch if before else f"pull/{number}"),
                commit=sha,
                state=PullRequest.State.OPEN,
                at=None,
                from_fork="" if branch else (before.from_fork if before else "") or "a fork",
                draft=before.draft if before else False,
            )
        )
    return found


def _closed(row: Repository, view: View) -> list[PullTold]:
    """Those that are gone, or whose branch is: git alone does not tell of more."""
    found = []
    for pull in row.pull_requests.filter(state=PullRequest.State.OPEN):
        of_branch = not pull.from_fork and pull.branch not in view.branches and pull.branch in row.heads
        of_ref = str(pull.number) in row.pulls and str(pull.number) not in view.pulls
        if of_branch or of_ref:
            found.append(
                PullTold(
                    number=pull.number,
                    branch=pull.branch,
                    commit=pull.commit,
                    state=PullRequest.State.CLOSED,
                    at=None,
                    from_fork=pull.from_fork,
                    draft=pull.draft,
                )
            )
    return found
