"""Add-ons: ask the provider for what the row says is still to be done, and write down what came of it.

Whatever a provider is asked for it may be asked for again, by this conductor or the next: the row changes only after
the provider has answered, in the transaction that makes the apps' releases. What nobody wants any more is removed,
however often that has to be tried: no add-on is lost sight of while something of it may exist.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from addons import actions, maintenance
from addons.models import Addon, Plan, Transfer
from addons.orders import order_of
from addons.providers import Order, Provided, Provider, provider_for
from addons.providers.base import Maintains, Slow
from conductor.turns import release_connections
from conductor.work import Held
from core import activity, changes, failpoints
from core.changes import Change
from core.errors import LeaseLost

AT_ONCE = 16
NOT_READY = 1.0  # seconds until a provider that is not done yet is asked again
REMOVE_AGAIN = timedelta(seconds=60)  # after which what could not be removed is tried once more
Task = list[str]


def advance(held: Held) -> float | None:
    """See to one task after the other, until there is none left or the provider wants to be asked again later."""
    addon = _load(held)
    while addon.status == Addon.Status.RUNNING:
        if not addon.tasks:
            _rest(addon)
            return None
        verb, *arguments = addon.tasks[0]
        wait = STEPS[verb](addon, *arguments)
        if wait is not None:
            return _wait(addon, wait)
        if not Addon.objects.filter(pk=addon.pk).exists():
            return None
        addon = _load(held)
    return None


def fail(job: Any, reason: str) -> None:
    """Give the first task up, and say why. What was half made is removed; what could not be removed is tried again."""
    addon = Addon.objects.whole().get(pk=job.pk)
    addon.lease_token = job.lease_token
    with transaction.atomic():
        Addon.objects.select_for_update().get(pk=addon.pk)
        verb = addon.tasks[0][0] if addon.tasks else ""
        open_ = {"status": Addon.Status.PENDING, "attempt": 0, "lease_until": None, "lease_token": None}
        told = {"message": reason[:500]}
        if verb == "provision":
            addon.record(state=Addon.State.FAILED, tasks=[["clean"]], **told, **open_)
        elif verb in ("deprovision", "clean"):
            addon.record(wake_at=timezone.now() + REMOVE_AGAIN, **told, **open_)
        else:
            if addon.state == Addon.State.CHANGING:
                open_["state"] = Addon.State.PROVISIONED
            addon.record(tasks=addon.tasks[1:], **told, **open_)
        activity.record(
            None, "could not " + WORDS.get(verb, verb), addon, app=addon.app, pipeline=addon.pipeline
        )
        actions.tell(addon)


# --- tasks --------------------------------------------------------------------------------------------------------------


def _provision(addon: Addon) -> float | None:
    made = _ask(addon, lambda provider, order: provider.provision(order))
    if made is None:
        provider = _provider(addon)
        return provider.ask_again if isinstance(provider, Slow) else NOT_READY
    failpoints.reach("addon.provisioned")
    with transaction.atomic():
        if _still(addon, ["provision"]):
            addon.config = {"": dict(made.config)}
            _done(addon, made, state=Addon.State.PROVISIONED, **_sealed(addon))
            actions.publish(addon, actions.used_by(addon), "Attach {}", by=addon.by)
    return None


def _change_plan(addon: Addon, plan_id: str) -> None:
    plan = Plan.objects.select_related("service").get(pk=plan_id)
    made = _ask(addon, lambda provider, order: provider.change_plan(order, plan.name, plan.limits))
    with transaction.atomic():
        if _still(addon, ["plan", plan_id]):
            _done(addon, made, state=Addon.State.PROVISIONED, plan=plan)
            actions.update_config(addon, made.config, description="Change plan of {}", by=addon.by)


def _credential(addon: Addon, name: str) -> None:
    made = _ask(addon, lambda provider, order: provider.credential(order, name))
    with transaction.atomic():
        if _still(addon, ["credential", name]):
            _done(addon, made)
            actions.update_config(addon, made.config, credential=name, description="Rotate {}", by=addon.by)


def _drop_credential(addon: Addon, name: str) -> None:
    _ask(addon, lambda provider, order: provider.drop_credential(order, name))
    with transaction.atomic():
        if _still(addon, ["drop_credential", name]):
            addon.config = {of: values for of, values in addon.config.items() if of != name}
            _done(addon, None, **_sealed(addon))


def _deprovision(addon: Addon) -> float | None:
    if Transfer.objects.open().filter(Q(source=addon) | Q(target=addon)).exists():
        return NOT_READY  # its last backup among them
    _ask(addon, lambda provider, order: provider.deprovision(order))
    failpoints.reach("addon.deprovisioned")
    with transaction.atomic():
        if _still(addon, ["deprovision"]):
            addon.record(finished_at=timezone.now())  # and so make sure that the lease is still ours
            actions.tell(addon)
            addon.delete()
    return None


def _clean(addon: Addon) -> None:
    """Remove what an attempt left behind that failed."""
    _ask(addon, lambda provider, order: provider.deprovision(order))
    with transaction.atomic():
        if _still(addon, ["clean"]):
            addon.record(tasks=addon.tasks[1:], attempt=0)


def _maintain(addon: Addon) -> float | None:
    """Have its server start again; no database's backup, restore or copy is to be cut off by that."""
    provider = _provider(addon)
    if isinstance(provider, Maintains) and provider.shared and Transfer.objects.open().exists():
        return NOT_READY
    _ask(addon, _renew)
    with transaction.atomic():
        if _still(addon, maintenance.TASK):
            _done(addon, None)
            maintenance.finish(addon)
    return None


