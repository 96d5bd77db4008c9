"""How many dynos of which size an app should have: what people ask for, and what the platform does for them."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.access import demand_not_suspended
from accounts.models import User
from apps import limits
from apps.models import App, Autoscale, Formation
from core import activity, failpoints, live
from core.errors import NotFound, Refusal
from engine.spec import SIZES

MAX_DYNOS = 100
WEB = "web"


def check_start(quantity: int, size: str) -> None:
    """`Refusal` for a quantity or size that no formation can have."""
    _resize(Formation(), quantity=quantity, size=size)


@transaction.atomic
def scale(app: App, changes: Mapping[str, Mapping[str, Any]], *, by: User) -> list[Formation]:
    """Change quantities and sizes: `{"web": {"quantity": 2, "size": "standard-2x"}}`. All or nothing. Who says how many
    web dynos there are means it: autoscaling is off from then on, as on Heroku."""
    touched = apply(app, changes, by=by)
    by_hand = changes.get(WEB, {}).get("quantity") is not None
    if by_hand and Autoscale.objects.filter(app=app, enabled=True).update(enabled=False):
        activity.record(by, "turned off autoscaling of", app, what="scaled by hand")
    return touched


@transaction.atomic
def apply(
    app: App, changes: Mapping[str, Mapping[str, Any]], *, by: User | None, why: str = ""
) -> list[Formation]:
    """The same for autoscaling, which stays on. `by` is None for the platform, which says `why`."""
    demand_not_suspended(app)
    rows = {row.type: row for row in locked(app)}
    before = {type: str(row) for type, row in rows.items()}
    had = sum(row.quantity for row in rows.values())
    for type, change in changes.items():
        if type not in rows:
            raise NotFound(
                f"{app.name} has no process type {type}. It has: {', '.join(rows) or 'none yet'}.",
                resource="formation",
            )
        _resize(rows[type], **change)
    touched = [rows[type] for type in changes]
    has = sum(row.quantity for row in rows.values())
    if has > MAX_DYNOS:
        raise Refusal(f"An app can have {MAX_DYNOS} dynos at most.")
    limits.demand_dynos(app.owner, has - had)
    for row in touched:
        row.save()
    after = {type: str(row) for type, row in rows.items()}
    activity.record(by, "scaled", app, before=before, after=after, **({"what": why} if why else {}))
    live.tell(app.topic)
    live.wake_conductor()
    failpoints.reach("scale.applied")
    return touched


def locked(app: App) -> list[Formation]:
    """The app's formation, for the one transaction that may change it. All of it, and before anything else of the app is
    locked: whoever scales comes here first."""
    return list(Formation.objects.select_for_update().filter(app=app).order_by("type"))


def _resize(row: Formation, *, quantity: int | None = None, size: str | None = None) -> None:
    if quantity is not None:
        if not 0 <= quantity <= MAX_DYNOS:
            raise Refusal(f"A quantity is between 0 and {MAX_DYNOS}.", fields={"quantity": "Out of range."})
        row.quantity = quantity
    if size is not None:
        if size.lower() not in SIZES:
            raise Refusal(
                f"There is no size {size}. Sizes: {', '.join(SIZES)}.", fields={"size": "No such size."}
            )
        row.size = size.lower()
