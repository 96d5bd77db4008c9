"""GitLab's hooks: push, merge request, pipeline, job."""

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

_MOVES = frozenset(["open", "reopen", "update", "close", "merge"])
_STATES = {
    "success": "success",
    "failed": "failure",
    "canceled": "error",
    "skipped": "success",
}
_LISTED = 20  # GitLab tells of no more commits of a push


def read(event: str, body: Body) -> list[Told]:
    """What a hook tells."""
    readers = {
        "Push Hook": _push,
        "Merge Request Hook": _merge_request,
        "Pipeline Hook": _pipeline,
        "Job Hook": _job,
    }
    if event == "Tag Push Hook":
        return [NothingTold("Tags start nothing.")]
    if event not in readers:
        return [NothingTold(f"Events of the kind “{event[:40]}” start nothing.")]
    return [readers[event](body)]


def _push(body: Body) -> Told:
    branch = branch_of(body.needed("ref"))
    if not branch:
        return NothingTold("It is no branch.")
    commits = body.parts("commits")
    commit = commit_of(body.needed("after", most=64))
    last = next((one for one in commits if one.text("id") == commit), Body({}))
    return BranchTold(
        branch=branch,
        commit=commit,
        before=commit_of(body.text("before", most=64)),
        message=first_line(last.text("message")),
        author=last.text("author", "name", most=200) or body.text("user_name", most=200),
        files=_files(body, commits),
    )


def _files(body: Body, commits: list[Body]) -> frozenset[str] | None:
    total = body.number("total_commits_count") if commits else 0
    if not commits or total > _LISTED or not commit_of(body.text("before")):
        return None
    names = [
        name for commit in commits for key in ("added", "removed", "modified") for name in commit.texts(key)
    ]
    return frozenset(names) or None


def _merge_request(body: Body) -> Told:
    request = body.part("object_attributes")
    action = request.text("action")
    if action not in _MOVES:
        return NothingTold(f"“{action[:40]}” of a merge request starts nothing.")
    home, from_ = request.text("target", "path_with_namespace"), request.text("source", "path_with_namespace")
    state = {"opened": "open", "merged": "merged"}.get(request.text("state"), "closed")
    return PullTold(
        number=request.number("iid"),
        branch=request.needed("source_branch"),
        commit=request.needed("last_commit", "id", most=64),
        state=state,
        at=request.time("updated_at"),
        title=request.text("title", most=300),
        author=body.text("user", "username", most=200),
        from_fork="" if from_ == home else from_[:250] or "a repository that is gone",
        draft=request.yes("draft") or request.yes("work_in_progress"),
        url=request.text("url"),
    )


def _pipeline(body: Body) -> Told:
    """GitLab's own pipeline of a commit."""
    run = body.part("object_attributes")
    return StatusTold(
        commit=run.needed("sha", most=64),
        context="gitlab/pipeline",
        state=_STATES.get(run.text("status"), "pending"),
        at=run.time("finished_at") or run.time("created_at"),
        description=run.text("detailed_status", most=300),
        url=run.text("url"),
    )


def _job(body: Body) -> Told:
    return StatusTold(
        commit=body.needed("sha", most=64),
        context=f"gitlab/{body.needed('build_name', most=180)}",
        state=_STATES.get(body.text("build_status"), "pending"),
        at=body.time("build_finished_at") or body.time("build_started_at") or body.time("build_created_at"),
        description=body.text("build_stage", most=300),
    )
