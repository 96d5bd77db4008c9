"""Listens to `core.changes`: what makes a line look again at what waits there."""

from typing import Any

from django.db.models import Q

from apps.models import App
from core import live
from core.changes import MOVED_ON, Change
from flow import passages, watching
from flow.models import Hold, Line, Passage, Probe
from pipelines.models import Coupling, Promotion, PromotionTarget, Stage
from releases.models import Release

# What people do in a pipeline after which other releases may want to pass.
_VERBS = {"added", "moved", "removed", "moved the stage", "added the stage", "removed the stage"}


def heard(change: Change) -> None:
    """Called with each change, in its transaction."""
    thing = change.thing
    if isinstance(thing, Release) and change.verb == MOVED_ON:
        if thing.status == Release.Status.SUCCEEDED:
            _released(thing)
    elif isinstance(thing, Promotion) and change.verb == MOVED_ON:
        watching.promotion_ended(thing)
        _look_again(Q(stage__pipeline=thing.pipeline_id))
    elif isinstance(thing, Probe) and change.verb == MOVED_ON:
        passages.make_due(Passage.objects.filter(pk=thing.passage_id))
    elif change.verb in _VERBS and change.pipeline_id:
        _look_again(Q(stage__pipeline=change.pipeline_id))
    elif commit := _tested(thing):
        passages.make_due(Passage.objects.filter(slug__commit=commit))


def _released(release: Release) -> None:
    coupling = Coupling.objects.filter(app=release.app_id).select_related("stage", "app").first()
    if coupling is None:
        return
    if release.kind == Release.Kind.ROLLBACK and release.by_id is not None:
        _older(coupling, release)
    target = (
        PromotionTarget.objects.filter(release=release).select_related("app", "release", "promotion").first()
    )
    if target is not None:
        watching.begin(target)
        if release.by_id is not None and not target.promotion.automatic and _is_older(target, release):
            _older(coupling, release, outgoing=False)
    _look_again(Q(stage__pipeline=coupling.pipeline_id))


def _is_older(target: PromotionTarget, release: Release) -> bool:
    """Whether something older was promoted than what its source runs."""
    current = Release.objects.current_for(target.promotion.source)
    slug = release.slug
    if current is None or current.slug is None or slug is None or current.slug_id == slug.pk:
        return False
    return current.slug.created_at > slug.created_at


def _older(coupling: Coupling, release: Release, *, outgoing: bool = True) -> None:
    """An older release was put there by hand: what moves by itself stands, so that it stays."""
    stages = [coupling.stage, *([after] if outgoing and (after := coupling.stage.next()) else [])]
    lines = Line.objects.filter(stage__in=stages).exclude(mode=Line.Mode.HAND)
    for line in lines.select_related("stage__pipeline"):
        who = release.by.get_full_name() if release.by else "Somebody"
        reason = f"{who} put an older release on {coupling.app.name} by hand ({release.description})"
        passages.hold_line(line, Hold.Cause.OLDER, reason, app=coupling.app)


def _look_again(which: Q) -> None:
    if Line.objects.filter(which, stale=False).update(stale=True):
        live.wake_conductor()


def _tested(thing: Any) -> str:
    """The commit that a test run, or a host's own check, has news of."""
    if thing._meta.model_name in ("testrun", "commitstatus") and not isinstance(thing, App | Stage):
        return str(thing.commit or "")
    return ""
