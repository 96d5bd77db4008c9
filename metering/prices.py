"""What dynos cost: a price a month for each size, which operators set."""

from typing import Any

from django.apps import apps as registry
from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from accounts.models import User
from core import activity
from core.errors import Refusal
from metering import meters
from metering.models import DynoPrice, Meter, Usage

MOST_CENTS = 10_000_000
_KNOWN = "dyno-prices"  # in the cache: forms ask on every page
KNOWN_SECONDS = 60
# https://www.heroku.com/pricing, as operators know it, until they set their own.
USUAL = {
    "eco": 500,
    "basic": 700,
    "standard-1x": 2500,
    "standard-2x": 5000,
    "performance-m": 25000,
    "performance-l": 50000,
}


def fill(apps: Any = registry, **signal: Any) -> None:
    """Give each size that has no price the usual one. Listens to `post_migrate`, which may not have come to our tables,
    and names no `apps` after a flush."""
    if "dynoprice" not in apps.all_models["metering"]:
        return
    rows = [DynoPrice(size=size, cents_per_month=cents) for size, cents in USUAL.items()]
    DynoPrice.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def set_price(size: str, cents_per_month: int, *, by: User) -> DynoPrice:
    """Have a dyno of `size` cost so much from now on; what ran until now stays at the price it had."""
    if not 0 <= cents_per_month <= MOST_CENTS:
        raise Refusal("This is no price.", fields={"cents_per_month": f"Between 0 and {MOST_CENTS:,} cents."})
    price, _ = DynoPrice.objects.select_for_update().get_or_create(size=size)
    before, price.cents_per_month = price.cents_per_month, cents_per_month
    price.save()
    transaction.on_commit(lambda: cache.delete(_KNOWN))
    if before != cents_per_month:
        activity.record(by, "set the price of", price, before=before, after=cents_per_month)
        rows = Meter.objects.filter(kind=Usage.Kind.DYNO, what=size)
        for app_id in set(rows.order_by().values_list("app_id", flat=True)):
            if app_id is not None:
                meters.settle(app_id)
    return price


def of_sizes() -> dict[str, int]:
    """Cents a month by size; nothing when prices are not shown."""
    if not settings.SHOW_PRICES:
        return {}
    known: dict[str, int] | None = cache.get(_KNOWN)
    if known is None:
        known = dict(DynoPrice.objects.values_list("size", "cents_per_month"))
        cache.set(_KNOWN, known, KNOWN_SECONDS)
    return known
