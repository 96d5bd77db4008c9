"""An operator's stop of apps and teams: no dyno runs until it is lifted."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import Team, User
from apps.models import App
from core import activity, live
from core.errors import Refusal


@transaction.atomic
def suspend_app(app: App, on: bool, *, by: User | None) -> App:
    """An operator's stop: no dyno runs until it is lifted. Nothing else changes."""
    if not on and app.team and app.team.suspended_at:
        raise Refusal(f"{app.name} is suspended with its team. Reinstate {app.team} instead.")
    app.suspended_at = timezone.now() if on else None
    App.objects.filter(pk=app.pk).update(suspended_at=app.suspended_at)
    activity.record(by, "suspended" if on else "reinstated", app)
    live.tell(app.topic)
    live.wake_conductor()
    return app


@transaction.atomic
def suspend_team(team: Team, *, by: User | None) -> None:
    """Have all apps of `team` stand still, and no new ones come; its people keep their access. The apps carry the
    very moment, by which `reinstate_team` tells them from those that were suspended by themselves."""
    team.suspended_at = timezone.now()
    if not Team.objects.filter(pk=team.pk, suspended_at=None).update(suspended_at=team.suspended_at):
        raise Refusal(f"{team} is suspended already.")
    apps = App.objects.alive().filter(team=team, suspended_at=None)
    _suspend_all(list(apps), team.suspended_at)
    activity.record(by, "suspended", team)


@transaction.atomic
def reinstate_team(team: Team, *, by: User | None) -> None:
    """Start the apps of `team` again, but for those that an operator suspended by themselves."""
    since = Team.objects.select_for_update().values_list("suspended_at", flat=True).get(pk=team.pk)
    if since is None:
        raise Refusal(f"{team} is not suspended.")
    Team.objects.filter(pk=team.pk).update(suspended_at=None)
    team.suspended_at = None
    _suspend_all(list(App.objects.filter(team=team, suspended_at=since)), None)
    activity.record(by, "reinstated", team)


@transaction.atomic
def suspend_apps_of(user: User, *, by: User | None) -> int:
    """An operator's stop of every app of `user`'s own; returns how many that were."""
    rows = list(App.objects.alive().filter(user=user, suspended_at=None))
    _suspend_all(rows, timezone.now())
    for app in rows:
        activity.record(by, "suspended", app)
    return len(rows)


@transaction.atomic
def reinstate_apps_of(user: User, *, by: User | None) -> int:
    """Start every app of `user`'s own that an operator has suspended again; returns how many that were."""
    rows = list(App.objects.alive().filter(user=user, suspended_at__isnull=False))
    _suspend_all(rows, None)
    for app in rows:
        activity.record(by, "reinstated", app)
    return len(rows)


def _suspend_all(apps: Sequence[App], since: datetime | None) -> None:
    App.objects.filter(pk__in=[app.pk for app in apps]).update(suspended_at=since)
    for app in apps:
        live.tell(app.topic)
    live.wake_conductor()
