"""Moving every sealed value to the current key, while everything runs (promise I-38)."""

from collections.abc import Iterator
from typing import Any

from django.db import models

from apps.models import ConfigVar, Dyno
from core import secrets
from releases.models import Release


def rotate() -> int:
    """Seal again what is under another key than the first of SLIPWAY_KEYS; returns how many values that were.

    A value that someone changes meanwhile is left to them: they seal with the current key.
    """
    return sum(_again(model, pk, column, bound_to) for model, pk, column, bound_to in _sealed())


def keys_in_use() -> set[str]:
    """The names of all keys that some value is still under. A key that is not among them can be taken away."""
    return {getattr(row, column).partition(".")[0] for row, column in _rows()}


def _rows() -> Iterator[tuple[models.Model, str]]:
    for row in ConfigVar.objects.iterator():
        yield row, "sealed"
    for release in Release.objects.iterator():
        yield release, "sealed_config"
    for dyno in Dyno.objects.exclude(sealed_env="").iterator():
        yield dyno, "sealed_env"


def _sealed() -> Iterator[tuple[type[models.Model], Any, str, str]]:
    current = secrets.current_key()
    for row, column in _rows():
        if not getattr(row, column).startswith(f"{current}."):
            yield type(row), row.pk, column, row.env_bound_to if isinstance(row, Dyno) else row.bound_to  # type: ignore[attr-defined]


def _again(model: type[models.Model], pk: Any, column: str, bound_to: str) -> int:
    rows: models.Manager[Any] = model._default_manager
    old = rows.values_list(column, flat=True).get(pk=pk)
    new = secrets.seal(secrets.unseal(old, to=bound_to), to=bound_to)
    return rows.filter(pk=pk, **{column: old}).update(**{column: new})
