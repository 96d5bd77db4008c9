"""How a promotion goes: a line a target, with the steps of its release."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accounts.models import User
from apps import access as app_access
from dashboard import standing
from dashboard.standing import Standing
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
    """A step of a release: done in so many seconds, or under way."""

    name: str
    seconds: float | None


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
    return {"promotion": promotion, "lines": lines, "outcome": outcome(lines)}


def _line(target: PromotionTarget, serving: Release | None) -> Line:
    release = target.release
    state = TARGET[target.status]
    if target.status == "running" and release is not None:
        state = standing.of_release(release)
    steps = [Step(str(s.get("name", "")), s.get("seconds")) for s in release.steps] if release else []
    return Line(target, state, steps, serving if target.status == "failed" else None)


def outcome(lines: Sequence[Line]) -> Standing:
    """All of it as one state."""
    done = sum(line.target.status == "succeeded" for line in lines)
    failed = sum(line.target.status == "failed" for line in lines)
    if done + failed < len(lines):
        return Standing("releasing", f"Releasing, {done + failed} of {len(lines)} done")
    if failed:
        return Standing("failed", f"Failed on {failed} of {len(lines)}")
    return Standing("live", f"Live on {len(lines)}" if len(lines) > 1 else "Live")
