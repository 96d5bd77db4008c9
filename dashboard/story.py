"""A build and the release it leads to, as one story: steps, facts, and one sentence about how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import User
from apps.models import App
from dashboard import panels, standing
from dashboard.standing import Standing
from releases import estimates, streams
from releases.estimates import Estimate
from releases.models import OPEN, Build, Release

# The conductor's steps in order, in people's words. What is still to come is drawn too, to show how far it is.
BUILD_STEPS = {"fetch source": "Fetch source", "compile": "Build", "release": "Make release"}
RELEASE_STEPS = {"release phase": "Release command", "start": "Start dynos", "switch": "Switch traffic"}
WORTH_SAYING = 0.5  # seconds that a step takes as a rule
# A state's tone, and the mark that the window's title begins with.
TONES = {
    "live": ("ok", "✓"),
    "passed": ("ok", "✓"),
    "building": ("busy", "◐"),
    "releasing": ("busy", "↑"),
    "failed": ("bad", "✕"),
}


@dataclass(frozen=True)
class Step:
    """One step of the timeline. `kind` is done, now, todo or bad; `usual` is how many seconds it takes as a rule."""

    kind: str
    name: str
    at: datetime | None = None
    seconds: float | None = None
    usual: float | None = None


def builds(app: App) -> Any:
    """Builds of the app with all that their page shows."""
    related = ("source", "by", "slug__app", "release__slug__app", "release__by", "release__from_release")
    return Build.objects.filter(app=app).select_related("app", *related)


def of_build(build: Build, user: User) -> dict[str, Any]:
    """The page of a build: its release is shown along once there is one."""
    return _story(build.app, build, build.release, user, "deploy")


def of_release(release: Release, user: User) -> dict[str, Any]:
    """The page of a release: the build that made it is shown along, if it was built here."""
    build = builds(release.app).filter(release=release).first()
    return _story(release.app, build, release, user, "releases")


def _story(app: App, build: Build | None, release: Release | None, user: User, tab: str) -> dict[str, Any]:
    current = Release.objects.current_for(app)
    state = _state(build, release)
    hue, mark = TONES.get(state.kind, ("idle", "◌"))
    return {
        **_code(build, release),
        **panels.frame(app, user, tab),
        "build": build,
        "release": release,
        "current": current,
        "previous_version": release.version - 1 if release else 0,
        "unfinished": OPEN,
        "state": state,
        "headline": headline(build, release, state),
        "mark": mark,
        "hue": hue,
        "failure": failure(build, release, current),
        **_times(build, release),
        **_output(build, release, user),
    }


def _times(build: Build | None, release: Release | None) -> dict[str, Any]:
    """The timeline, and how long it all took; while it is under way, what earlier runs make one expect."""
    under_way = any(thing is not None and thing.status in OPEN for thing in (build, release))
    past: dict[str, Estimate] = {}
    if under_way:
        app = (release or build).app  # type: ignore[union-attr]
        past = estimates.of_release(app) | (estimates.of_build(app) if build else {})
    usual = {
        name: known.seconds
        for name, known in past.items()
        if name not in estimates.WHOLE and known.seconds >= WORTH_SAYING
    }
    return {
        "steps": steps(build, release, usual),
        "open": under_way,
        "elapsed": _elapsed(build, release),
        "since": _began(build, release),
        "usual": _whole(past, ("build", "release") if build else ("release",)),
    }


def _whole(past: Mapping[str, Estimate], kinds: Sequence[str]) -> Estimate | None:
    """What to expect of all that is shown; nothing when its first part has no past."""
    known = [past[kind] for kind in kinds if kind in past]
    if kinds[0] not in past:
        return None
    return Estimate(sum(one.seconds for one in known), min(one.runs for one in known))


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
        "repository": build.source.repository if build else "",
        "message": told.message if told else "",
        "author": told.author if told else "",
        "by": asked.by,
        "started": asked.created_at,
        "buildpacks": slug.buildpacks if slug else build.buildpacks if build else [],
    }


def _output(build: Build | None, release: Release | None, user: User) -> dict[str, Any]:
    """Which streams to show. A release without a release command prints nothing unless it fails."""
    prints = release is not None and (release.release_command or release.status == "failed")
    return {
        "build_text": streams.output_url(build, by=user) if build else "",
        "release_text": streams.output_url(release, by=user) if release and prints else "",
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


def steps(
    build: Build | None, release: Release | None, usual: Mapping[str, float] | None = None
) -> list[Step]:
    """The timeline: what is done, what is under way, what is to come. `usual` says how many seconds a step takes."""
    found, usual = [], usual or {}
    if build is not None:
        found += _steps(build, BUILD_STEPS, usual)
    if release is not None:
        found += _steps(release, RELEASE_STEPS, usual)
    elif build is not None and build.status in OPEN:
        found += [Step("todo", RELEASE_STEPS[word], usual=usual.get(word)) for word in ("start", "switch")]
    return found


def _steps(job: Build | Release, words: Mapping[str, str], usual: Mapping[str, float]) -> list[Step]:
    found = []
    for at, row in enumerate(job.steps):
        kind = _kind(job.status, row) if at == len(job.steps) - 1 else "done"
        name = words.get(row["name"], row["name"].capitalize())
        if kind == "now" and isinstance(job, Release):
            name = standing.on_trial(job) or name
        found.append(Step(kind, name, parse_datetime(row["at"]), row["seconds"], usual.get(row["name"])))
    if job.status in OPEN:
        known = {row["name"] for row in job.steps}
        expected = [word for word in words if word not in known]
        if isinstance(job, Release) and not job.release_command:
            expected = [word for word in expected if word != "release phase"]
        found += [Step("todo", words[word], usual=usual.get(word)) for word in expected]
    return found


def _kind(status: str, last: Mapping[str, Any]) -> str:
    if status in ("failed", "cancelled"):
        return "bad"
    return "now" if status in OPEN and last["seconds"] is None else "done"


def _began(build: Build | None, release: Release | None) -> datetime | None:
    return next((job.started_at or job.created_at for job in (build, release) if job), None)


def _elapsed(build: Build | None, release: Release | None) -> float | None:
    started = _began(build, release)
    ended = next((job.finished_at for job in (release, build) if job), None)
    return ((ended or timezone.now()) - started).total_seconds() if started else None
