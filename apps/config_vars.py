"""Config vars as they are shown: one by one to who asks, each time noted, and write-only ones never.

What once was write-only stays hidden in the snapshots of old releases too, after the var itself is gone. It is no wall
against the app's own code: who may deploy or run one-off dynos can have that print its variables.
"""

import hashlib
from collections.abc import Collection, Mapping

from django.db import transaction

from accounts.models import User
from apps.models import App, ConfigVar
from core import activity
from core.errors import Forbidden


@transaction.atomic
def reveal(var: ConfigVar, *, by: User) -> str:
    """The value, for `by` to see, which is noted; `Forbidden` when it is write-only."""
    if var.write_only:
        raise Forbidden(f"{var.key} is write-only: its value can be replaced, and is never shown.")
    activity.record(by, "revealed config of", var.app, keys=[var.key])
    return var.value


@transaction.atomic
def reveal_all(app: App, *, by: User) -> dict[str, str]:
    """All values of the app's own that may be shown, for `by` to see and edit, which is noted."""
    rows = ConfigVar.objects.readable().by_hand().filter(app=app)
    values = {var.key: var.value for var in rows}
    if values:
        activity.record(by, "revealed config of", app, keys=sorted(values))
    return values


@transaction.atomic
def make_write_only(app: App, keys: Collection[str], *, by: User | None) -> None:
    """Never show the values of these config vars again; those that are write-only already, inherited or absent are
    passed over. There is no way back: unset the var and set it anew to have one that can be read."""
    found = ConfigVar.objects.readable().filter(app=app, key__in=keys, layer="")
    fresh = sorted(found.values_list("key", flat=True))
    if not fresh:
        return
    kept = App.objects.select_for_update().values_list("write_only_keys", flat=True).get(pk=app.pk)
    app.write_only_keys = sorted({*kept, *fresh})
    App.objects.filter(pk=app.pk).update(write_only_keys=app.write_only_keys)
    ConfigVar.objects.filter(app=app, key__in=fresh).update(write_only=True)
    activity.record(by, "made write-only config of", app, keys=fresh)


def readable(app: App) -> dict[str, str]:
    """The config vars of the next release whose values may be shown."""
    return {var.key: var.value for var in ConfigVar.objects.readable().filter(app=app)}


def readable_of(app: App, config: Mapping[str, str]) -> dict[str, str]:
    """What may be shown of the config of one of the app's releases."""
    return {key: value for key, value in config.items() if key not in app.write_only_keys}


def stamp(app: App) -> str:
    """Text that changes with every change of the app's config vars, and tells nothing of them."""
    rows = ConfigVar.objects.filter(app=app).values_list("key", "sealed", "write_only")
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()[:32]
