"""Fields of the pages' forms: what came in, as text. What is right and wrong is said by the actions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from django.http import HttpRequest

from core.errors import Refusal

T = TypeVar("T")

MAX_TEXT = 2000


class Form:
    """What a person sent, and what was wrong with it: `form.name.value`, `form.name.error` in templates."""

    def __init__(self, request: HttpRequest | None = None, **initial: Any) -> None:
        self._values: dict[str, Any] = dict(initial)
        if request is not None and request.method == "POST":
            self._values |= {
                key: str(text)[:MAX_TEXT].replace("\0", "").strip() for key, text in request.POST.items()
            }
        self.errors: dict[str, str] = {}
        self.message = ""
        self.status = 200

    def __getitem__(self, name: str) -> "Field":
        """The field of that name; the form's own attributes are none, and templates look here first."""
        if name in ("errors", "message", "status"):
            raise KeyError(name)
        return Field(name, self._values.get(name, ""), self.errors.get(name, ""))

    def value(self, name: str) -> str:
        """The text of a field, stripped; empty when it did not come."""
        return str(self._values.get(name) or "")

    def over(self, initial: Mapping[str, Any]) -> "Form":
        """This form with `initial` where nothing came in; what was refused stays refused."""
        self._values = {**initial, **self._values}
        return self

    def holding(self, values: Mapping[str, Any]) -> "Form":
        """This form with `values`, of fields that came in several times."""
        self._values |= values
        return self

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Do `action` and return what it made; None when it was refused, and then `status`, `message` and the
        fields' errors say why. Who may not see or do it at all (403, 404) is told so by the usual page."""
        try:
            return action()
        except Refusal as refusal:
            if refusal.status in (401, 403, 404):
                raise
            shown = {name: text for name, text in refusal.fields.items() if name in self._values}
            self.refuse(refusal.message, shown).status = refusal.status
            return None

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """What is refused inside is about the field `name`, whatever the action calls it."""
        try:
            yield
        except Refusal as refusal:
            refusal.fields = {name: refusal.message}
            raise

    def refuse(self, message: str, fields: Mapping[str, str]) -> "Form":
        """Note what was turned down: beside the fields it is about, or on top when it is about none of them."""
        self.errors = dict(fields)
        self.message = "" if fields else message
        return self


class Field:
    """One field of a form as templates draw it."""

    def __init__(self, name: str, value: Any, error: str) -> None:
        self.name, self.value, self.error = name, value, error
