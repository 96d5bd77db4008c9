"""The engine's machines: what became of them is written down, and what operators ask for is done."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.models import Dyno
from conductor.models import Node, NodeRequest, Swarm
from conductor.parts import Parts
from conductor.work import Held
from core import activity, live
from core.errors import EngineError
from engine.nodes import Machine, Machines

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
NAME = "swarm"  # there is one
LOOK_SECONDS = 1.0  # between two looks whether a node is empty
KEPT = timedelta(days=30)  # what became of requests


class Nodes:
    """Keeps the rows true, and does what is asked."""

    def __init__(self, parts: Parts, poke: Callable[[UUID], None]) -> None:
        self._parts, self._poke = parts, poke

    def look(self) -> None:
        """Write down what the engine says of its machines; nothing when it has not changed."""
        machines = self._parts.machines
        if machines is None:
            return
        found = machines.all()
        with transaction.atomic():
            known = {node.pk: node for node in Node.objects.all()}
            for machine in found:
                _write(machine, known.get(machine.id))
            Node.objects.exclude(pk__in=[machine.id for machine in found]).delete()
            _write_entrance(machines)

    def advance(self, held: Held) -> float | None:
        """Do what was asked; the seconds until the next look when it takes time."""
        request: NodeRequest = held.job
        machines = self._parts.machines
        if machines is None:
            raise EngineError("The engine of this installation has no nodes.", permanent=True)
        if request.verb == NodeRequest.Verb.DRAIN and not self._is_empty(machines, request):
            return LOOK_SECONDS
        _do(machines, request)
        self.look()
        request.end(NodeRequest.Status.SUCCEEDED)
        return None

    def _is_empty(self, machines: Machines, request: NodeRequest) -> bool:
        """Whether no dyno of a formation is left on a node that is to be drained, or we have waited long enough. They
        are replaced first, since the engine would end them at once."""
        machines.set_availability(request.node, "pause")
        left = machines.dynos_on(request.node)
        _replace(left)
        apps = Dyno.objects.filter(pk__in=[id.split(".")[0] for id in left if _is_uuid(id.split(".")[0])])
        for app_id in set(apps.values_list("app", flat=True)):
            self._poke(app_id)
        waited = (timezone.now() - request.created_at).total_seconds()
        return not left or waited > settings.BOOT_SECONDS + settings.DRAIN_SECONDS + settings.STOP_SECONDS

    def fail(self, request: Any, reason: str) -> None:
        """Say why it can't be done."""
        request.end(NodeRequest.Status.FAILED, reason=reason[:500])


def _replace(ids: Sequence[str]) -> None:
    """Have these starts of dynos replaced: each serves until the fresh one does."""
    rows = {id.split(".")[0] for id in ids}
    dynos = Dyno.objects.filter(pk__in=[row for row in rows if _is_uuid(row)], one_off=False)
    with transaction.atomic():
        for dyno in dynos.select_related("app"):
            if dyno.incarnation in ids:
                Dyno.objects.filter(pk=dyno.pk, generation=dyno.generation).update(
                    generation=F("generation") + 1
                )
                live.tell(dyno.app.topic)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def forget_old(*, has_nodes: bool) -> None:
    """Delete requests that ended long ago, since the activity keeps who asked for what, and all nodes where the engine
    has none any more."""
    if not has_nodes and Node.objects.exists():
        Node.objects.all().delete()
        Swarm.objects.all().delete()
    NodeRequest.objects.filter(finished_at__lt=timezone.now() - KEPT).delete()


def _do(machines: Machines, request: NodeRequest) -> None:
    match request.verb:
        case NodeRequest.Verb.DRAIN:
            machines.set_availability(request.node, "drain")
        case NodeRequest.Verb.ACTIVATE:
            machines.set_availability(request.node, "active")
        case NodeRequest.Verb.REMOVE:
            machines.remove(request.node)
        case NodeRequest.Verb.ROTATE:
            machines.rotate()


def _write(machine: Machine, row: Node | None) -> None:
    facts = {name: getattr(machine, name) for name in _FACTS}
    if row is not None and all(getattr(row, name) == value for name, value in facts.items()):
        return
    now = timezone.now()
    if row is None or row.state != machine.state:
        facts["state_at"] = now
        if row is not None:
            log.warning("Node %s is %s", machine.hostname, machine.state)
    made, _ = Node.objects.update_or_create(pk=machine.id, defaults={**facts, "told_at": now})
    if row is not None and row.state != machine.state:
        activity.record(None, f"found {machine.state}", made)


def _write_entrance(machines: Machines) -> None:
    entrance = machines.entrance()
    row = Swarm.objects.filter(pk=NAME).first()
    if row is not None and (row.address, row.token, row.then) == (
        entrance.address,
        entrance.token,
        entrance.then,
    ):
        return
    row = Swarm(name=NAME, address=entrance.address, then=entrance.then, told_at=timezone.now())
    row.token = entrance.token
    row.save()


_FACTS = (
    "hostname",
    "address",
    "role",
    "leads",
    "state",
    "availability",
    "engine",
    "system",
    "cores",
    "memory",
    "dynos",
    "promised",
)
