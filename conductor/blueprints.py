"""Looks at the slipway.yml of commits that were pushed: gets the file, wherever the code is, and has it settled."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

from blueprints import proposals, schema
from blueprints.models import Proposal
from blueprints.reader import MAX_BYTES
from conductor.turns import release_connections
from conductor.work import Held
from core import failpoints
from core.errors import EngineError, Refusal
from forge import code, credentials
from forge.models import Repository
from releases import remotes, repositories
from releases.repositories import GitFailed

AT_ONCE = 2


def advance(held: Held) -> float | None:
    """See `conductor.work.Kind`. Each step may run twice: a file that was applied asks for nothing else then."""
    proposal: Proposal = held.job
    place = code.place_of(proposal.pipeline)
    try:
        text = None
        if place and place.repository:
            text = _elsewhere(place.repository, proposal.commit, held)
        elif place and place.app:
            text = _here(proposal)
    except (Refusal, GitFailed) as fault:
        raise EngineError(str(fault), permanent=True) from fault
    failpoints.reach("blueprint.read")
    proposals.settle(proposal, text)
    return None


def fail(proposal: Any, reason: str) -> None:
    """See `conductor.work.Kind`."""
    proposals.give_up(proposal, reason)


def _here(proposal: Proposal) -> str | None:
    """From the repository of whichever of its apps has the commit."""
    for app in code.apps_with_code(proposal.pipeline):
        if repositories.head(app, proposal.commit + "^{commit}"):
            return _file(repositories.path(app), proposal.commit)
    return None


def _elsewhere(repository: Repository, commit: str, held: Held) -> str | None:
    """From the host that is connected: one commit, without its history."""
    authorization = credentials.header_of(repository)
    release_connections()
    folder = Path(tempfile.mkdtemp(dir=settings.DATA, prefix=".slipway-yml-"))
    try:
        got = remotes.fetch(
            repository.url, commit, folder, stop=held.lost.is_set, authorization=authorization
        )
        return _file(folder, got[0]) if got else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _file(place: Path, commit: str) -> str | None:
    """What the file at the root of the tree says; None when there is none."""
    name = f"{commit}:{schema.FILE}"
    try:
        kind = repositories.git(place, "cat-file", "-t", "--end-of-options", name).decode().strip()
        size = int(repositories.git(place, "cat-file", "-s", "--end-of-options", name))
    except GitFailed:
        return None
    if kind != "blob":
        return None
    if size > MAX_BYTES:
        raise Refusal(f"The file has over {MAX_BYTES // 1024} kB.")
    return repositories.git(place, "cat-file", "blob", "--end-of-options", name).decode("utf-8", "replace")
