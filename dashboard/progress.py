"""How a promotion goes: a line a target, with the steps of its release."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from apps import access as app_access
from dashboard import standing
from dashboard.standing import Standing
from dashboard.story import RELEASE_STEPS
from pipelines.models import Promotion, PromotionTarget
from releases.models import Release

TARGET = {
    "pending": Standing("queued", "Waiting"),
    "running": Standing("releasing", "Releasing"),
    "succeeded": Standing("live", "Live"),
    "failed": Standing("failed", "Failed"),
}


@dataclass(frozen=True)
class Step:
    """A step of a release on one target: `state` is done, now, todo, or none where it has no such step."""

    state: str
    seconds: float | None = None


@dataclass(frozen=True)
class Line:
    """One target."""

    target: PromotionTarget
    state: Standing
    steps: list[Step]
    stays: Release | None  # what keeps serving when it failed


def progress(promotion: Promotion, user: User) -> dict[str, Any]:
    """The targets that `user` may see, and the outcome in one sentence."""
    rows = promotion.targets.select_related("app", "release").filter(app__in=app_access.apps_for(user))
    serving = {
        release.app_id: release
        for release in Release.objects.filter(app__in=[row.app_id for row in rows], current=True)
    }
    lines = [_line(row, serving.get(row.app_id)) for row in rows]
    steps = list(RELEASE_STEPS.values())
    return {"promotion": promotion, "lines": lines, "steps": steps, "outcome": outcome(lines)}


def _line(target: PromotionTarget, serving: Release | None) -> Line:
    release = target.release
    state = TARGET[target.status]
    if target.status == "running" and release is not None:
        state = standing.of_release(release)
    steps = [_step(release, name) for name in RELEASE_STEPS]
    return Line(target, state, steps, serving if target.status == "failed" else None)


def _step(release: Release | None, name: str) -> Step:
    if release is None:
        return Step("todo")
    for step in release.steps:
        if step.get("name") == name:
            seconds = step.get("seconds")
            return Step("now") if seconds is None else Step("done", seconds)
    if release.status == Release.Status.SUCCEEDED or (
        name == "release phase" and not release.release_command
    ):
        return Step("none")
    return Step("todo")


def outcome(lines: Sequence[Line]) -> Standing:
    """All of it as one state."""
    done = sum(line.target.status == "succeeded" for line in lines)
    failed = sum(line.target.status == "failed" for line in lines)
    if done + failed < len(lines):
        return Standing("releasing", f"Releasing, {done + failed} of {len(lines)} done")
    if failed:
        return Standing("failed", f"Failed on {failed} of {len(lines)}")
    return Standing("live", f"Live on {len(lines)}" if len(lines) > 1 else "Live")
