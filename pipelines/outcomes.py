"""How a promotion ends: with its last target, at the first failure where they take turns, or since someone stops it."""

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from core import activity, changes, live
from core.changes import Change
from core.errors import Conflict
from pipelines.models import Promotion, PromotionTarget
from releases.models import OPEN


@transaction.atomic
def stop(promotion: Promotion, *, by: User) -> Promotion:
    """Start nothing more of it; what is on its way goes on to its end. `Conflict` when all has begun already."""
    locked = Promotion.objects.select_for_update().get(pk=promotion.pk)
    if not _skip_pending(locked, f"Not started, since {by.get_full_name()} stopped the promotion."):
        raise Conflict("Every app of this promotion has been started already: there is nothing left to stop.")
    activity.record(
        by,
        "stopped the promotion of",
        locked.source,
        pipeline=locked.pipeline,
        release=locked.release.version,
        promotion=str(locked.pk),
    )
    settle(locked)
    return locked


def settle(promotion: Promotion) -> bool:
    """Complete the promotion exactly when all its targets have ended; true when this did it. Called in the transaction
    that ended one of them."""
    Promotion.objects.select_for_update().get(pk=promotion.pk)
    if promotion.one_by_one:
        _stop_at_failure(promotion)
    if PromotionTarget.objects.filter(promotion=promotion, status__in=OPEN).exists():
        return False
    live.tell(promotion.source.topic)
    now, completed = timezone.now(), Promotion.Status.COMPLETED
    pending = Promotion.objects.filter(pk=promotion.pk, status=Promotion.Status.PENDING)
    if not pending.update(status=completed, completed_at=now):
        return False
    promotion.status, promotion.completed_at = completed, now
    changes.note(Change(promotion, by=promotion.by, pipeline_id=promotion.pipeline_id))
    return True


def _stop_at_failure(promotion: Promotion) -> None:
    """After a target that failed, those whose turn has not come get none. None of them is in anybody's hand: a later
    one can be claimed only once all before it have succeeded."""
    targets = PromotionTarget.objects.filter(promotion=promotion).select_related("app")
    failed = next((row for row in targets if row.status == PromotionTarget.Status.FAILED), None)
    if failed is not None:
        _skip_pending(promotion, f"Not started, since the promotion failed on {failed.app.name}.")


def _skip_pending(promotion: Promotion, reason: str) -> int:
    """End the targets that nobody has begun with; returns how many."""
    pending = PromotionTarget.objects.filter(promotion=promotion, status=PromotionTarget.Status.PENDING)
    for target in pending.select_related("app"):
        live.tell(target.app.topic)
    return pending.update(
        status=PromotionTarget.Status.FAILED, reason=reason[:500], finished_at=timezone.now()
    )
