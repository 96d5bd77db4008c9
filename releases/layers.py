"""Config vars that an app inherits: those of its stage and its pipeline, as long as it has none of its own.

What a dyno gets is, from the strongest: the app's own values, its add-ons', its stage's, its pipeline's. All of them
are rows of the app, each with the layer that it comes from. Packages above this one know stages and pipelines: they
say what an app inherits, and have it `releases.actions.inherit` when that has changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from accounts.models import User
from apps.models import App, ConfigVar


@dataclass(frozen=True)
class Inherited:
    """A value that an app gets unless it has one of its own; `origin` is where it comes from, for people."""

    value: str = field(repr=False)
    layer: str
    origin: str


Source = Callable[[App], Mapping[str, Inherited]]
_sources: list[Source] = []


def follow(source: Source) -> None:
    """Have `source` asked what an app inherits, as its rows say at that moment."""
    _sources.append(source)


def inherited(app: App) -> dict[str, Inherited]:
    """What the app inherits, whether it has values of its own for it or not."""
    found: dict[str, Inherited] = {}
    for source in _sources:
        found = {**source(app), **found}
    return found


def bring(app: App, *, by: User | None) -> dict[str, str | None]:
    """Make what the app inherits what it should be; returns what became another value, or went (None). Call it while
    the row of the app is locked, before its next release is made."""
    due = inherited(app)
    rows = {var.key: var for var in ConfigVar.objects.filter(app=app)}
    theirs = {key: var for key, var in rows.items() if var.layer}
    changed: dict[str, str | None] = {}
    for key in theirs.keys() - due.keys():
        write(app, key, None, by=by)
        changed[key] = None
    for key, given in due.items():
        now = theirs.get(key)
        if now is None and key in rows:
            continue  # the app's own, or an add-on's
        value = now.value if now else None
        if now is None or (value, now.layer) != (given.value, given.layer):
            write(app, key, given.value, by=by, layer=given.layer)
        if value != given.value:
            changed[key] = given.value
    return changed


def write(
    app: App,
    key: str,
    value: str | None,
    *,
    by: User | None,
    origin: str = "",
    layer: str = "",
    attachment_id: Any = None,
) -> None:
    """Write the row of a config var, whatever was there before; None takes it away."""
    if value is None:
        ConfigVar.objects.filter(app=app, key=key).delete()
        return
    var = ConfigVar(app=app, key=key)
    var.value = value
    written = {
        "sealed": var.sealed,
        "set_by": by,
        "set_at": timezone.now(),
        "origin": origin,
        "layer": layer,
        "attachment_id": attachment_id,
    }
    ConfigVar.objects.update_or_create(app=app, key=key, defaults=written)
