"""A notice in words: plain text, whose look is the business of `formats`."""

import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from releases.commits import clean

LONGEST = 300  # characters of what others wrote
NARROW = "\u200b"  # a space without width: it parts `@` from a name and `:` from `//`
_LINKS = re.compile(r"(?i)\b(www)\.|(?<=[a-z0-9]):(?=//)|(?<=mailto):")


@dataclass(frozen=True)
class Story:
    """A notice in words. `facts` are (name, text); `url` leads to the page where one can do something about it."""

    title: str
    facts: tuple[tuple[str, str], ...]
    url: str
    link: str
    tone: str = "idle"

    @property
    def text(self) -> str:
        """All of it as plain text, with one link: ours."""
        said = [self.title, *(f"{name}: {text}" for name, text in self.facts)]
        return "\n".join([*map(dead, said), "", self.url])


class Stale(Exception):
    """There is nothing to tell any more; the message says why."""


def dead(text: str) -> str:
    """`text` with nothing in it that a chat or a mail would turn into a mention or a link."""
    parted = _LINKS.sub(lambda found: found[0] + NARROW, text)
    return parted.replace("@", f"@{NARROW}")


def plain(text: str) -> str:
    """On one line, of a length that a chat takes, without what turns the direction of writing."""
    line = " ".join(clean(str(text)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def page(name: str, *args: Any, fragment: str = "") -> str:
    """The whole address of a page of the dashboard."""
    path = reverse(name, args=args, urlconf=settings.ROOT_URLCONF)
    return f"{settings.URL}{path}" + (f"#{fragment}" if fragment else "")
