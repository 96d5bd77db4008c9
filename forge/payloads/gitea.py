"""The hooks of Gitea and Forgejo, which are made after GitHub's."""

from dataclasses import replace

from forge.payloads import github
from forge.told import Body, BranchTold, NothingTold, PullTold, StatusTold, Told

_PULLS = frozenset(["pull_request", "pull_request_sync", "pull_request_reopened"])
_DRAFTS = ("wip:", "[wip]", "draft:")  # what a title begins with in versions without `draft`


def read(event: str, body: Body) -> list[Told]:
    """What a hook tells."""
    if event == "push":
        return [github.push(body)]
    if event in _PULLS:
        return [_pull_request(body)]
    if event == "status":
        return [_status(body)]
    if event == "delete":
        return [_delete(body)]
    return [NothingTold(f"Events of the kind “{event[:40]}” start nothing.")]


def _delete(body: Body) -> Told:
    if body.text("ref_type") != "branch":
        return NothingTold("Tags start nothing.")
    return BranchTold(branch=body.needed("ref").removeprefix("refs/heads/"), commit="")


def _pull_request(body: Body) -> Told:
    told = github.pull_request(body)
    if not isinstance(told, PullTold):
        return told
    return replace(told, draft=told.draft or told.title.lower().startswith(_DRAFTS))


def _status(body: Body) -> Told:
    told = github.status(body)
    if isinstance(told, StatusTold) and body.text("state") == "warning":
        return replace(told, state="failure")
    return told
