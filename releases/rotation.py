"""Moving every sealed value to the current key, while everything runs (promise I-38).

A model tells of its sealed columns by `SEALED = {"column": "bound_to"}`, with the property that says what the value
belongs to; whoever seals something new has it moved along. Second factors, whose table is not ours, come on top.
"""

from collections.abc import Iterator
from typing import Any

from django.apps import apps as registry
from django.db import models

from accounts import two_factor
from core import secrets


def rotate() -> int:
    """Seal again what is under another key than the first of SLIPWAY_KEYS; returns how many values that were.

    A value that someone changes meanwhile is left to them: they seal with the current key.
    """
    current = secrets.current_key()
    columns = sum(
        _again(row, column, getattr(row, bound_to))
        for row, column, bound_to in _sealed()
        if not getattr(row, column).startswith(f"{current}.")
    )
    return columns + two_factor.seal_again()


def keys_in_use() -> set[str]:
    """The names of all keys that some value is still under. A key that is not among them can be taken away."""
    columns = {getattr(row, column).partition(".")[0] for row, column, _ in _sealed()}
    return columns | {value.partition(".")[0] for _, _, value in two_factor.sealed()}


def _sealed() -> Iterator[tuple[models.Model, str, str]]:
    """Every row with a sealed value: with the value's column, and the property that says what it is bound to."""
    for model in registry.get_models():
        for column, bound_to in getattr(model, "SEALED", {}).items():
            rows: models.Manager[Any] = model._default_manager
            for row in rows.exclude(**{column: ""}).iterator():
                yield row, column, bound_to


def _again(row: models.Model, column: str, bound_to: str) -> int:
    rows: models.Manager[Any] = type(row)._default_manager
    old = rows.values_list(column, flat=True).filter(pk=row.pk).first()
    if not old:  # gone, or used up, since it was listed
        return 0
    new = secrets.seal(secrets.unseal(old, to=bound_to), to=bound_to)
    return rows.filter(pk=row.pk, **{column: old}).update(**{column: new})
