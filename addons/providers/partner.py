"""Services that somebody else provides over HTTP, by the Partner API, version 3.

Every request carries the add-on's UUID, which makes a second one the same order: a partner that has it already answers
what it has. One that needs longer answers 202, and says later, with a token of its own, that it is ready.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from addons import partner_config, partner_drains
from addons.models import Addon
from addons.partner_models import Partner, PartnerResource
from addons.providers.base import Order, Provided
from addons.providers.wire import Reply, Wire, tidy
from apps import drains
from core import secrets
from core.errors import EngineError, Refusal
from core.text import is_text

GRANT = "grant"  # how codes begin that partners exchange for tokens
GRANT_MINUTES = 5
WAIT = timedelta(hours=12)  # after which nobody waits any more for a partner to be ready
State = PartnerResource.State


class ByPartner:
    """The provider of all services that were loaded from a manifest."""

    ask_again = 15.0  # seconds; a partner that is ready says so, and nobody waits for this

    def why_not(self) -> str:
        """A manifest is loaded: that is all it takes."""
        return ""

    def provision(self, order: Order) -> Provided | None:
        """Ask the partner for it; None until it says that it is ready."""
        resource, _ = PartnerResource.objects.get_or_create(addon_id=order.id)
        if resource.state == State.READY:
            return Provided(resource.config, f"{_partner(order).service.human_name} is ready.")
        if resource.state == State.WAITING:
            self._demand_in_time(order, resource)
            return None
        return self._order(order, resource)

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Ask for another plan. What is not told anew stays as it is."""
        partner = _partner(order)
        reply = Wire.to(partner).ask("PUT", _path(order), {"plan": plan})
        given = _config(partner, reply)
        return Provided({**_current(order), **given}, tidy(reply.message, without=given))

    def deprovision(self, order: Order) -> None:
        """Have it removed, if it was ever asked for."""
        if not PartnerResource.objects.filter(addon_id=order.id).exists():
            return
        wire = Wire.to(_partner(order))
        reply = wire.raw("DELETE", _path(order))
        if reply.status not in (404, 410) and not 200 <= reply.status < 300:
            raise EngineError(wire.why(reply))
        drains.take_from_addon(UUID(order.id))
        PartnerResource.objects.filter(addon_id=order.id).delete()

    def credential(self, order: Order, name: str) -> Provided:
        """Partners have one only."""
        return Provided(_current(order))

    def drop_credential(self, order: Order, name: str) -> None:
        """There is none but the default one."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """The partner's own pages tell."""
        return []

    def _order(self, order: Order, resource: PartnerResource) -> Provided | None:
        partner = _partner(order)
        reply = Wire.to(partner).ask("POST", "", _asked(order, partner, _grant(resource)))
        given = _config(partner, reply)
        resource.provider_id = _id(partner, reply, order)
        PartnerResource.objects.filter(pk=resource.pk).update(provider_id=resource.provider_id)
        _send_log(partner, reply, order)
        if reply.status != 202:
            return Provided(given, tidy(reply.message, without=given))
        # It may have said already that it is ready, in the time that its answer took.
        PartnerResource.objects.filter(pk=resource.pk, state=State.ASKED).update(
            state=State.WAITING, since=timezone.now()
        )
        return None

    def _demand_in_time(self, order: Order, resource: PartnerResource) -> None:
        if timezone.now() > resource.since + WAIT:
            name = _partner(order).service.human_name
            raise EngineError(f"{name} did not say within 12 hours that it is ready.", permanent=True)


def _partner(order: Order) -> Partner:
    found = Partner.objects.select_related("service").filter(service__name=order.service).first()
    if found is None:
        raise EngineError(f"No manifest of {order.service} is loaded any more.", permanent=True)
    return found


def _send_log(partner: Partner, reply: Reply, order: Order) -> None:
    """Send the log of the add-on's app where the partner's answer wants it."""
    if (url := reply.body.get("log_drain_url")) is None:
        return
    addon = Addon.objects.select_related("app", "by").get(pk=order.id)
    try:
        partner_drains.send(addon, partner, url)
    except Refusal as refusal:
        raise EngineError(
            f"{partner.service.human_name} wants logs: {refusal.message}", permanent=True
        ) from None


def _asked(order: Order, partner: Partner, grant: tuple[str, str]) -> dict[str, Any]:
    code, until = grant
    return {
        "uuid": order.id,
        "name": order.name,
        "plan": order.plan,
        "region": partner.regions[0] if partner.regions else "eu",
        "options": dict(order.options),
        "callback_url": f"{settings.URL}/addons/{order.id}",
        "oauth_grant": {"code": code, "type": "authorization_code", "expires_at": until},
        **partner_drains.told(partner.requires, order.id),
    }


def _grant(resource: PartnerResource) -> tuple[str, str]:
    """A new code for each try; the one before is void."""
    code, until = secrets.new_token(GRANT), timezone.now() + timedelta(minutes=GRANT_MINUTES)
    PartnerResource.objects.filter(pk=resource.pk).update(
        grant_digest=secrets.digest(code), grant_until=until
    )
    return code, until.isoformat()


def _config(partner: Partner, reply: Reply) -> dict[str, str]:
    try:
        return partner_config.by_suffix(partner.service, reply.body.get("config") or {})
    except Refusal as refusal:
        raise EngineError(
            f"{partner.service.human_name} answers: {refusal.message}", permanent=True
        ) from None


def _id(partner: Partner, reply: Reply, order: Order) -> str:
    """What the partner calls it; by its UUID if it does not say."""
    told = reply.body.get("id") or order.id
    if (
        isinstance(told, bool)
        or not isinstance(told, str | int)
        or not is_text(str(told))
        or len(str(told)) > 200
    ):
        raise EngineError(f"{partner.service.human_name} answers an id that is none.", permanent=True)
    return str(told)


def _path(order: Order) -> str:
    known = PartnerResource.objects.filter(addon_id=order.id).values_list("provider_id", flat=True).first()
    return f"/{quote(known or order.id, safe='')}"


def _current(order: Order) -> dict[str, str]:
    return Addon.objects.get(pk=order.id).config.get("", {})
