"""GitHub's hooks: push, pull_request, status, check_run, check_suite. Gitea's are made after them."""

from forge.told import (
    Body,
    BranchTold,
    NothingTold,
    PullTold,
    StatusTold,
    Told,
    branch_of,
    commit_of,
    first_line,
)

_CONCLUSIONS = {"success": "success", "neutral": "success", "skipped": "success", "failure": "failure"}
_MOVES = frozenset(
    [
        "opened",
        "synchronize",
        "synchronized",  # Gitea's spelling
        "reopened",
        "closed",
        "edited",
        "ready_for_review",
        "converted_to_draft",
    ]
)


def read(event: str, body: Body) -> list[Told]:
    """What a hook tells."""
    if event == "push":
        return [push(body)]
    if event == "pull_request":
        return [pull_request(body)]
    if event == "status":
        return [status(body)]
    if event in ("check_run", "check_suite"):
        return [_check(event, body)]
    if event == "ping":
        return [NothingTold("The host says hello: hooks arrive.")]
    return [NothingTold(f"Events of the kind “{event[:40]}” start nothing.")]


def push(body: Body) -> Told:
    """A branch or a tag that was pushed or deleted."""
    branch = branch_of(body.needed("ref"))
    if not branch:
        return NothingTold("Tags start nothing." if "refs/tags/" in body.text("ref") else "It is no branch.")
    commit = "" if body.yes("deleted") else commit_of(body.needed("after", most=64))
    head = body.part("head_commit") or next(iter(reversed(body.parts("commits"))), Body({}))
    return BranchTold(
        branch=branch,
        commit=commit,
        before=commit_of(body.text("before", most=64)),
        message=first_line(head.text("message")),
        author=head.text("author", "name", most=200),
        files=_files(body),
    )


def _files(body: Body) -> frozenset[str] | None:
    """The files that changed; None when they are not all told of: after a forced push, or of many commits."""
    commits = body.parts("commits")
    if body.yes("forced") or body.yes("created") or not commits or len(commits) >= 2048:
        return None
    names = [
        name for commit in commits for key in ("added", "removed", "modified") for name in commit.texts(key)
    ]
    return frozenset(names) or None


def pull_request(body: Body) -> Told:
    """A pull request that was opened, changed or closed."""
    action, pull = body.text("action"), body.part("pull_request")
    if action not in _MOVES:
        return NothingTold(f"“{action[:40]}” of a pull request starts nothing.")
    return pull_of(pull)


def pull_of(pull: Body) -> PullTold:
    """A pull request, as hooks and the API show it."""
    merged, closed = pull.yes("merged") or bool(pull.text("merged_at")), pull.text("state") == "closed"
    home, from_ = pull.text("base", "repo", "full_name"), pull.text("head", "repo", "full_name", most=250)
    return PullTold(
        number=pull.number("number"),
        branch=pull.needed("head", "ref"),
        commit=pull.needed("head", "sha", most=64),
        state="merged" if merged else "closed" if closed else "open",
        at=pull.time("updated_at"),
        title=pull.text("title", most=300),
        author=pull.text("user", "login", most=200),
        from_fork=("" if from_ == home else from_ or "a repository that is gone"),
        draft=pull.yes("draft"),
        url=pull.text("html_url"),
    )


def status(body: Body) -> Told:
    """What somebody says of a commit."""
    state = body.text("state")
    return StatusTold(
        commit=body.needed("sha", most=64),
        context=body.needed("context", most=200),
        state={"pending": "pending", "success": "success", "failure": "failure"}.get(state, "error"),
        at=body.time("updated_at"),
        description=body.text("description", most=300),
        url=body.text("target_url"),
    )


def _check(event: str, body: Body) -> Told:
    """A check, or all checks of an app, on a commit."""
    check = body.part(event)
    done, conclusion = check.text("status") == "completed", check.text("conclusion")
    name = check.text("name", most=200) or f"{check.text('app', 'name', most=150) or 'checks'} (suite)"
    return StatusTold(
        commit=check.needed("head_sha", most=64),
        context=name,
        state=_CONCLUSIONS.get(conclusion, "error") if done else "pending",
        at=check.time("updated_at") or check.time("completed_at") or check.time("started_at"),
        description=check.text("output", "title", most=300),
        url=check.text("html_url") or check.text("details_url"),
    )
