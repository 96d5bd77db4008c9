"""What waits for a person, and what their pipelines did by themselves: for the list of what they should hear of."""

from collections.abc import Iterator
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from apps import access as app_access
from flow.models import Hold, Passage, Verdict, Watch
from notices.models import Notice
from pipelines import access
from pipelines.notifications import FAILURES_SINCE, MOST, Notification, id_of

ASKED_FOR = timedelta(days=60)


def of(user: User) -> Iterator[Notification]:
    """Approvals that they are asked for, lines that are held, rollbacks that nobody did."""
    pipelines = access.pipelines_for(user)
    for passage in _asked(user).filter(line__stage__pipeline__in=pipelines)[:MOST]:
        stage = passage.line.stage
        yield Notification(
            id_of("approval", passage.pk),
            f"{passage.source.name} {passage.release} waits for your approval to go to {stage.title}",
            f"{passage.slug.short} {passage.slug.message}",
            "pipeline",
            stage.pipeline_id,
            stage.pipeline.name,
            passage.asked_at or passage.created_at,
            url=reverse("passage", args=[stage.pipeline.name, passage.pk]),
        )
    holds = Hold.objects.filter(pipeline__in=pipelines, lifted_at=None).exclude(by=user)
    for hold in holds.select_related("pipeline", "line__stage")[:MOST]:
        where = f"into {hold.line.stage.title} " if hold.line else ""
        name = hold.pipeline.name
        title = f"The line {where}of {name} is held" if hold.line else f"All of {name} is held"
        yield Notification(
            id_of("hold", hold.pk), title, hold.reason, "pipeline", hold.pipeline_id, name, hold.created_at
        )
    yield from _rollbacks(user)


def _asked(user: User):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Passages that wait for their word, as it was when people were asked; what they may do, the page says."""
    recent = timezone.now() - ASKED_FOR
    asked = Notice.objects.filter(user=user, event="approval-asked", created_at__gte=recent).values("thing")
    said = Verdict.objects.filter(user=user).values("passage")
    rows = Passage.objects.filter(pk__in=asked, state=Passage.State.OPEN).exclude(pk__in=said)
    return rows.select_related("line__stage__pipeline", "source", "release", "slug")


def _rollbacks(user: User) -> Iterator[Notification]:
    since = timezone.now() - FAILURES_SINCE
    rows = Watch.objects.filter(rollback__isnull=False, finished_at__gte=since)
    rows = rows.filter(app__in=app_access.apps_for(user)).select_related("app", "back_to")
    for watch in rows.order_by("-finished_at")[:MOST]:
        back = f" to {watch.back_to}" if watch.back_to else ""
        yield Notification(
            id_of("watch", watch.pk),
            f"{watch.app.name} was rolled back by itself{back}",
            watch.reason,
            "app",
            watch.app_id,
            watch.app.name,
            watch.finished_at or watch.created_at,
        )
