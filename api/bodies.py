"""Reads the JSON of a request's body, strictly: what the database or another reader would choke on is turned down here."""

import json
from typing import Any

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser

from core.text import is_text

DEEPEST = 50  # of arrays and objects in each other; no call needs more than six
LARGEST = 2**63 - 1  # what a database's whole numbers hold


class StrictParser(Parser):
    """Standard JSON and no more: no NaN, no name twice, no half characters, no number that nothing can hold."""

    def parse_body(self, request: HttpRequest) -> Any:
        """What the body says. Raises `HttpError` (400) with what is wrong with it, without quoting it."""
        return parse(request.body)


class BadBody(HttpError):
    """The body can't be used."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(status, f"The body {why}")


def parse(body: bytes) -> Any:
    """`body` as Python's values."""
    try:
        data = json.loads(body.decode(), parse_constant=_constant, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise BadBody("is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise BadBody(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise BadBody("is nested too deeply.") from error
    except ValueError as error:  # a number of thousands of digits
        raise BadBody("has a number that is too large.") from error
    if not isinstance(data, dict | type(None)):
        raise BadBody("is no object, which all bodies here are.", 422)
    _check(data, 0)
    return data


def _check(data: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise BadBody("is nested too deeply.")
    if isinstance(data, dict):
        for name, value in data.items():
            _check(name, depth + 1)
            _check(value, depth + 1)
    elif isinstance(data, list):
        for value in data:
            _check(value, depth + 1)
    elif isinstance(data, str):
        if not is_text(data):
            raise BadBody("has a NUL or half a character in a string.")
    elif isinstance(data, int | float) and not -LARGEST <= data <= LARGEST:
        raise BadBody("has a number that is too large.")


def _constant(name: str) -> Any:
    raise BadBody(f"is not JSON: it has no {name}.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadBody("names something twice in one object.")
    return found
