"""Writes the notices that a change makes, in its transaction: undone with it, sent by the conductor afterwards."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from core import live
from core.changes import Change
from notices import occasions
from notices.audience import audience
from notices.models import Channel, Notice, Preference
from notices.occasions import Occasion

ASKING = frozenset(["approval-asked"])  # what wants something of whom it is about


def hear(change: Change) -> None:
    """Write down whom a change is to be told to."""
    for occasion in occasions.of(change):
        put(occasion)


def put(occasion: Occasion) -> None:
    """Have it told to each channel and each person that is to hear of it; of the same, nothing more."""
    rows = [*_to_channels(occasion), *_to_people(occasion)]
    if rows:
        Notice.objects.bulk_create(rows, ignore_conflicts=True)
        live.tell(live.DELIVERIES)


def notice_of(occasion: Occasion, **to: Any) -> Notice:
    """The row that tells of it, not yet saved."""
    return Notice(
        event=occasion.event,
        kind=occasion.thing._meta.label_lower,
        thing=occasion.thing.pk,
        occasion=occasion.time,
        pipeline_id=occasion.pipeline_id,
        app_id=occasion.app_id,
        **to,
    )


def _to_channels(occasion: Occasion) -> Iterator[Notice]:
    if occasion.pipeline_id is not None:
        for channel in Channel.objects.filter(pipeline=occasion.pipeline_id).only("events", "pipeline"):
            if _is_told(occasion, channel.events):
                yield notice_of(occasion, channel=channel)


def _is_told(occasion: Occasion, events: Collection[str]) -> bool:
    return occasion.event in events and occasion.cause not in events


def _to_people(occasion: Occasion) -> Iterator[Notice]:
    """By mail. Who did it themselves is told only if it is about them all the same. Who is asked for something sees it
    in the dashboard whether they are mailed or not: their rows say who that is."""
    told = _mailed(occasion) if settings.MAIL else set()
    for pk in told:
        yield notice_of(occasion, user_id=pk)
    if occasion.event in ASKING:
        for user in occasion.about:
            if user.pk not in told:
                yield notice_of(
                    occasion,
                    user_id=user.pk,
                    status=Notice.Status.SKIPPED,
                    finished_at=timezone.now(),
                    reason="They are not mailed: it shows in the dashboard.",
                )


def _mailed(occasion: Occasion) -> set[Any]:
    told = {user.pk for user in occasion.about if _wants_what_is_theirs(user, occasion.pipeline_id)}
    did = occasion.by.pk if occasion.by else None
    return told | {pk for pk in _subscribers(occasion) if pk != did}


def preference_of(user: User, pipeline_id: Any) -> Preference:
    """What `user` wants to be mailed of a pipeline: as they said of it, or of all; unsaved where they said nothing."""
    rows = {row.pipeline_id: row for row in Preference.objects.filter(_of_these(pipeline_id), user=user)}
    return rows.get(pipeline_id) or rows.get(None) or Preference(user=user)


def _wants_what_is_theirs(user: User, pipeline_id: Any) -> bool:
    return user.is_active and preference_of(user, pipeline_id).email


def _subscribers(occasion: Occasion) -> Iterable[Any]:
    if occasion.pipeline_id is None:
        return ()
    rows = Preference.objects.filter(_of_these(occasion.pipeline_id))
    rows = rows.filter(user__in=audience(occasion.pipeline_id)).order_by("pipeline")
    own = {row.user_id: row for row in rows if row.pipeline_id is not None}
    chosen = {row.user_id: own.get(row.user_id, row) for row in rows}
    return [pk for pk, row in chosen.items() if _is_told(occasion, row.events)]


def _of_these(pipeline_id: Any) -> Q:
    return Q(pipeline=None) | Q(pipeline=pipeline_id) if pipeline_id else Q(pipeline=None)
