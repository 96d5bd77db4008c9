"""What partners may do with a token of theirs, and how people are signed in at them."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from addons import actions, partner_config, partner_drains
from addons.models import Addon, Partner, PartnerResource
from addons.providers.partner import GRANT
from apps.models import LogDrain
from core import live, secrets
from core.errors import Conflict, Refusal

TOKEN_SECONDS = 8 * 3600
ACCESS, REFRESH = "partner", "partner-refresh"
State = PartnerResource.State


@dataclass(frozen=True)
class Granted:
    """Tokens, which are never to be seen again."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


# --- tokens -------------------------------------------------------------------------------------------------------------


def is_grant(code: str) -> bool:
    """Whether a code, or a token to renew, is a partner's."""
    return code.startswith((f"{GRANT}-", f"{REFRESH}-"))


def exchange(code: str, *, secret: str) -> Granted:
    """Tokens for the code that came with an order. The partner proves itself with the password of its manifest."""
    return _grant({"grant_digest": secrets.digest(code), "grant_until__gt": timezone.now()}, secret)


def refresh(token: str, *, secret: str) -> Granted:
    """New tokens for the one that renews; it is void then."""
    return _grant({"refresh_digest": secrets.digest(token)}, secret)


@transaction.atomic
def _grant(found_by: Mapping[str, Any], secret: str) -> Granted:
    resource = PartnerResource.objects.select_for_update().filter(**found_by).first()
    partner = _partner_of(resource.addon) if resource else None
    if resource is None or partner is None or not secrets.same(secret, partner.password):
        raise Refusal(
            "The code is not known, is over, or is somebody else's.", id="invalid_grant", status=400
        )
    made = Granted(secrets.new_token(ACCESS), secrets.new_token(REFRESH))
    resource.grant_digest, resource.grant_until = "", None
    resource.token_digest = secrets.digest(made.access)
    resource.token_until = timezone.now() + timedelta(seconds=TOKEN_SECONDS)
    resource.refresh_digest = secrets.digest(made.refresh)
    resource.save(
        update_fields=["grant_digest", "grant_until", "token_digest", "token_until", "refresh_digest"]
    )
    return made


def presented(token: str) -> PartnerResource | None:
    """What a token speaks of; None when it is none, or over."""
    if not token.startswith(f"{ACCESS}-"):
        return None
    rows = PartnerResource.objects.select_related("addon__plan__service", "addon__app", "addon__pipeline")
    found: PartnerResource | None = rows.filter(
        token_digest=secrets.digest(token), token_until__gt=timezone.now()
    ).first()
    return found


# --- what they say ------------------------------------------------------------------------------------------------------


@transaction.atomic
def set_config(resource: PartnerResource, told: Mapping[str, Any]) -> Mapping[str, str]:
    """Take over the values that a partner gives; what it does not name stays. While the add-on is being made they are
    kept for then; afterwards each app that uses it gets one release. Returns all of them, by suffix."""
    addon = actions.locked(resource.addon)
    resource = PartnerResource.objects.select_for_update().get(pk=resource.pk)
    given = partner_config.by_suffix(addon.service, told)
    if addon.state == Addon.State.PROVISIONING:
        resource.config = {**resource.config, **given}
        resource.save(update_fields=["sealed_config"])
        return resource.config
    _demand_there(addon)
    config = {**addon.config.get("", {}), **given}
    actions.update_config(addon, config, by=None)
    return config


@transaction.atomic
def send_log(resource: PartnerResource, url: str) -> LogDrain:
    """Send the log of the add-on's app, from now on, to `url`."""
    addon, partner = actions.locked(resource.addon), _partner_of(resource.addon)
    if addon.state != Addon.State.PROVISIONING:
        _demand_there(addon)
    drain = partner_drains.send(addon, partner, url) if partner else None
    if drain is None:
        raise Refusal(f"{addon.name} is a pipeline's own: it has no log.")
    return drain


@transaction.atomic
def ready(resource: PartnerResource) -> Addon:
    """Take note that what was asked for is there: its config vars come with one release now. Twice is as good."""
    addon = actions.locked(resource.addon)
    if addon.state == Addon.State.PROVISIONING:
        PartnerResource.objects.filter(pk=resource.pk).update(state=State.READY)
        Addon.objects.filter(pk=addon.pk).update(wake_at=None)
        live.wake_conductor()
    else:
        _demand_there(addon)
    return addon


def _demand_there(addon: Addon) -> None:
    if addon.state not in (Addon.State.PROVISIONED, Addon.State.CHANGING):
        raise Conflict(f"{addon.name} is {addon.get_state_display()}.")


# --- signing people in ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignIn:
    """A form that signs somebody in at a partner, for a few minutes."""

    url: str
    fields: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """Whose pages it leads to, for people."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        """The scheme and host that the form goes to."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def sign_in(addon: Addon, app_name: str, *, by: User) -> SignIn | None:
    """How `by` gets into the partner's own pages about the add-on; None when it has none."""
    partner, resource = _partner_of(addon), PartnerResource.objects.filter(addon=addon).first()
    if partner is None or resource is None or not partner.sso_url:
        return None
    fields = fields_for(
        str(addon.pk), resource.provider_id or str(addon.pk), partner.sso_salt,
        email=by.email, user_id=str(by.pk), app_name=app_name,
    )  # fmt: skip
    return SignIn(partner.sso_url, fields)


def fields_for(
    uuid: str, known: str, salt: str, *, email: str, user_id: str, app_name: str
) -> dict[str, str]:
    """What the form holds that signs somebody in: `uuid` is the add-on's, `known` what the partner calls it."""
    now = str(int(time.time()))
    return {
        "resource_id": uuid,
        "resource_token": _signed(uuid, salt, now),
        "id": known,
        "token": _signed(known, salt, now),
        "timestamp": now,
        "email": email,
        "user_id": user_id,
        "app": app_name,
        "context-app": app_name,
    }


def _signed(known: str, salt: str, now: str) -> str:
    """As version 3 has it."""
    return hashlib.sha1(f"{known}:{salt}:{now}".encode()).hexdigest()  # noqa: S324 - the protocol says so


def _partner_of(addon: Addon) -> Partner | None:
    return Partner.objects.filter(service__plans=addon.plan_id).select_related("service").first()
