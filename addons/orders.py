"""An add-on as its provider knows it."""

from addons.models import Addon
from addons.providers.base import Order


def order_of(addon: Addon) -> Order:
    """The order that the add-on is. Needs its plan with its service."""
    return Order(
        id=str(addon.pk),
        name=addon.name,
        service=addon.service.name,
        plan=addon.plan.name,
        limits=addon.plan.limits,
        options=addon.options,
        secret=addon.secret if addon.sealed_secret else "",
    )
