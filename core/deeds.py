"""What operators do to rows: each deed is a verb of some `actions` module, done after a question that says what follows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from unfold.enums import ActionVariant

SHOWN = 20  # rows that a question names; the others are counted


def _always(row: Any) -> bool:
    return True


@dataclass(frozen=True)
class Deed:
    """A button beside a row, and an action of its list.

    `do(row, by)` is called for each row that was chosen. With `reveals` it returns what is to be shown once, under
    that heading, and such a deed is for one row at a time.
    """

    name: str
    title: str
    question: str
    do: Callable[[Any, Any], Any] = field(repr=False)
    icon: str = "bolt"
    grave: bool = False
    fits: Callable[[Any], bool] = _always
    reveals: str = ""

    def button(self, url: str) -> dict[str, Any]:
        """As unfold draws it at the top of a row's page."""
        return {
            "title": self.title,
            "icon": self.icon,
            "variant": ActionVariant.DANGER if self.grave else ActionVariant.DEFAULT,
            "attrs": {},
            "dialog": None,
            "path": url,
        }


def was_confirmed(request: HttpRequest) -> bool:
    """Whether the question was answered."""
    return request.method == "POST" and request.POST.get("confirmed") == "yes"