def _renew(provider: Provider, order: Order) -> None:
    if isinstance(provider, Maintains):
        provider.renew(order)


STEPS: dict[str, Callable[..., float | None]] = {
    "provision": _provision,
    "plan": _change_plan,
    "credential": _credential,
    "drop_credential": _drop_credential,
    "deprovision": _deprovision,
    "clean": _clean,
    "maintain": _maintain,
}
WORDS = {
    "provision": "make",
    "plan": "change the plan of",
    "credential": "make a credential of",
    "drop_credential": "remove a credential of",
    "deprovision": "remove",
    "clean": "clean up after",
    "maintain": "maintain",
}


def _wait(addon: Addon, seconds: float) -> float | None:
    """Keep the row in hand for a moment; let go of it, and of the room it takes, when it is to be longer."""
    if seconds <= NOT_READY:
        return seconds
    addon.record(attempt=0)
    addon.put_back(seconds=seconds)
    return None


# --- parts of tasks -----------------------------------------------------------------------------------------------------


def _ask(addon: Addon, question: Callable[..., Any]) -> Any:
    """Ask the provider, with no connection to the database held meanwhile."""
    order, provider = order_of(addon), _provider(addon)
    release_connections()
    return question(provider, order)


def _provider(addon: Addon) -> Provider:
    return provider_for(addon.service.name, by_partner=addon.service.by_partner)


def _load(held: Held) -> Addon:
    addon: Addon | None = Addon.objects.whole().filter(pk=held.job.pk).first()
    if addon is None or held.lost.is_set():
        raise LeaseLost(f"Addon {held.job.pk}")
    addon.lease_token = held.job.lease_token
    return addon


def _still(addon: Addon, task: Task) -> bool:
    """Whether the task that was done is still the one that is asked for; the add-on cannot change from here on."""
    now = Addon.objects.select_for_update().get(pk=addon.pk)
    addon.tasks, addon.state = now.tasks, now.state
    addon.sealed_config, addon.config_keys = now.sealed_config, now.config_keys
    return bool(now.tasks) and now.tasks[0] == task


def _done(addon: Addon, made: Provided | None, **fields: Any) -> None:
    """Write what came of the first task, and that it is done."""
    message = made.message[:500] if made else addon.message
    addon.record(tasks=addon.tasks[1:], attempt=0, message=message, updated_at=timezone.now(), **fields)
    changes.note(Change(addon, by=addon.by, app_id=addon.app_id, pipeline_id=addon.pipeline_id))
    actions.tell(addon)


def _sealed(addon: Addon) -> dict[str, Any]:
    return {"sealed_config": addon.sealed_config, "config_keys": addon.config_keys}


def _rest(addon: Addon) -> None:
    """Nothing is left to do, unless somebody has just asked for more."""
    with transaction.atomic():
        if Addon.objects.select_for_update().get(pk=addon.pk).tasks:
            addon.put_back(seconds=0)
        else:
            failed = addon.state == Addon.State.FAILED
            status = Addon.Status.FAILED if failed else Addon.Status.SUCCEEDED
            addon.record(status=status, finished_at=timezone.now(), lease_until=None)
