"""What is done with channels and with what people want to be mailed."""

from collections.abc import Iterable
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from core import activity, live
from core.errors import EngineError, NotFound, Refusal
from engine.outbound import Outbound
from notices import events
from notices.models import Channel, Notice, Preference
from notices.occasions import Occasion
from notices.outbox import notice_of
from pipelines.models import Pipeline
from releases.commits import clean

MAX_CHANNELS = 20  # of a pipeline


@transaction.atomic
def add_channel(
    pipeline: Pipeline, *, name: str, kind: str, address: str, events: Iterable[str], by: User
) -> Channel:
    """Have a chat, or a mail address, told of what happens in a pipeline."""
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    if Channel.objects.filter(pipeline=pipeline).count() >= MAX_CHANNELS:
        raise Refusal(f"{pipeline.name} has {MAX_CHANNELS} channels, which is the limit. Remove one first.")
    channel = Channel(pipeline=pipeline, by=by)
    channel.name, channel.kind = _name(pipeline, name), _kind(kind)
    channel.address, channel.events = _address(kind, address), _events(events)
    channel.save(force_insert=True)
    activity.record(by, "added", channel, pipeline=pipeline, kind=kind, events=channel.events)
    live.tell(pipeline.topic)
    return channel


@transaction.atomic
def change_channel(
    channel: Channel,
    *,
    name: str | None = None,
    address: str | None = None,
    events: Iterable[str] | None = None,
    by: User,
) -> Channel:
    """Change what is given; an empty `address` leaves it where it is. What waits to be sent goes to where it is now."""
    channel = _locked(channel)
    if name is not None:
        channel.name = _name(channel.pipeline, name, but=channel)
    if address:
        channel.address = _address(channel.kind, address)
    if events is not None:
        channel.events = _events(events)
    channel.failures, channel.rests_until, channel.error = 0, None, ""
    channel.save()
    moved = {"address": "changed"} if address else {}
    activity.record(by, "changed", channel, pipeline=channel.pipeline, events=channel.events, **moved)
    live.tell(channel.pipeline.topic)
    return channel


@transaction.atomic
def remove_channel(channel: Channel, *, by: User) -> None:
    """Tell it nothing more, of what waits to be sent neither."""
    activity.record(by, "removed", channel, pipeline=channel.pipeline, kind=channel.kind)
    channel.delete()
    live.tell(channel.pipeline.topic)


@transaction.atomic
def test_channel(channel: Channel, *, by: User) -> Notice:
    """Send it a message that says nothing but that it gets there."""
    channel = _locked(channel)
    Channel.objects.filter(pk=channel.pk).update(rests_until=None)
    notice = notice_of(
        Occasion(events.TEST, channel, channel.pipeline_id, time=timezone.now().isoformat()), channel=channel
    )
    notice.save(force_insert=True)
    activity.record(by, "tested", channel, pipeline=channel.pipeline)
    live.tell(live.DELIVERIES)
    return notice


@transaction.atomic
def prefer(
    user: User,
    pipeline: Pipeline | None,
    *,
    email: bool,
    events: Iterable[str],
    summary: bool,
    by: User,
) -> Preference:
    """Say what `user` wants to be mailed of a pipeline, or of all that nothing else is said of."""
    row, _ = Preference.objects.get_or_create(user=user, pipeline=pipeline)
    row.email, row.events, row.summary = email, _events(events), summary
    row.save()
    where = {"pipeline": pipeline} if pipeline else {}
    activity.record(by, "changed the notifications of", user, **where)
    return row


@transaction.atomic
def prefer_nothing_else(user: User, pipeline: Pipeline, *, by: User) -> None:
    """Treat a pipeline as all others again."""
    if not Preference.objects.filter(user=user, pipeline=pipeline).delete()[0]:
        raise NotFound(f"You have said nothing of {pipeline.name}.", resource="preference")
    activity.record(by, "changed the notifications of", user, pipeline=pipeline)


def channel_of(pipeline: Pipeline, pk: UUID | str) -> Channel:
    """A channel of this very pipeline; `NotFound` when it has none of that id."""
    found = Channel.objects.filter(pipeline=pipeline, pk=pk).select_related("pipeline").first()
    if found is None:
        raise NotFound("Couldn't find that channel.", resource="channel")
    return found


def _locked(channel: Channel) -> Channel:
    found = Channel.objects.select_for_update(of=("self",)).select_related("pipeline").filter(pk=channel.pk)
    row = found.first()
    if row is None:
        raise NotFound("Couldn't find that channel.", resource="channel")
    return row


def _name(pipeline: Pipeline, text: str, but: Channel | None = None) -> str:
    name = " ".join(clean(text).split())
    if not name or len(name) > 60:
        problem = "Give it a name of at most 60 characters."
        raise Refusal(problem, fields={"name": problem})
    rows = Channel.objects.filter(pipeline=pipeline, name=name)
    if (rows.exclude(pk=but.pk) if but else rows).exists():
        problem = f"{pipeline.name} has a channel of that name already."
        raise Refusal(problem, fields={"name": problem})
    return name


def _kind(kind: str) -> str:
    if kind not in Channel.Kind.values:
        problem = f"A channel is one of {', '.join(Channel.Kind.values)}."
        raise Refusal(problem, fields={"kind": problem})
    return kind


def _events(words: Iterable[str]) -> list[str]:
    return events.checked(words)


def _address(kind: str, text: str) -> str:
    return _mail_address(text) if kind == Channel.Kind.EMAIL else _url(text)


def _mail_address(text: str) -> str:
    if not settings.MAIL:
        problem = "This Slipway sends no mail: its operator sets EMAIL_URL for that."
        raise Refusal(problem, fields={"address": problem})
    try:
        validate_email(text)
    except ValidationError:
        problem = "This is not an e-mail address."
        raise Refusal(problem, fields={"address": problem}) from None
    return text


def _url(text: str) -> str:
    """A host that is not known today may be tomorrow."""
    try:
        Outbound(settings.OUTBOUND_ALLOW).check(text)
    except Refusal as refusal:
        raise Refusal(refusal.message, fields={"address": refusal.message}) from None
    except EngineError:
        return text
    return text
