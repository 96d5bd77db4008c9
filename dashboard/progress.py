"""How a promotion goes: a line a target, with the steps of its release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from accounts.models import User
from apps import access as app_access
from apps.models import App
from dashboard import standing
from dashboard.standing import Standing
from dashboard.story import RELEASE_STEPS
from dashboard.words import about
from pipelines import changes
from pipelines.models import Promotion, PromotionTarget
from releases.estimates import expected_for
from releases.models import Release
from releases.streams import may_read

TARGET = {
    "pending": Standing("queued", "Waiting"),
    "running": Standing("releasing", "Releasing"),
    "succeeded": Standing("live", "Live"),
    "failed": Standing("failed", "Failed"),
}
SKIPPED = Standing("none", "Not started")


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
    usual: str  # how long such a release takes as a rule, while it is not over; empty when there is nothing to go by
    after: str = ""  # the target whose end it waits for


def progress(promotion: Promotion, user: User) -> dict[str, Any]:
    """The targets that `user` may see, and the outcome in one sentence."""
    rows = promotion.targets.select_related("app", "release__app").filter(app__in=app_access.apps_for(user))
    steps = _step_names([row.release for row in rows if row.release])
    serving = {
        release.app_id: release
        for release in Release.objects.filter(app__in=[row.app_id for row in rows], current=True)
    }
    usual = expected_for([row.app_id for row in rows if row.status in ("pending", "running")], "release")
    lines = [
        _line(
            row,
            serving.get(row.app_id),
            about(usual[row.app_id].seconds) if row.app_id in usual else "",
            steps,
        )
        for row in rows
    ]
    if promotion.one_by_one:
        lines = _in_turn(lines)
    lines = _after_the_first(lines)
    may_deploy = app_access.DEPLOY in app_access.rights_in(user, promotion.source)
    waiting = [line for line in lines if line.target.status == "pending"]
    return {
        "promotion": promotion,
        "lines": lines,
        "steps": list(steps.values()),
        "outcome": outcome(lines),
        "next": waiting[0] if waiting and may_deploy else None,
        "changed": changes.of(promotion, list(rows)) if may_deploy else None,
        "log": _log(lines, user),
        "failed": [line for line in lines if line.target.status == "failed"] if may_deploy else [],
    }


def _log(lines: Sequence[Line], user: User) -> Release | None:
    """The release whose output is shown: the one under way, or the one that failed, or the last of all."""
    begun = [line.target for line in lines if line.target.release is not None]
    urgent = [target for status in ("running", "failed") for target in begun if target.status == status]
    shown = next((target.release for target in [*urgent, *reversed(begun)]), None)
    return shown if shown is not None and may_read(user, shown.log_stream) else None


def short_names(apps: Sequence[App]) -> list[str]:
    """The names of apps without the words that all of them begin with, as heads of narrow columns: `shop-eu` and
    `shop-us` are `eu` and `us`."""
    parts = [app.name.split("-") for app in apps]
    alike = 0
    while all(len(words) > alike + 1 for words in parts) and len({words[alike] for words in parts}) == 1:
        alike += 1
    return ["-".join(words[alike if len(parts) > 1 else 0 :]) for words in parts]


def _step_names(releases: Sequence[Release]) -> dict[str, str]:
    """The steps to show, in order; a trial is among them where one of the releases has it to stand."""
    names = dict(RELEASE_STEPS)
    if any(release.canary_until for release in releases):
        switch = names.popitem()
        names |= {"canary": "Canary", **dict([switch])}
    return names


def _line(target: PromotionTarget, serving: Release | None, usual: str, names: Mapping[str, str]) -> Line:
    release = target.release
    state = SKIPPED if target.skipped else TARGET[target.status]
    if target.status == "running" and release is not None:
        on_trial = standing.on_trial(release)
        state = Standing("releasing", on_trial) if on_trial else standing.of_release(release)
    steps = [_step(release, name) for name in names]
    return Line(target, state, steps, serving if target.status == "failed" else None, usual)


def _in_turn(lines: Sequence[Line]) -> list[Line]:
    """The lines of a promotion whose targets take turns: each that waits says for which."""
    told = list(lines[:1])
    for before, line in pairwise(lines):
        waits = line.target.status == "pending"
        told.append(replace(line, after=before.target.app.name) if waits else line)
    return told


def _after_the_first(lines: Sequence[Line]) -> list[Line]:
    """Where one app has the release first and the others wait for how it does there, these say so. The conductor gives
    those a time to look again, and none to others that nobody has begun with."""
    return [
        replace(line, after=f"{lines[0].target.app.name} has stood its trial")
        if line.target.status == "pending" and line.target.wake_at
        else line
        for line in lines
    ]


def _step(release: Release | None, name: str) -> Step:
    if release is None:
        return Step("todo")
    for step in release.steps:
        if step.get("name") == name:
            seconds = step.get("seconds")
            return Step("now") if seconds is None else Step("done", seconds)
    if (
        release.status == Release.Status.SUCCEEDED
        or (name == "release phase" and not release.release_command)
        or (name == "canary" and not release.canary_until)
    ):
        return Step("none")
    return Step("todo")


def outcome(lines: Sequence[Line]) -> Standing:
    """All of it as one state."""
    done = sum(line.target.status == "succeeded" for line in lines)
    skipped = sum(line.target.skipped for line in lines)
    failed = sum(line.target.status == "failed" for line in lines) - skipped
    if done + failed + skipped < len(lines):
        return Standing("releasing", f"Releasing, {done + failed + skipped} of {len(lines)} done")
    rest = f", {skipped} not started" if skipped else ""
    if failed:
        return Standing("failed", f"Failed on {failed} of {len(lines)}{rest}")
    if skipped:
        return Standing("stopped", f"Stopped: live on {done} of {len(lines)}{rest}")
    return Standing("live", f"Live on {len(lines)}" if len(lines) > 1 else "Live")
