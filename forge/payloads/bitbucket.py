"""Bitbucket's hooks: repo:push, pullrequest:*, repo:commit_status_*."""

from forge.told import Body, BranchTold, NothingTold, PullTold, StatusTold, Told, first_line

_PULLS = frozenset(
    ["pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled", "pullrequest:rejected"]
)
_STATES = {"SUCCESSFUL": "success", "FAILED": "failure", "INPROGRESS": "pending"}


def read(event: str, body: Body) -> list[Told]:
    """What a hook tells."""
    if event == "repo:push":
        return _push(body)
    if event in _PULLS:
        return [pull_of(body.part("pullrequest"))]
    if event in ("repo:commit_status_created", "repo:commit_status_updated"):
        return [_status(body)]
    if event == "diagnostics:ping":
        return [NothingTold("The host says hello: hooks arrive.")]
    return [NothingTold(f"Events of the kind “{event[:40]}” start nothing.")]


def _push(body: Body) -> list[Told]:
    return [_change(change) for change in body.parts("push", "changes")] or [NothingTold("Nothing changed.")]


def _change(change: Body) -> Told:
    new, old = change.part("new"), change.part("old")
    if (new or old).text("type") != "branch":
        return NothingTold("Tags start nothing.")
    target = new.part("target")
    return BranchTold(
        branch=(new or old).needed("name"),
        commit=target.needed("hash", most=64) if new else "",
        before=old.text("target", "hash", most=64),
        message=first_line(target.text("message")),
        author=target.text("author", "raw", most=200).partition(" <")[0],
    )


def pull_of(pull: Body) -> PullTold:
    """A pull request, as hooks and the API show it."""
    home = pull.text("destination", "repository", "full_name")
    from_ = pull.text("source", "repository", "full_name", most=250)
    return PullTold(
        number=pull.number("id"),
        branch=pull.needed("source", "branch", "name"),
        commit=pull.needed("source", "commit", "hash", most=64),
        state={"OPEN": "open", "MERGED": "merged"}.get(pull.text("state"), "closed"),
        at=pull.time("updated_on"),
        title=pull.text("title", most=300),
        author=pull.text("author", "nickname", most=200) or pull.text("author", "display_name", most=200),
        from_fork="" if from_ == home else from_ or "a repository that is gone",
        draft=pull.yes("draft"),
        url=pull.text("links", "html", "href"),
    )


def _status(body: Body) -> Told:
    status = body.part("commit_status")
    commit = status.text("commit", "hash", most=64) or _last_of(status.text("links", "commit", "href"))
    return StatusTold(
        commit=commit or status.needed("commit", "hash"),
        context=status.text("name", most=200) or status.needed("key", most=200),
        state=_STATES.get(status.text("state"), "error"),
        at=status.time("updated_on"),
        description=status.text("description", most=300),
        url=status.text("url"),
    )


def _last_of(address: str) -> str:
    return address.rpartition("/")[2][:64]
