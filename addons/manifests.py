"""What a partner says of itself: a manifest is read, checked, and loaded into the catalog."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from accounts.models import User
from addons.models import AddonService, Plan
from addons.partner_models import Partner
from core import activity
from core.errors import Refusal

NAME = re.compile(r"[a-z][a-z0-9-]{1,48}[a-z0-9]")
VAR = re.compile(r"[A-Z][A-Z0-9_]{0,98}")
MOST_VARS, MOST_PLANS = 50, 100
RESOURCES, SIGN_IN = "/heroku/resources", "/sso/login"


@dataclass(frozen=True)
class Manifest:
    """A manifest that makes sense, with the addresses of one of its worlds, production or test."""

    id: str
    name: str
    summary: str
    base_url: str
    sso_url: str
    config_vars: Sequence[str]
    regions: Sequence[str]
    requires: Sequence[str]
    plans: Sequence[Mapping[str, Any]]
    password: str = field(repr=False)
    sso_salt: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """How its config vars begin."""
        return self.id.upper().replace("-", "_")

    @property
    def suffixes(self) -> list[str]:
        """What its config vars end with, behind the attachment's name."""
        return [name.removeprefix(self.prefix).removeprefix("_") for name in self.config_vars]


def parse(text: str, *, world: str = "production") -> Manifest:
    """Read a manifest. `Refusal` says what is wrong with it, and where."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as fault:
        where = f" in line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
        raise Refusal(f"The manifest is no JSON{where}.") from None
    told = _object(told, "The manifest")
    api = _object(told.get("api"), "api")
    base_url, sso_url = _addresses(api, world)
    made = Manifest(
        id=_text(told, "id", "id"),
        name=_text(told, "name", "name", default=str(told.get("id"))),
        summary=_text(told, "summary", "summary", default="")[:200],
        base_url=base_url,
        sso_url=sso_url,
        config_vars=_texts(api, "config_vars"),
        regions=_texts(api, "regions", default=["eu"]),
        requires=_texts(api, "requires", default=[]),
        plans=_plans(told.get("plans")),
        password=_text(api, "password", "api.password"),
        sso_salt=_text(api, "sso_salt", "api.sso_salt", default=""),
    )
    _check(made)
    return made


@transaction.atomic
def load(manifest: Manifest, *, by: User | None) -> Partner:
    """Offer what the manifest says, or bring it up to date. Plans that it names no more are kept for who has them;
    what operators edited stays."""
    service = AddonService.objects.select_for_update().filter(name=manifest.id).first()
    if service is not None and not service.by_partner:
        raise Refusal(f"{manifest.id} is a service of Slipway's own. Choose another id.")
    service = service or AddonService(name=manifest.id, by_partner=True, position=500)
    service.stem = service.name[:40]
    service.first_name = service.further_name = manifest.prefix
    service.config = manifest.suffixes
    if not service.edited:
        service.human_name, service.summary = manifest.name[:100], manifest.summary
    service.save()
    _load_plans(service, manifest)
    partner = Partner.objects.filter(service=service).first() or Partner(service=service)
    partner.base_url, partner.sso_url = manifest.base_url, manifest.sso_url
    partner.regions, partner.requires = list(manifest.regions), list(manifest.requires)
    partner.password, partner.sso_salt = manifest.password, manifest.sso_salt
    partner.save()
    activity.record(by, "loaded the manifest of", service, url=manifest.base_url)
    return partner


def _load_plans(service: AddonService, manifest: Manifest) -> None:
    plans = {plan.name: plan for plan in Plan.objects.filter(service=service)}
    for position, told in enumerate(manifest.plans):
        plan = plans.pop(told["name"], None) or Plan(service=service, name=told["name"])
        if plan.edited:
            continue
        plan.human_name, plan.price_cents, plan.position = told["human_name"], told["price"], position
        plan.default, plan.state = position == 0, Plan.State.PUBLIC
        plan.save()
    left = [plan.pk for plan in plans.values() if not plan.edited]
    Plan.objects.filter(pk__in=left).update(state=Plan.State.DEPRECATED, default=False)


# --- parts of a manifest ------------------------------------------------------------------------------------------------


def _check(manifest: Manifest) -> None:
    if not NAME.fullmatch(manifest.id):
        raise Refusal("id has small letters, digits and dashes, 3 to 50 in all, and starts with a letter.")
    if not manifest.config_vars or len(manifest.config_vars) > MOST_VARS:
        raise Refusal(f"api.config_vars names 1 to {MOST_VARS} config vars.")
    for name in manifest.config_vars:
        if not VAR.fullmatch(name) or not (name == manifest.prefix or name.startswith(f"{manifest.prefix}_")):
            raise Refusal(f"api.config_vars: {name[:80]} does not begin with {manifest.prefix}_.")
    if len(set(manifest.config_vars)) < len(manifest.config_vars):
        raise Refusal("api.config_vars names one twice.")
    if len(manifest.password) < 8:
        raise Refusal("api.password is shorter than 8 characters.")
    if manifest.sso_url and not manifest.sso_salt:
        raise Refusal("api.sso_salt is missing, which sign-ins are signed with.")


def _addresses(api: Mapping[str, Any], world: str) -> tuple[str, str]:
    told = api.get(world)
    if isinstance(told, str):
        base = told.rstrip("/")
        told = {"base_url": base + RESOURCES, "sso_url": base + SIGN_IN}
    told = _object(told, f"api.{world}")
    base_url = _address(told, "base_url", world).rstrip("/")
    if not urlsplit(base_url).path:
        base_url += RESOURCES
    return base_url, _address(told, "sso_url", world) if told.get("sso_url") else ""


def _address(told: Mapping[str, Any], key: str, world: str) -> str:
    text = _text(told, key, f"api.{world}.{key}")
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
    except ValueError:
        fine = False
    if not fine or len(text) > 500 or parts.query or parts.fragment:
        raise Refusal(f"api.{world}.{key} is no plain URL that starts with https:// or http://.")
    return text


def _plans(told: Any) -> list[dict[str, Any]]:
    """Slipway's own addition: a manifest without plans has one, `test`, at no charge."""
    if told is None:
        return [{"name": "test", "human_name": "Test", "price": 0}]
    if not isinstance(told, list) or not 0 < len(told) <= MOST_PLANS:
        raise Refusal(f"plans lists 1 to {MOST_PLANS} plans.")
    found = [_plan(_object(one, "Each of plans")) for one in told]
    if len({plan["name"] for plan in found}) < len(found):
        raise Refusal("plans names one twice.")
    return found


def _plan(told: Mapping[str, Any]) -> dict[str, Any]:
    name, price = _text(told, "name", "plans: name"), told.get("price_cents", 0)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,58}", name):
        raise Refusal("plans: a name has small letters, digits and dashes.")
    if isinstance(price, bool) or not isinstance(price, int) or not 0 <= price <= 10**8:
        raise Refusal(f"plans: price_cents of {name} is a whole number of cents a month.")
    human = _text(told, "human_name", "plans: human_name", default=name.replace("-", " ").capitalize())
    return {"name": name, "human_name": human[:100], "price": price}


def _object(told: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise Refusal(f"{where} is no JSON object.")
    return told


def _text(told: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    value = told.get(key, default)
    if not isinstance(value, str) or (not value and default is None) or not value.isprintable():
        raise Refusal(f"{where} is missing, or no text.")
    return value


def _texts(told: Mapping[str, Any], key: str, *, default: Sequence[str] | None = None) -> list[str]:
    value = told.get(key, default)
    if not isinstance(value, list) or not all(isinstance(one, str) and len(one) <= 100 for one in value):
        raise Refusal(f"api.{key} is missing, or no list of texts.")
    return list(value)
