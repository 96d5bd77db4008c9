"""A build and the release it leads to, as one story: steps, facts, and one sentence about how it stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import User
from apps.models import App
from dashboard import panels, standing
from dashboard.standing import Standing
from releases.models import OPEN, Build, Release

# What is still to come is drawn too, so that people see how far it is. Names as the conductor writes them.
BUILD_STEPS = ("Fetch source", "Build", "Make release")
RELEASE_STEPS = ("Release command", "Start dynos", "Switch traffic", "Stop old dynos")
MARKS = {"busy": "◐", "ok": "✓", "bad": "✕", "idle": "◌"}
HUES = {
    "live": "ok",
    "passed": "ok",
    "building": "busy",
    "releasing": "busy",
    "crashed": "bad",
    "failed": "bad",
}


@dataclass(frozen=True)
class Step:
    """One step of the timeline. `kind` is done, now, todo or bad."""

    kind: str
    name: str
    at: datetime | None = None
    seconds: float | None = None


def builds(app: App) -> Any:
    """Builds of the app with all that their page shows."""
    related = ("source", "by", "slug__app", "release__slug__app", "release__by", "release__from_release")
    return Build.objects.filter(app=app).select_related("app", *related)


def of_build(build: Build, user: User) -> dict[str, Any]:
    """The page of a build: its release is shown along once there is one."""
    return _story(build.app, build, build.release, user)


def of_release(release: Release, user: User) -> dict[str, Any]:
    """The page of a release: the build that made it is shown along, if it was built here."""
    build = builds(release.app).filter(release=release).first()
    return _story(release.app, build, release, user)


def _story(app: App, build: Build | None, release: Release | None, user: User) -> dict[str, Any]:
    current = Release.objects.current_for(app)
    state = _state(build, release)
    hue = HUES.get(state.kind, "idle")
    return {
        **_code(build, release),
        **panels.frame(app, user, "releases" if release else "deploy"),
        "build": build,
        "release": release,
        "current": current,
        "previous_version": release.version - 1 if release else 0,
        "unfinished": OPEN,
        "state": state,
        "headline": headline(build, release, state),
        "mark": MARKS[hue],
        "hue": hue,
        "failure": failure(build, release, current),
        "steps": steps(build, release),
        "open": any(thing is not None and thing.status in OPEN for thing in (build, release)),
        "elapsed": _elapsed(build, release),
    }


def _code(build: Build | None, release: Release | None) -> dict[str, Any]:
    """What code it is, whose, and who asked for it. A slug that came by promotion tells of its commit itself."""
    slug = (release.slug if release else None) or (build.slug if build else None)
    told = slug if slug is not None and slug.commit else build.source if build else None
    asked = release or build
    assert asked is not None
    return {
        "slug": slug,
        "commit": told.short if told else "",
        "branch": told.branch if told else "",
        "message": told.message if told else "",
        "author": told.author if told else "",
        "by": asked.by,
        "started": asked.created_at,
        "buildpacks": slug.buildpacks if slug else build.buildpacks if build else [],
    }


def _state(build: Build | None, release: Release | None) -> Standing:
    if release is not None:
        return standing.of_release(release)
    assert build is not None
    return standing.of_build(build)


def headline(build: Build | None, release: Release | None, state: Standing) -> str:
    """What the window's title says: “Building f3b91d7”, “v132 live”."""
    if release is None:
        assert build is not None
        return f"{state.label} {build.source.short}".strip()
    if state.kind in ("releasing", "queued"):
        return f"{state.label} v{release.version}"
    return f"v{release.version} {state.label.lower()}"


def failure(build: Build | None, release: Release | None, current: Release | None) -> str:
    """Why it failed, and what still works; empty when it did not fail."""
    failed = release if release is not None else build
    assert failed is not None
    if failed.status != "failed":
        return ""
    reason = (failed.reason or "It failed, and left no reason").rstrip(".") + "."
    if current is None:
        return f"{reason} {failed.app.name} has no release that works yet."
    stays = "stays on" if release is None or current.version < release.version else "is on"
    return f"{reason} {failed.app.name} {stays} v{current.version}."


def steps(build: Build | None, release: Release | None) -> list[Step]:
    """The timeline: what is done, what is under way, what is to come."""
    found: list[Step] = []
    if build is not None:
        found += _steps(build.steps, build.status, BUILD_STEPS)
    if release is not None:
        expected = RELEASE_STEPS if release.release_command else RELEASE_STEPS[1:]
        found += _steps(release.steps, release.status, expected)
    elif build is not None and build.status in OPEN:
        found += [Step("todo", name) for name in RELEASE_STEPS[1:]]
    return found


def _steps(rows: list[dict[str, Any]], status: str, expected: tuple[str, ...]) -> list[Step]:
    found = []
    for at, row in enumerate(rows):
        last = at == len(rows) - 1
        kind = "done"
        if last and status == "failed":
            kind = "bad"
        elif last and status in OPEN and row.get("seconds") is None:
            kind = "now"
        found.append(Step(kind, row["name"], parse_datetime(row.get("at") or ""), row.get("seconds")))
    if status in OPEN:
        known = {row["name"] for row in rows}
        found += [Step("todo", name) for name in expected if name not in known]
    return found


def _elapsed(build: Build | None, release: Release | None) -> float | None:
    started = next((job.started_at or job.created_at for job in (build, release) if job), None)
    ended = next((job.finished_at for job in (release, build) if job), None)
    return ((ended or timezone.now()) - started).total_seconds() if started else None
