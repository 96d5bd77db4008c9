"""What others wrote is text in every chat: it mentions nobody, links nowhere and ends no markup."""

import json
import uuid

import pytest

from notices import formats
from notices.models import Channel, Notice
from notices.stories import Story, plain

HOSTILE = [
    "<!here> <!channel> <@U024BE7LH>",
    "@here @channel @all @everyone",
    "<https://evil.example|Approve>",
    "[Approve](https://evil.example)",
    "https://evil.example/x www.evil.example",
    "**bold** `code` ~~gone~~ _it_ > quote # head | a | b |",
    "&lt;!here&gt;",
    "line\r\nSubject: other\u202egnp.exe",
]
OURS = "https://slipway.example/pipelines/shop/"


def body(kind, text):
    story = Story(plain(text), ((plain(text), plain(text)),), OURS, "Open the board", "bad")
    return formats.body(Notice(pk=uuid.uuid4()), Channel(kind=kind), story)


def texts(value):
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in ("url", "$schema"):
                yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("kind", [kind for kind in Channel.Kind.values if kind != "email"])
@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_breaks_out(kind, text):
    made = body(kind, text)
    words = "\n".join(texts(made)).replace(OURS, "")
    for mention in ("@here", "@channel", "@all", "@everyone", "@U024"):
        assert mention not in words
    assert "://" not in words and "www.evil" not in words
    assert "\n" not in json.dumps(made) and "\u202e" not in words
    if kind == "slack":
        assert "<" not in made["text"]
    if kind == "mattermost":
        assert "[Approve]" not in words and "**bold**" not in words
    if kind == "discord":
        assert made["allowed_mentions"] == {"parse": []}
        assert "[Approve]" not in words


@pytest.mark.parametrize("text", HOSTILE)
def test_a_mail_has_one_link(text):
    letter = Story(plain(text), ((plain(text), plain(text)),), OURS, "Open").text
    assert letter.endswith(OURS) and "://" not in letter.removesuffix(OURS)
    assert "www.evil" not in letter and "\r" not in letter


def test_slack_takes_texts_of_3000_characters():
    story = Story("a", tuple(("name", "x" * 300) for _ in range(40)), OURS, "Open")
    made = formats.body(Notice(pk=uuid.uuid4()), Channel(kind="slack"), story)
    assert len(made["blocks"][0]["text"]["text"]) <= 3000


def test_each_has_its_link():
    for kind in Channel.Kind.values:
        if kind != "email":
            assert OURS in json.dumps(body(kind, "A release failed"))
