"""The band inside a card: what happens to its app now, what it waits for, or what has failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from dashboard import standing
from dashboard.fleet import AppNow
from dashboard.links import link
from dashboard.story import BUILD_STEPS, RELEASE_STEPS
from releases.models import Release

RECENT = timedelta(minutes=2)


@dataclass
class Strip:
    """The band inside a card while something happens, waits or has failed."""

    hue: str  # busy, bad, warn, accent
    title: str
    text: str = ""
    url: str = ""
    sub: str = ""
    since: datetime | None = None
    done: int = 0  # ticks, of work whose steps are known
    of: int = 0
    usual: float | None = None  # seconds that such work takes as a rule, where earlier runs tell

    @property
    def at(self) -> int:
        """The number of the step that is under way."""
        return min(self.done + 1, self.of)


def strip_of(
    now: AppNow, *, awaited: str = "", usual: float | None = None, waiting: Strip | None = None
) -> Strip | None:
    """The band that the card of an app shows now, if any: the most urgent thing. `awaited` is the app that a promotion
    comes from whose turn is yet to come; `usual` how many seconds its builds take; `waiting` the band of a release that
    waits before a line."""
    name = now.app.name
    if now.app.suspended_at:
        sub = "Its dynos are stopped. An operator can start it again."
        return Strip("warn", "Suspended by an operator", sub=sub, since=now.app.suspended_at)
    if now.building:
        return _build_strip(now, link("build", name, now.building.pk), usual)
    if now.releasing:
        return _release_strip(now.releasing, link("release", name, now.releasing.version))
    if awaited:
        return Strip("busy", f"Promotion from {awaited}", sub="Waits for its turn")
    if now.crashed:
        return _crash_strip(now, link("app-logs", name))
    if now.failed_build:
        url = link("build", name, now.failed_build.pk)
        title, sub = "Build failed", now.failed_build.reason
        return Strip("bad", title, str(now.failed_build.source), url, sub, now.failed_build.finished_at)
    if now.failed_release:
        return _failure_strip(now, now.failed_release, link("release", name, now.failed_release.version))
    return waiting or _arrival_strip(now.current)


def _build_strip(now: AppNow, url: str, usual: float | None) -> Strip:
    build = now.building
    assert build is not None
    version = f"v{now.app.last_version + 1}"
    text = build.source.message or str(build.source)
    if build.status == "pending":
        return Strip("busy", version, text, url, "Waiting for its turn to build", build.created_at)
    step, done = _progress(build.steps, BUILD_STEPS)
    since = build.started_at or build.created_at
    return Strip("busy", version, text, url, step or "Building", since, done, len(BUILD_STEPS), usual)


def _release_strip(release: Release, url: str) -> Strip:
    text = (release.slug.message if release.slug else "") or release.description
    if release.status == "pending":
        return Strip("busy", str(release), text, url, "Waiting for its turn", release.created_at)
    step, done = _progress(release.steps, RELEASE_STEPS)
    since = release.started_at or release.created_at
    of = len(RELEASE_STEPS) - (not release.release_command) + (release.canary_until is not None)
    sub = standing.on_trial(release) or step or "Releasing"
    return Strip("busy", str(release), text, url, sub, since, done, of)


def _progress(steps: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> tuple[str, int]:
    """The step that work stands at, and how many are behind it."""
    done = sum(step.get("seconds") is not None for step in steps)
    name = next((str(step.get("name")) for step in steps if step.get("seconds") is None), "")
    return words.get(name, name.capitalize()), done


def _crash_strip(now: AppNow, url: str) -> Strip:
    dyno = now.crashed[0]
    how = (
        f"{dyno.name} exited with {dyno.exit_code}" if dyno.exit_code is not None else f"{dyno.name} crashed"
    )
    return Strip("bad", how, url=url, sub=_crash_words(dyno, timezone.now()), since=dyno.state_at)


def _crash_words(dyno: Any, now: datetime) -> str:
    parts = [f"{dyno.reason.rstrip('.')}." if dyno.reason else ""]
    if dyno.crashes > 1:
        parts.append(f"Crashed {dyno.crashes} times in a row.")
    if dyno.start_after and dyno.start_after > now:
        parts.append(f"Next try in {int((dyno.start_after - now).total_seconds()) + 1} s.")
    return " ".join(part for part in parts if part)


def _failure_strip(now: AppNow, failed: Release, url: str) -> Strip:
    stays = f"{now.current} keeps serving." if now.current else "Nothing serves yet."
    sub = f"{failed.reason.rstrip('.')}. {stays}" if failed.reason else stays
    return Strip("bad", f"{failed} failed", failed.description, url, sub, failed.finished_at)


def _arrival_strip(current: Release | None) -> Strip | None:
    if current is None or current.kind != Release.Kind.PROMOTE or current.finished_at is None:
        return None
    if timezone.now() - current.finished_at > RECENT or current.from_release is None:
        return None
    origin = current.from_release.app.name
    return Strip("accent", f"Promoted from {origin}", since=current.finished_at, sub=current.note)
