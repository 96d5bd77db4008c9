"""A story as each chat and the mail want it. What others wrote (names, messages of commits) is text there and nothing
else: it mentions nobody, links nowhere, and ends no markup."""

import re
from collections.abc import Callable
from typing import Any

from notices.models import Channel, Notice
from notices.stories import Story, dead

MARKS = {"ok": "🟢", "warn": "🟠", "bad": "🔴", "idle": "⚪"}
COLOURS = {"ok": 0x2E7D4F, "warn": 0xB7791F, "bad": 0xC0392B, "idle": 0x6B7280}
STYLES = {"ok": "Good", "warn": "Warning", "bad": "Attention", "idle": "Default"}
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~^-])")


def body(notice: Notice, channel: Channel, story: Story) -> dict[str, Any]:
    """What is posted to the channel's webhook."""
    return CHATS[channel.kind](notice, story)


def _markdown(text: str) -> str:
    return _MARKUP.sub(r"\\\1", dead(text))


def _mrkdwn(text: str) -> str:
    """Slack's own: three characters begin and end what is special."""
    return dead(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack(notice: Notice, story: Story) -> dict[str, Any]:
    lines = [f"{name}: {text}" for name, text in story.facts]
    words = "\n".join([f"{MARKS[story.tone]} {story.title}", *lines])
    return {
        "text": _mrkdwn(f"{MARKS[story.tone]} {story.title}"),
        "mrkdwn": False,
        "link_names": 0,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {
                "type": "section",
                "block_id": str(notice.pk),
                "text": {"type": "plain_text", "text": dead(words)[:2900], "emoji": False},
            },
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button",
                        "text": {"type": "plain_text", "text": story.link},
                        "url": story.url,
                    }
                ],
            },
        ],
    }


def _mattermost(notice: Notice, story: Story) -> dict[str, Any]:
    lines = [f"**{_markdown(name)}:** {_markdown(text)}" for name, text in story.facts]
    head = f"{MARKS[story.tone]} **{_markdown(story.title)}**"
    return {
        "text": "\n".join([head, *lines, f"[{story.link}](<{story.url}>)"]),
        "props": {"slipway_notice": str(notice.pk)},
    }


def _discord(notice: Notice, story: Story) -> dict[str, Any]:
    fields = [
        {"name": _markdown(name)[:250] or "-", "value": _markdown(text)[:1000]} for name, text in story.facts
    ]
    return {
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": _markdown(story.title)[:250],
                "url": story.url,
                "color": COLOURS[story.tone],
                "fields": fields[:20],
                "footer": {"text": f"Slipway · {notice.pk}"},
            }
        ],
    }


def _teams(notice: Notice, story: Story) -> dict[str, Any]:
    # A text of a block is Markdown, a run is not.
    lines = [(f"{name}: ", text) for name, text in story.facts]
    blocks = [
        _run([{"text": dead(story.title), "weight": "Bolder", "color": STYLES[story.tone]}]),
        *(_run([{"text": dead(name), "isSubtle": True}, {"text": dead(text)}]) for name, text in lines),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "id": str(notice.pk),
        "body": blocks,
        "actions": [{"type": "Action.OpenUrl", "title": story.link, "url": story.url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _run(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **part} for part in parts]}


CHATS: dict[str, Callable[[Notice, Story], dict[str, Any]]] = {
    Channel.Kind.SLACK: _slack,
    Channel.Kind.MATTERMOST: _mattermost,
    Channel.Kind.DISCORD: _discord,
    Channel.Kind.TEAMS: _teams,
}
