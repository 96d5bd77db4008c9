"""What a person should hear of: offers and invitations that wait for them, and what went wrong in their apps.

Nothing is stored but what they have read: each notification is told from the rows that it is about, and its id is made
of theirs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from accounts.models import Invitation, ReadMark, Transfer, User
from apps import access as app_access
from apps.models import AppTransfer
from core.errors import NotFound
from pipelines.models import PipelineTransfer
from releases.commits import clean
from releases.models import Build, Release

SPACE = UUID("0e0fcb10-4d1f-4d5c-9f1c-6d3f8d5b6a52")  # of the ids of notifications
FAILURES_SINCE = timedelta(days=14)
MOST = 50  # of each kind, the newest


@dataclass(frozen=True)
class Notification:
    """Something to hear of. `about` is the kind of the thing that it is about, with its id and name."""

    id: UUID
    title: str
    body: str
    about: str  # app, pipeline or team
    thing: UUID
    name: str
    at: datetime
    read: bool = False
    url: str = ""  # of the page where one can do something about it, where that is not the thing's own


Source = Callable[[User], Iterator[Notification]]
_sources: list[Source] = []


def follow(source: Source) -> None:
    """Have `source(user)` asked too: packages above this one know more that people should hear of."""
    _sources.append(source)


def notifications(user: User) -> list[Notification]:
    """All that `user` should hear of now, newest first."""
    more = (one for source in _sources for one in source(user))
    found = sorted((*_waiting(user), *_failed(user), *more), key=lambda one: one.at, reverse=True)
    read = set(ReadMark.objects.filter(user=user).values_list("notification", flat=True))
    # They are read at terminals: what others named or wrote must not move a cursor there.
    return [replace(one, title=clean(one.title), body=clean(one.body), read=one.id in read) for one in found]


@transaction.atomic
def mark(id: UUID, *, read: bool, by: User) -> Notification:
    """Note that `by` has read a notification of theirs, or has not. `NotFound` when there is no such thing (any
    more); marks of what there is no more are cleared away."""
    there = notifications(by)
    found = next((one for one in there if one.id == id), None)
    if found is None:
        raise NotFound("Couldn't find that notification.", resource="notification")
    if read:
        ReadMark.objects.get_or_create(user=by, notification=id)
    kept = [one.id for one in there if read or one.id != id]
    ReadMark.objects.filter(user=by).exclude(notification__in=kept).delete()
    return replace(found, read=read)


def _waiting(user: User) -> Iterator[Notification]:
    offers = AppTransfer.objects.filter(recipient=user, state=Transfer.State.PENDING)
    for offer in offers.filter(app__destroyed_at=None).select_related("owner", "app")[:MOST]:
        yield _offer(offer, "app", offer.app_id, offer.app.name)
    wider = PipelineTransfer.objects.filter(recipient=user, state=Transfer.State.PENDING)
    for wide in wider.select_related("owner", "pipeline")[:MOST]:
        yield _offer(wide, "pipeline", wide.pipeline_id, wide.pipeline.name)
    for invitation in (
        Invitation.objects.open().filter(email__iexact=user.email).select_related("team", "by")[:MOST]
    ):
        team, who = invitation.team, invitation.by.get_full_name() if invitation.by else "An admin"
        yield Notification(
            id_of("invitation", invitation.pk),
            f"{who} invites you to the team {team.name}",
            f"As {invitation.role}. The link that you were sent is good until {invitation.expires_at:%d %B %Y}.",
            "team",
            team.pk,
            team.name,
            invitation.created_at,
        )


def _offer(transfer: Transfer, about: str, thing: UUID, name: str) -> Notification:
    return Notification(
        id_of(f"{about}-transfer", transfer.pk),
        f"{transfer.owner.get_full_name()} offers you the {about} {name}",
        "Accept or decline it on the page Transfers of the dashboard.",
        about,
        thing,
        name,
        transfer.created_at,
    )


def _failed(user: User) -> Iterator[Notification]:
    apps = app_access.apps_for(user)
    since = timezone.now() - FAILURES_SINCE
    releases = Release.objects.filter(app__in=apps, status=Release.Status.FAILED, finished_at__gte=since)
    for release in releases.select_related("app").order_by("-finished_at")[:MOST]:
        yield _failure("release", f"Release {release} of {release.app.name} failed", release)
    builds = Build.objects.filter(app__in=apps, status=Build.Status.FAILED, finished_at__gte=since)
    for build in builds.select_related("app", "source").order_by("-finished_at")[:MOST]:
        yield _failure("build", f"A build of {build.app.name} failed", build)


def _failure(kind: str, title: str, job: Release | Build) -> Notification:
    what = job.description if isinstance(job, Release) else str(job.source)
    text = " ".join(f"{part.rstrip('.')}." for part in (what, job.reason) if part)
    at = job.finished_at or job.created_at
    return Notification(id_of(kind, job.pk), title, text, "app", job.app_id, job.app.name, at)


def id_of(kind: str, pk: UUID) -> UUID:
    """The id of the notification about a row of that kind."""
    return uuid5(SPACE, f"{kind}/{pk}")
