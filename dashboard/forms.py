"""Fields of the pages' forms: what came in, as text. What is right and wrong is said by the actions."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

MAX_TEXT = 2000


class Form:
    """What a person sent, and what was wrong with it: `form.name.value`, `form.name.error` in templates."""

    def __init__(self, request: HttpRequest | None = None, **initial: Any) -> None:
        self._values: dict[str, Any] = dict(initial)
        if request is not None and request.method == "POST":
            self._values |= {key: text[:MAX_TEXT].strip() for key, text in request.POST.items()}
        self.errors: dict[str, str] = {}
        self.message = ""

    def __getitem__(self, name: str) -> "Field":
        return Field(name, self._values.get(name, ""), self.errors.get(name, ""))

    def value(self, name: str) -> str:
        """The text of a field, stripped; empty when it did not come."""
        return str(self._values.get(name) or "")

    def refuse(self, message: str, fields: Mapping[str, str]) -> "Form":
        """Note what was turned down: beside the fields it is about, or on top when it is about none of them."""
        self.errors = dict(fields)
        self.message = "" if fields else message
        return self


class Field:
    """One field of a form as templates draw it."""

    def __init__(self, name: str, value: Any, error: str) -> None:
        self.name, self.value, self.error = name, value, error
