"""The log of an app, for the partner behind one of its add-ons: one that its manifest asks for."""

from collections.abc import Collection

from addons.models import Addon
from addons.partner_models import Partner
from apps import drains
from apps.models import LogDrain
from core.errors import Refusal
from core.text import is_text

REQUIRED = "syslog_drain"  # in the `requires` of a manifest


def token_of(addon_id: object) -> str:
    """How the partner knows the log of an add-on's app: told with the order, and with each line."""
    return f"d.{addon_id}"


def told(requires: Collection[str], addon_id: str) -> dict[str, str]:
    """What an order says of it, to a partner whose manifest asks for the log in its `requires`. Nothing of an add-on of a
    pipeline's: a token is for the log of one app."""
    if REQUIRED not in requires or Addon.objects.filter(pk=addon_id, app=None).exists():
        return {}
    return {"log_drain_token": token_of(addon_id)}


def check(requires: Collection[str], url: object) -> str:
    """`url`, where a partner wants the log; `Refusal` if its manifest does not ask for that in its `requires`, or no log
    may go there."""
    if REQUIRED not in requires:
        raise Refusal(f"Its manifest does not require {REQUIRED}, so it gets no logs.")
    if not isinstance(url, str) or not is_text(url):
        raise Refusal("The address of its log drain is no URL.")
    return drains.check_url(url)


def send(addon: Addon, partner: Partner, url: object) -> LogDrain | None:
    """Send the log of the app that the add-on belongs to, from now on, to `url`; None for an add-on of a pipeline's, where
    there is no log. `Refusal` as `check` has it."""
    url = check(partner.requires, url)
    if addon.app is None:
        return None
    return drains.give_to_addon(addon.app, addon.pk, url, token=token_of(addon.pk), by=addon.by)
