"""Releases on trial: a promotion may have to prove itself with a share of the requests, or on one app, before the rest
follows. The line into the stage says so, and by what it is judged."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from conductor.wishes import WEB, View
from core.errors import ReleaseFailed
from flow.models import Line
from flow.watching import limits_of, verdict
from pipelines.models import Coupling, PromotionTarget
from releases.models import OPEN, Release

LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Trial:
    """How many percent of the requests a release gets at first, and for how many minutes."""

    percent: int
    minutes: int


def trial_of(release: Release, view: View) -> Trial | None:
    """The trial that `release` has to stand before it gets all requests; None when there is none, or nothing serves
    beside it."""
    serves = view.current is not None and any(
        row.type == WEB and row.state == row.State.UP and row.release_version == view.current.version
        for row in view.dynos
    )
    if release.kind != Release.Kind.PROMOTE or not serves or WEB not in release.process_types:
        return None
    line = _line(release.app_id, Line.Canary.SHARE)
    if line is None or not line.canary_minutes or not 0 < line.canary_percent < 100:
        return None
    return Trial(line.canary_percent, line.canary_minutes)


def judge(release: Release) -> float:
    """The seconds that its trial still takes; `ReleaseFailed` when something speaks against it."""
    words = f"On trial with {release.canary_percent} % of the requests"
    later = Release.objects.filter(app=release.app_id, version__gt=release.version, status__in=OPEN)
    instead = later.filter(kind__in=[Release.Kind.DEPLOY, Release.Kind.ROLLBACK]).order_by("version").first()
    if instead is not None:
        raise ReleaseFailed(f"{words} when {instead} came to take its place.")
    line = _line(release.app_id, Line.Canary.SHARE)
    since = release.started_at or release.created_at
    if line and (against := verdict(release.app, release.version, since, limits_of(line))):
        raise ReleaseFailed(f"{words}, {against}.")
    release.refresh_from_db(fields=["canary_until"])
    left = (release.canary_until - timezone.now()).total_seconds() if release.canary_until else 0.0
    return max(0.0, left)


def seconds_until(target: PromotionTarget) -> float:
    """How long `target` has to wait for another app of its stage that has the release first; 0: not at all.
    `ReleaseFailed` when that one did not do well."""
    coupling = Coupling.objects.filter(app=target.app_id).first()
    line = _line(target.app_id, Line.Canary.APP) if coupling else None
    if coupling is None or line is None:
        return 0.0
    same_stage = target.promotion.targets.filter(app__coupling__stage=coupling.stage_id)
    first = same_stage.select_related("app", "release").first()
    if first is None or first.pk == target.pk:
        return 0.0
    if first.status in OPEN:
        return LOOK_SECONDS
    return _stands(first, line)


def _stands(first: PromotionTarget, line: Line) -> float:
    """How long the release has still to stand on the app that got it first."""
    release, name = first.release, first.app.name
    if first.status == PromotionTarget.Status.FAILED or release is None or first.finished_at is None:
        raise ReleaseFailed(f"Not started, since the promotion failed on {name}.")
    current = Release.objects.current_for(first.app)
    if current is None or current.slug_id != release.slug_id:
        raise ReleaseFailed(f"Not started, since {name} runs something else by now.")
    if against := verdict(first.app, release.version, first.finished_at, limits_of(line)):
        raise ReleaseFailed(f"Not started, since on {name} {against}.")
    until = first.finished_at + timedelta(minutes=line.canary_minutes)
    left = (until - timezone.now()).total_seconds()
    return min(left, LOOK_SECONDS) if left > 0 else 0.0


def _line(app_id: UUID, canary: str) -> Line | None:
    return Line.objects.filter(stage__couplings__app=app_id, canary=canary).first()
