"""What the pages of notifications show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F

from accounts.access import MANAGE
from accounts.models import User
from notices.events import EVENTS, OF_WORD, USUAL
from notices.models import Channel, Notice, Preference
from pipelines import access, notifications
from pipelines.models import Pipeline

RECENT = 20  # notices on the page of a pipeline
TOLD = 50  # things that a person should hear of
SHOWN = 50  # pipelines with a preference of their own
NAMED = 5  # events of a channel in its line
OFFERED = 200  # pipelines to choose from
HINTS = {
    Channel.Kind.SLACK: "https://hooks.slack.com/services/…",
    Channel.Kind.MATTERMOST: "https://chat.example.com/hooks/…",
    Channel.Kind.DISCORD: "https://discord.com/api/webhooks/…",
    Channel.Kind.TEAMS: "https://….webhook.office.com/…",
    Channel.Kind.EMAIL: "team@example.com",
}
STATES = {"succeeded": "passed", "failed": "failed", "skipped": "none"}


@dataclass(frozen=True)
class Choice:
    """An event to tick."""

    word: str
    title: str
    on: bool


@dataclass(frozen=True)
class Row:
    """A channel in the list: `kind` is how it stands, for the mark beside it."""

    channel: Channel
    kind: str
    word: str
    told: str


@dataclass(frozen=True)
class Sent:
    """A notice that was sent, or waits to be."""

    notice: Notice
    title: str
    kind: str
    word: str


@dataclass(frozen=True)
class Wish:
    """What a person is mailed of a pipeline, or of all, as the form shows it."""

    preference: Preference
    choices: list[Choice]

    @property
    def summary(self) -> str:
        """In words, folded."""
        events = len(self.preference.events)
        parts = [
            "what is yours" if self.preference.email else "",
            f"{events} {'kind' if events == 1 else 'kinds'} of events" if events else "",
            "a daily summary" if self.preference.summary else "",
        ]
        return ", ".join(part for part in parts if part) or "nothing"


def choices(chosen: Sequence[str]) -> list[Choice]:
    """Every event, ticked where it is chosen."""
    return [Choice(event.word, event.title, event.word in chosen) for event in EVENTS]


def channels_context(
    pipeline: Pipeline, user: User, rights: frozenset[str], chosen: Sequence[str] | None
) -> dict[str, Any]:
    """The page of a pipeline. `chosen` are the events of a form that was turned down."""
    channels = Channel.objects.filter(pipeline=pipeline).select_related("by").defer("sealed")
    recent = Notice.objects.filter(pipeline=pipeline, channel__isnull=False)
    return {
        **_frame(pipeline),
        "may_manage": MANAGE in rights,
        "rows": [_row(channel) for channel in channels],
        "kinds": Channel.Kind.choices,
        "mail": settings.MAIL,
        "choices": choices(USUAL if chosen is None else chosen),
        "recent": [_sent(notice) for notice in recent.select_related("channel")[:RECENT]],
    }


def channel_context(pipeline: Pipeline, channel: Channel, chosen: Sequence[str]) -> dict[str, Any]:
    """The page that changes a channel."""
    return {**_frame(pipeline), "channel": channel, "choices": choices(chosen), "hint": HINTS[channel.kind]}  # type: ignore[index]


def told_context(user: User) -> dict[str, Any]:
    """What a person should hear of."""
    return {"told": notifications.notifications(user)[:TOLD], "mail": settings.MAIL}


def mails_context(user: User, opened: str) -> dict[str, Any]:
    """What a person is mailed; with `opened`, the name of a pipeline, the form for that one."""
    first = F("pipeline__name").asc(nulls_first=True)
    rows = list(Preference.objects.filter(user=user).select_related("pipeline").order_by(first)[: SHOWN + 1])
    of_all = rows[0] if rows and rows[0].pipeline is None else Preference(user=user)
    everything = Wish(of_all, choices(of_all.events))
    wishes = {row.pipeline.name: Wish(row, choices(row.events)) for row in rows if row.pipeline is not None}
    seen = access.pipelines_for(user).order_by("name")[:OFFERED]
    others = [pipeline for pipeline in seen if pipeline.name not in wishes]
    asked = next((pipeline for pipeline in others if pipeline.name == opened), None)
    return {
        "everything": everything,
        "wishes": list(wishes.values()),
        "opened": opened,
        "asked": _copy(everything, asked) if asked else None,
        "others": others,
        "mail": settings.MAIL,
    }


def _copy(wish: Wish, pipeline: Pipeline) -> Wish:
    """The same as for all, to begin with."""
    row = wish.preference
    preference = Preference(
        user=row.user, pipeline=pipeline, email=row.email, events=row.events, summary=row.summary
    )
    return Wish(preference, wish.choices)


def _frame(pipeline: Pipeline) -> dict[str, Any]:
    return {"pipeline": pipeline, "tab": "settings"}


def _row(channel: Channel) -> Row:
    told = _in_words(channel.events)
    if channel.error:
        return Row(channel, "failed", "Not reached", told)
    if channel.told_at:
        return Row(channel, "passed", "Reached", told)
    return Row(channel, "none", "Told nothing yet", told)


def _in_words(events: Sequence[str]) -> str:
    """What a channel is told of; of most events, how many."""
    titles = [OF_WORD[word].title for word in events if word in OF_WORD]
    return f"{len(titles)} of {len(EVENTS)} kinds of events" if len(titles) > NAMED else ", ".join(titles)


def _sent(notice: Notice) -> Sent:
    title = OF_WORD[notice.event].title if notice.event in OF_WORD else "A test message"
    word = "waits" if notice.status in ("pending", "running") else str(notice.get_status_display())
    return Sent(notice, title, STATES.get(notice.status, "queued"), word)
