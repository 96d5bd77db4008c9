"""A notice in words: plain text, whose look is the business of `formats`."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from releases.commits import clean

LONGEST = 300  # characters of what others wrote


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
        """All of it as plain text."""
        return "\n".join([self.title, *(f"{name}: {text}" for name, text in self.facts), "", self.url])


class Stale(Exception):
    """There is nothing to tell any more; the message says why."""


def plain(text: str) -> str:
    """On one line, of a length that a chat takes, without what turns the direction of writing."""
    line = " ".join(clean(str(text)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def page(name: str, *args: Any, fragment: str = "") -> str:
    """The whole address of a page of the dashboard."""
    path = reverse(name, args=args, urlconf=settings.ROOT_URLCONF)
    return f"{settings.URL}{path}" + (f"#{fragment}" if fragment else "")
