"""The watch after a promotion: whether a target keeps to its line's health rule, and what happens when it does not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.models import App, Dyno
from apps.traffic import Figures, figures
from core import activity, failpoints, live
from core.errors import Refusal
from flow import passages
from flow.gates import LEAST_REQUESTS
from flow.models import Hold, Line, Watch
from pipelines.models import Promotion, PromotionTarget
from releases.actions import rollback
from releases.models import Release


@dataclass(frozen=True)
class Limits:
    """What a release may do and still be called healthy."""

    crashes: int = 0
    errors: float | None = None  # percent of the answers
    p95: int | None = None  # milliseconds


def limits_of(line: Line) -> Limits:
    """The line's health rule."""
    return Limits(line.most_crashes, line.most_errors, line.most_p95)


def verdict(app: App, version: int, since: datetime, limits: Limits) -> str:
    """What speaks against release `version` of `app`, and those after it, since then, with the figures; empty when
    nothing does."""
    return _against(figures(app, since, version=version), limits)


def _against(seen: Figures, limits: Limits) -> str:
    if seen.crashes > limits.crashes:
        times = "once" if seen.crashes == 1 else f"{seen.crashes} times"
        allowed = f"; {limits.crashes} is the limit" if limits.crashes else ""
        return f"its dynos crashed {times}{allowed}"
    if seen.requests < LEAST_REQUESTS:
        return ""
    if limits.errors is not None and seen.error_rate > limits.errors:
        return f"{seen.error_rate:.1f} % of its {seen.requests} answers were errors; {limits.errors:g} % is the limit"
    if limits.p95 is not None and (seen.p95 or 0) > limits.p95:
        return f"its p95 was {seen.p95} ms; {limits.p95} ms is the limit"
    return ""


def begin(target: PromotionTarget) -> Watch | None:
    """Watch what a promotion has put there, if the line of its stage says so. Called in the transaction that ends the
    target."""
    release = target.release
    if release is None:
        return None
    line = Line.objects.filter(stage__couplings__app=target.app).select_related("stage__pipeline").first()
    if line is None or not line.watch or not line.soak_minutes:
        return None
    before = Release.objects.filter(
        app=target.app, status=Release.Status.SUCCEEDED, version__lt=release.version
    )
    back_to = before.exclude(slug=None).filter(slug__expired_at=None).order_by("-version").first()
    until = timezone.now() + timedelta(minutes=line.soak_minutes)
    Watch.objects.filter(app=target.app, status__in=["pending", "running"]).update(
        status=Watch.Status.SUPERSEDED, finished_at=timezone.now(), lease_until=None, lease_token=None
    )
    watch, _ = Watch.objects.get_or_create(
        release=release, defaults={"line": line, "app": target.app, "back_to": back_to, "until": until}
    )
    live.wake_conductor()
    return watch


def look(watch: Watch) -> bool:
    """See how it does; true when it has ended: well, overtaken by another deploy, or rolled back. The caller holds its
    lease."""
    current = Release.objects.current_for(watch.app)
    if current is None or current.slug_id != watch.release.slug_id:
        _end(watch, Watch.Status.SUPERSEDED, "Another release took its place.", Figures())
        return True
    since = watch.release.finished_at or watch.created_at
    seen = figures(watch.app, since, version=watch.release.version)
    against = _against(seen, limits_of(watch.line)) or _down(watch)
    if against:
        _fail(watch, against, seen)
        return True
    if timezone.now() >= watch.until:
        _end(watch, Watch.Status.SUCCEEDED, "", seen)
        return True
    return False


def _down(watch: Watch) -> str:
    """A dyno that is down now counts, whatever was written of crashes."""
    rows = Dyno.objects.filter(app=watch.app, one_off=False, state=Dyno.State.CRASHED)
    most = limits_of(watch.line).crashes
    dyno = rows.filter(release_version__gte=watch.release.version, crashes__gt=most).first()
    return f"{dyno.name} crashed: {dyno.reason}" if dyno else ""


@transaction.atomic
def _fail(watch: Watch, against: str, seen: Figures) -> None:
    app, line = watch.app, watch.line
    reason = f"{app.name} {watch.release} failed its watch: {against}."
    made, back = None, watch.back_to
    if back is not None and back.eligible_for_rollback:
        try:
            with transaction.atomic():
                made = rollback(app, back, by=None, note=reason)  # type: ignore[arg-type]
        except Refusal as refusal:
            reason = f"{reason} It could not be rolled back: {refusal.message}"
    else:
        reason = f"{reason} There is nothing to roll back to."
    passages.hold_line(line, Hold.Cause.ROLLED_BACK, reason, app=app)
    target = PromotionTarget.objects.filter(release=watch.release).select_related("promotion").first()
    if target is not None:
        passages.refuse_for_good(target.promotion, reason)
    activity.record(
        None,
        "rolled back by itself",
        app,
        pipeline=line.stage.pipeline,
        release=watch.release.version,
        to=back.version if made and back else None,
        why=reason,
    )
    _end(watch, Watch.Status.FAILED, reason, seen, rollback=made)
    failpoints.reach("flow.rolled_back")


@transaction.atomic
def _end(watch: Watch, status: str, reason: str, seen: Figures, **more: Any) -> None:
    facts = {
        "crashes": seen.crashes,
        "requests": seen.requests,
        "errors": round(seen.error_rate, 2),
        "p95": seen.p95,
    }
    watch.end(status, reason=reason[:500], facts=facts, **more)
    live.tell(watch.app.topic)
    live.tell(watch.line.stage.pipeline.topic)


def fail(watch: Any, reason: str) -> None:
    """End a watch that can't go on: the platform's own trouble rolls nothing back."""
    watch.end(Watch.Status.FAILED, reason=reason[:500])


def promotion_ended(promotion: Promotion) -> None:
    """After a promotion that a line made by itself and that failed somewhere, the line stands."""
    if not promotion.automatic:
        return
    failed = promotion.targets.filter(status=PromotionTarget.Status.FAILED).select_related("app")
    for target in failed:
        line = Line.objects.filter(stage__couplings__app=target.app).select_related("stage__pipeline").first()
        if line is not None:
            reason = (
                f"{promotion.source.name} {promotion.release} failed on {target.app.name}: {target.reason}"
            )
            passages.hold_line(line, Hold.Cause.FAILED, reason, app=target.app)
            passages.refuse_for_good(promotion, reason)
