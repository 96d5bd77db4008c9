"""What can be ordered: the catalog that comes with Slipway, and looking things up in it by the names people use."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps as registry
from django.db import transaction
from django.db.models import QuerySet

from addons.models import AddonService, Plan
from addons.providers import provider_for
from core import names
from core.errors import NotFound, Refusal

_FILE = Path(__file__).with_name("catalog.toml")


def load_migrated(apps: Any = registry, **_: Any) -> None:
    """After migrations: load the catalog, if they went as far as its tables; and after a flush, which names no `apps`."""
    if {"addonservice", "plan"} <= set(apps.all_models["addons"]):
        load()


def load() -> None:
    """Add what is new in the catalog that comes with Slipway, and bring up to date what no operator has edited. Asks
    two questions when nothing is new."""
    services = {row.name: row for row in AddonService.objects.all()}
    plans = {(row.service_id, row.name): row for row in Plan.objects.all()}
    with transaction.atomic():
        for position, (name, told) in enumerate(_shipped().items()):
            values = {key: value for key, value in told.items() if key not in ("plans", "default")}
            service = services.get(name) or AddonService(id=names.fixed("addon-service", name), name=name)
            _bring_up(service, {**values, "position": position}, new=name not in services)
            for plan_name, wanted in _plans(told):
                plan = plans.get((service.pk, plan_name))
                made = plan or Plan(
                    id=names.fixed("plan", f"{name}:{plan_name}"), service=service, name=plan_name
                )
                _bring_up(made, wanted, new=plan is None)


def _bring_up(row: AddonService | Plan, values: Mapping[str, Any], *, new: bool) -> None:
    if row.edited or (not new and all(getattr(row, key) == value for key, value in values.items())):
        return
    for key, value in values.items():
        setattr(row, key, value)
    row.save(force_insert=new)


def _plans(told: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for position, (name, plan) in enumerate(told["plans"].items()):
        limits = plan.get("limits", {})
        yield (
            name,
            {
                "human_name": plan.get("human_name", name.replace("-", " ").capitalize()),
                "price_cents": plan["price"],
                "limits": limits,
                "features": [in_words(key, amount) for key, amount in limits.items()],
                "default": name == told["default"],
                "position": position,
            },
        )


@cache
def _shipped() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text())


def in_words(limit: str, amount: int) -> str:
    """A limit as people read it: `storage_mb` 10240 is “10 GB of storage”."""
    if limit.endswith("_mb"):
        size = f"{amount / 1024:g} GB" if amount >= 1024 else f"{amount} MB"
        return f"{size} of {limit.removesuffix('_mb').replace('_', ' ')}"
    return f"{amount} {limit.replace('_', ' ')}"


# --- looking up ---------------------------------------------------------------------------------------------------------


def services() -> "QuerySet[AddonService]":
    """What is offered."""
    return AddonService.objects.exclude(state=AddonService.State.SHUTDOWN).prefetch_related("plans")


def service_called(ref: str) -> AddonService:
    """The service of that name or id; `NotFound` when there is none."""
    for row in AddonService.objects.prefetch_related("plans"):
        if ref in (row.name, str(row.pk)):
            return row
    raise NotFound(
        f"Couldn't find the add-on service {ref[:80]}. “heroku addons:services” lists what there is.",
        resource="add_on_service",
    )


def plan_called(ref: str, *, service: AddonService | None = None) -> Plan:
    """The plan that people write as `heroku-postgresql:mini`, as the service's bare name (its default plan), by id,
    or, where the `service` is known, as `mini`. `Refusal` with the names of the plans when there is none."""
    by_id = next((row for row in Plan.objects.select_related("service") if str(row.pk) == ref), None)
    if by_id:
        return by_id
    first, colon, last = ref.partition(":")
    if service is None or colon:
        service, name = service_called(first), last
    else:
        name = "" if first == service.name else first
    plans = list(service.plans.select_related("service"))
    found = next((plan for plan in plans if (plan.name == name if name else plan.default)), None)
    if found is None:
        known = ", ".join(plan.name for plan in plans if plan.state == Plan.State.PUBLIC)
        raise Refusal(
            f"Couldn't find either the add-on service or the add-on plan of “{ref[:80]}”. {service.name} has the "
            f"plans {known}.",
            fields={"plan": f"{service.human_name} has no such plan."},
        )
    return found


def why_not(service: AddonService, *, for_app: bool = False) -> str:
    """Why the service can't be ordered on this machine, or not `for_app`, as a sentence; empty when it can."""
    if for_app and not service.of_apps:
        return "It belongs to a pipeline: add it on the pipeline’s Resources page."
    if service.state == AddonService.State.SHUTDOWN:
        return f"{service.human_name} is not offered any more."
    return provider_for(service.name, by_partner=service.by_partner).why_not()


def demand_available(plan: Plan, *, for_app: bool = False) -> None:
    """`Refusal` when no new add-on can have the plan now, or none of an app's."""
    reason = why_not(plan.service, for_app=for_app)
    if reason:
        raise Refusal(f"{plan.service.human_name} is unavailable: {reason}", fields={"plan": reason})
    if plan.state != Plan.State.PUBLIC:
        raise Refusal(
            f"{plan.full_name} is kept for those that have it. Choose another plan.",
            fields={"plan": "Choose another plan."},
        )
