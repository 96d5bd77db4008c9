"""A person's day: what was promoted, what failed, what waits, in the pipelines that they want to hear of."""

from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import User
from ci.models import State, TestRun
from flow.models import Hold, Watch
from notices.models import Notice, Preference
from notices.stories import Stale, Story, page
from pipelines import access, notifications
from pipelines.models import Pipeline, Promotion, PromotionTarget
from releases.models import Build, Release

NAMED = 10  # lines of one kind
DAY = timedelta(hours=24)


def summary(user: User, notice: Notice) -> Story:
    """The last 24 hours. `Stale` when nothing happened and nothing waits: no mail is better than an empty one."""
    since = notice.created_at - DAY
    facts: list[tuple[str, str]] = []
    for pipeline in _wanted(user):
        facts += [(pipeline.name, line) for line in _of_pipeline(pipeline, since)]
    asked = [one.title for one in notifications.notifications(user) if one.url]
    facts += [("For you", title) for title in asked[:NAMED]]
    if not facts:
        raise Stale("Nothing happened.")
    title = f"Slipway on {timezone.localdate(notice.created_at):%d %B}"
    return Story(title, tuple(facts), page("account-notifications"), "Open your notifications")


def _wanted(user: User) -> list[Pipeline]:
    """The pipelines of which they want a summary, and which they may see now."""
    said = {row.pipeline_id: row.summary for row in Preference.objects.filter(user=user)}
    everything = said.get(None, False)
    rows = access.pipelines_for(user).order_by("name")
    return [pipeline for pipeline in rows if said.get(pipeline.pk, everything)]


def _of_pipeline(pipeline: Pipeline, since: datetime) -> list[str]:
    completed = Promotion.objects.filter(pipeline=pipeline, completed_at__gte=since)
    failed = completed.filter(targets__status=PromotionTarget.Status.FAILED).distinct().count()
    back = Watch.objects.filter(
        line__stage__pipeline=pipeline, finished_at__gte=since, rollback__isnull=False
    )
    runs = TestRun.objects.filter(
        pipeline=pipeline, finished_at__gte=since, state__in=[State.FAILED, State.ERRORED]
    )
    apps = {"app__coupling__pipeline": pipeline, "finished_at__gte": since, "status": "failed"}
    holds = Hold.objects.filter(pipeline=pipeline, lifted_at=None).select_related("line__stage")
    counts = [
        (completed.count() - failed, "promotion", "done"),
        (failed, "promotion", "failed"),
        (back.count(), "rollback", "by itself"),
        (Release.objects.filter(**apps).count(), "release", "failed"),
        (Build.objects.filter(**apps).count(), "build", "failed"),
        (runs.count(), "test run", "failed"),
    ]
    said = [f"{n} {thing}{'' if n == 1 else 's'} {how}" for n, thing, how in counts if n]
    held = [f"{hold.line.stage.title if hold.line else 'All of it'} is held: {hold.reason}" for hold in holds]
    return [*([", ".join(said)] if said else []), *held[:NAMED]]
