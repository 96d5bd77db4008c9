"""The add-ons that an app asks for in its app.json: it is given them when it is deployed for the first time.

    "addons": ["heroku-postgresql", {"plan": "heroku-redis:mini", "as": "CACHE", "options": {"maxmemory_policy": "…"}}]

Later deploys bring none: people may have given them up since.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from accounts.models import User
from addons import actions, catalog
from addons.models import Addon
from apps.models import App
from core.errors import Refusal
from pipelines import addons as door
from pipelines.default_addons import MOST
from releases.models import Release

SHOWN = 300  # characters of a line in the build's output


@dataclass(frozen=True)
class Wish:
    """One entry of app.json."""

    plan: str
    as_: str = ""
    options: dict[str, str] = field(default_factory=dict)


def is_new(app: App) -> bool:
    """Whether no code has been released on the app so far."""
    return not Release.objects.filter(app=app).exclude(slug=None).exists()


def give(app: App, entries: Any, *, by: User | None) -> list[str]:
    """Order what these `addons` of an app.json ask for and the app has not yet, by the rights of `by`, who deploys it. What can't be had
    is left out: no deploy fails for it. The lines for the build's output; call it in a transaction."""
    if not isinstance(entries, list | tuple):
        return [" !     app.json: addons has to be a list. The app goes on without."]
    lines = [_ordered(app, entry, have, by) for entry, have in _with_stock(app, entries[:MOST])]
    if len(entries) > MOST:
        lines.append(f" !     app.json asks for more than {MOST} add-ons: these are the first {MOST}")
    found = [" ".join(line.split("\n"))[:SHOWN] for line in lines if line]
    return ["-----> Adding the add-ons of app.json", *found] if found else []


def being_made(app: App) -> list[str]:
    """The names of the app's add-ons that are not ready yet."""
    rows = Addon.objects.filter(app=app, state=Addon.State.PROVISIONING)
    return list(rows.values_list("name", flat=True))


def _with_stock(app: App, entries: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
    """Each entry, and whether the app has one of its service already that no entry before it has meant."""
    used = app.attachments.values_list("addon__plan__service__name", "addon").distinct()
    stock = Counter(service for service, _ in used)
    for entry in entries:
        plan = entry.get("plan") if isinstance(entry, dict) else entry
        service = str(plan).partition(":")[0]
        have = stock[service] > 0
        stock[service] -= have
        yield entry, have


def _ordered(app: App, entry: Any, have: bool, by: User | None) -> str:
    """Order one, and say so; why not, if it can't be had; nothing, if it is there already."""
    if have:
        return ""
    try:
        wish = _read(entry)
        with transaction.atomic():
            plan = catalog.plan_called(wish.plan)
            if by is not None:
                door.app_to_order(by, str(app.pk), plan)
            made = actions.provision(app, plan, as_=wish.as_, options=wish.options, by=by)
            name = made.attachments.get().name
    except Refusal as refusal:
        return f" !     {refusal.message} The app goes on without."
    return f"       {plan.full_name} as {name}: {made.name}"


def _read(entry: Any) -> Wish:
    """`Refusal` when it is neither a name nor an object with one."""
    if isinstance(entry, str) and entry:
        return Wish(entry)
    if isinstance(entry, dict) and isinstance(entry.get("plan"), str) and entry["plan"]:
        as_, options = entry.get("as", ""), entry.get("options", {})
        if isinstance(as_, str) and isinstance(options, dict):
            return Wish(entry["plan"], as_, options)
    raise Refusal("app.json: an add-on has to be its plan's name, or an object with plan, as and options.")
