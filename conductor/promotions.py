"""Promotions: each target becomes a release of the source's slug, with the target's own config (I-07, I-08)."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps import access
from conductor import canary
from conductor.work import Held
from core import failpoints, live
from core.errors import ReleaseFailed
from pipelines import access as pipeline_access
from pipelines import guards, outcomes
from pipelines.models import Coupling, Promotion, PromotionTarget
from releases.actions import create_release
from releases.models import OPEN, Release

RELATED = (
    "app",
    "promotion__pipeline",
    "promotion__source",
    "promotion__by",
    "promotion__release__slug",
)
LOOK_AGAIN = (
    20.0  # seconds after which a target looks whether its release has ended; normally that tells it at once
)


def advance(held: Held) -> None:
    """Make the target's release, once. The target ends together with that."""
    target = PromotionTarget.objects.select_related(*RELATED).get(pk=held.job.pk)
    target.lease_token = held.job.lease_token
    failpoints.reach("promotion.target_claimed")
    if target.release_id is None:
        if wait := _turn_in(target):
            _wait(target, wait)
            return
        _release(target)
        failpoints.reach("promotion.target_released")
    else:
        _follow(target)


def _turn_in(target: PromotionTarget) -> float:
    """The seconds until its turn may come; `ReleaseFailed` when it never will, and then nobody has begun with it."""
    try:
        return canary.seconds_until(target)
    except ReleaseFailed:
        target.record(attempt=0)
        raise


def _wait(target: PromotionTarget, seconds: float) -> None:
    """Let it be as if nobody had begun with it: whoever stops the promotion stops it too."""
    target.record(
        status=PromotionTarget.Status.PENDING,
        attempt=0,
        lease_until=None,
        lease_token=None,
        wake_at=timezone.now() + timedelta(seconds=seconds),
    )


def fail(target: Any, reason: str) -> None:
    """End the target without a release."""
    with transaction.atomic():
        target.end(PromotionTarget.Status.FAILED, reason=reason[:500])
        _tell(target)
        _complete(target.promotion)


def release_ended(release: Release, *, succeeded: bool, reason: str = "") -> None:
    """End the target that `release` was made for, if any. Called in the transaction that ends the release."""
    target = (
        PromotionTarget.objects.filter(release=release).select_related("promotion__pipeline", "app").first()
    )
    if target is None:
        return
    status = PromotionTarget.Status.SUCCEEDED if succeeded else PromotionTarget.Status.FAILED
    ended = PromotionTarget.objects.filter(pk=target.pk, status__in=OPEN).update(
        status=status, reason=reason[:500], finished_at=timezone.now(), lease_until=None, lease_token=None
    )
    if ended:
        _tell(target)
        _complete(target.promotion)


def _release(target: PromotionTarget) -> None:
    promotion = target.promotion
    _check(target)
    slug = promotion.release.slug
    assert slug is not None
    with transaction.atomic():
        release = create_release(
            target.app,
            kind=Release.Kind.PROMOTE,
            description=f"Promote {promotion.source.name} v{promotion.release.version} {slug.short}".rstrip(),
            by=promotion.by,
            slug=slug,
            note=promotion.note,
            from_release=promotion.release,
        )
        target.record(
            release=release,
            step=1,
            attempt=0,
            lease_until=None,
            lease_token=None,
            wake_at=timezone.now() + timedelta(seconds=LOOK_AGAIN),
        )
        _tell(target)


def _check(target: PromotionTarget) -> None:
    """`ReleaseFailed` with the reason why this target can't have the release now."""
    promotion, app = target.promotion, target.app
    if app.destroyed_at:
        raise ReleaseFailed(f"{app.name} has been destroyed.")
    if app.suspended_at:
        raise ReleaseFailed(f"{app.name} is suspended by an operator.")
    if promotion.by is None or access.DEPLOY not in access.rights_in(promotion.by, app):
        raise ReleaseFailed(f"You do not have the right to deploy to {app.name}.")
    coupling = Coupling.objects.filter(app=app).select_related("app", "stage__pipeline", "pipeline").first()
    if coupling and not pipeline_access.may_promote_into(promotion.by, coupling.stage):
        raise ReleaseFailed(f"You may not promote into {coupling.stage.title} any more.")
    _ask_guards(target, coupling)
    if promotion.release.slug is None or promotion.release.slug.expired_at:
        raise ReleaseFailed(
            f"The slug of {promotion.source.name} v{promotion.release.version} was cleaned away."
        )


def _ask_guards(target: PromotionTarget, coupling: Coupling | None) -> None:
    """`ReleaseFailed` when a gate has closed, or a line has been stopped, since the promotion was accepted."""
    promotion = target.promotion
    source = Coupling.objects.filter(app=promotion.source).select_related("app", "stage", "pipeline").first()
    if coupling is None or source is None:
        return
    attempt = guards.Attempt(
        source, promotion.release, coupling, promotion.by, promotion.automatic, promotion.override
    )
    if reasons := guards.against(attempt):
        raise ReleaseFailed(" ".join(reasons)[:500])


def _follow(target: PromotionTarget) -> None:
    """The release was made earlier. Normally its end is the target's; this is for the case that it was missed."""
    release = target.release
    assert release is not None
    if release.status in OPEN:
        target.record(attempt=0)
        target.put_back(seconds=LOOK_AGAIN)
        return
    with transaction.atomic():
        release_ended(release, succeeded=release.status != Release.Status.FAILED, reason=release.reason)


def _tell(target: PromotionTarget) -> None:
    live.tell(target.app.topic)
    live.tell(target.promotion.pipeline.topic)


def _complete(promotion: Promotion) -> None:
    if outcomes.settle(promotion):
        transaction.on_commit(lambda: failpoints.reach("promotion.done"))
