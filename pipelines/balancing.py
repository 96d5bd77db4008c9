"""Load balancers: which apps share an address, how much each gets, and whether visitors stay."""

import secrets as random
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from django.db import transaction
from django.utils.crypto import salted_hmac

from accounts.models import User
from addons import actions
from addons.models import Addon
from addons.providers import Order, Provided
from core import activity, live
from core.errors import EngineError, NotFound, Refusal
from engine.spec import Stake
from pipelines.balancer_models import host_of
from pipelines.models import Balancer, Coupling, Pipeline, Stage

SERVICE = "loadbalancer"
MOST = 100  # that an app may weigh
LONGER = 31  # characters of a label: no app's name is as long
SERVING = (Addon.State.PROVISIONED, Addon.State.CHANGING)


def is_one(addon: Addon) -> bool:
    """Whether an add-on is a load balancer. Needs its plan with its service."""
    return addon.service.name == SERVICE


def give_address(addon: Addon, pipeline: Pipeline) -> Balancer:
    """Choose the address of a load balancer that was ordered; it keeps it for good."""
    stem = f"{pipeline.name}-lb-"
    return Balancer.objects.create(
        addon=addon, label=stem + random.token_hex(max(6, (LONGER + 1 - len(stem)) // 2))
    )


def demand_stage(addon: Addon, stage: Stage | None) -> None:
    """`Refusal` for a load balancer that is to be of no stage in particular: its visitors would meet every version."""
    if stage is None and is_one(addon):
        raise Refusal(
            "A load balancer is for the apps of one stage. Choose a stage.",
            fields={"stage": "Choose a stage."},
        )


def balancer_of(addon: Addon) -> Balancer:
    """The load balancer that an add-on is; `NotFound` when it is none."""
    found = Balancer.objects.select_related("addon__shared__stage").filter(addon=addon).first()
    if found is None:
        raise NotFound(f"{addon.name} is no load balancer.", resource="addon")
    return found


def members(addon: Addon) -> list[Coupling]:
    """The apps that share its address, by name. Apps that a stranger's code may run in are none of them (I-40)."""
    rows = Coupling.objects.filter(
        stage__shared_addons__addon=addon, inherits=True, app__destroyed_at__isnull=True
    )
    return list(rows.select_related("app").order_by("app__name"))


@transaction.atomic
def adjust(addon: Addon, weights: Mapping[str, str], *, sticky: bool, by: User) -> Balancer:
    """Say how much each app gets beside the others: `weights` from 0 to 100 by the app's name; apps that are not named
    keep theirs. 0 drains one: no visitor is sent to it, and who stayed with it is sent to another."""
    addon = actions.locked(addon)
    balancer = balancer_of(addon)
    names = {row.app.name: str(row.app_id) for row in members(addon)}
    before = {id: balancer.weights.get(id, Balancer.USUAL) for id in names.values()}
    after = before | {names[name]: weight for name, weight in _checked(weights).items() if name in names}
    if after and not any(after.values()):
        raise Refusal("Give one app a weight at least: visitors would find nobody.")
    balancer.weights = {id: weight for id, weight in after.items() if weight != Balancer.USUAL}
    balancer.sticky = sticky
    balancer.save(update_fields=["weights", "sticky"])
    told = [f"{name} {after[id]}" for name, id in names.items() if after[id] != before[id]]
    activity.record(
        by,
        "balanced the apps of",
        addon,
        pipeline=addon.pipeline,
        what=", ".join([*told, "visitors stay" if sticky else "visitors don’t stay"])[:300],
    )
    for id in names.values():
        live.tell(f"app:{id}")
    live.tell(addon.owner.topic)
    return balancer


def _checked(weights: Mapping[str, str]) -> dict[str, int]:
    """These weights as numbers; `Refusal` beside each field that holds none from 0 to 100."""
    wrong = {
        name: text
        for name, text in weights.items()
        if not (text.isascii() and text.isdigit() and int(text) <= MOST)
    }
    if wrong:
        raise Refusal(
            f"A weight is a whole number from 0 to {MOST}.",
            fields={f"weight-{name}": f"From 0 to {MOST}." for name in wrong},
        )
    return {name: int(text) for name, text in weights.items()}


def stakes(app_ids: Iterable[UUID] | None = None) -> Iterator[tuple[UUID, Stake]]:
    """What these apps, or all, have in addresses that they share: in one query."""
    rows = Coupling.objects.filter(
        inherits=True,
        stage__shared_addons__addon__balancer__isnull=False,
        stage__shared_addons__addon__state__in=SERVING,
    )
    if app_ids is not None:
        rows = rows.filter(app__in=list(app_ids))
    of = "stage__shared_addons__addon__balancer__"
    fields = ("app_id", "stage__shared_addons__addon_id", f"{of}label", f"{of}sticky", f"{of}weights")
    for app_id, addon_id, label, sticky, weights in rows.order_by(f"{of}label").values_list(*fields):
        yield (
            app_id,
            Stake(
                host=host_of(label),
                weight=weights.get(str(app_id), Balancer.USUAL),
                key=salted_hmac("pipelines.balancing", f"{addon_id}/{app_id}").hexdigest()[:16],
                sticky=sticky,
            ),
        )


def parts(weights: Mapping[str, int]) -> dict[str, float]:
    """The percent of the visitors that each gets, by the same keys, while these answer."""
    total = sum(weights.values())
    return {key: 100 * weight / total for key, weight in weights.items() if weight}


class LoadBalancer:
    """The provider of load balancers. The router does the work, by what the conductor tells it; this gives the address."""

    def why_not(self) -> str:
        """It is always there."""
        return ""

    def provision(self, order: Order) -> Provided:
        """Its address."""
        return self._provided(order)

    def change_plan(self, order: Order, plan: str, limits: Mapping[str, int]) -> Provided:
        """Nothing to hold it to."""
        return self._provided(order)

    def deprovision(self, order: Order) -> None:
        """Nothing to remove: the router forgets the address as soon as it is given up."""

    def credential(self, order: Order, name: str) -> Provided:
        """It has none. Follows another port of the platform."""
        return self._provided(order)

    def drop_credential(self, order: Order, name: str) -> None:
        """Nothing to remove."""

    def facts(self, order: Order) -> list[tuple[str, str]]:
        """Its address."""
        return [("Address", balancer.url) for balancer in Balancer.objects.filter(addon_id=order.id)]

    def _provided(self, order: Order) -> Provided:
        balancer = Balancer.objects.filter(addon_id=order.id).first()
        if balancer is None:
            raise EngineError(f"{order.name} is of no pipeline, so it has no address.", permanent=True)
        return Provided(
            {"URL": balancer.url}, f"{balancer.url} spreads its visitors over the apps of its stage."
        )
