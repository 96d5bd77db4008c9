"""What operators ask of the engine's machines. The conductor does it; no request waits for the engine."""

from django.db import transaction

from accounts.models import User
from conductor.models import Node, NodeRequest, Swarm
from core import activity, live
from core.errors import Conflict
from releases.models import OPEN


def drain(node: Node, *, by: User) -> NodeRequest:
    """Have its dynos run elsewhere, and none come."""
    others = Node.objects.filter(state="ready", availability="active").exclude(pk=node.pk)
    if not others.exists():
        raise Conflict(
            f"{node} is the only node that takes dynos: all apps would stop. Add or activate another first."
        )
    return _ask(NodeRequest.Verb.DRAIN, node, "drained", by=by)


def activate(node: Node, *, by: User) -> NodeRequest:
    """Let dynos come to it again."""
    return _ask(NodeRequest.Verb.ACTIVATE, node, "activated", by=by)


def remove(node: Node, *, by: User) -> NodeRequest:
    """Forget a node that has gone."""
    if node.state != "down":
        raise Conflict(
            f"{node} is {node.state}. Drain it, run “docker swarm leave” on it, and remove it once it is down."
        )
    if node.role == "manager":
        raise Conflict(f"{node} is a manager. Run “docker node demote {node}” on another manager first.")
    return _ask(NodeRequest.Verb.REMOVE, node, "removed", by=by)


@transaction.atomic
def rotate_token(swarm: Swarm, *, by: User) -> NodeRequest:
    """Void the token with which machines join."""
    if NodeRequest.objects.filter(verb=NodeRequest.Verb.ROTATE, status__in=OPEN).exists():
        raise Conflict("A new token is being made already.")
    request = NodeRequest.objects.create(verb=NodeRequest.Verb.ROTATE, label="the Swarm", by=by)
    activity.record(by, "asked for a new token of", swarm)
    live.wake_conductor()
    return request


@transaction.atomic
def reveal_command(swarm: Swarm, *, by: User) -> str:
    """The command that makes a machine with Docker a node; that it was shown is recorded."""
    activity.record(by, "revealed the token of", swarm)
    return swarm.command


@transaction.atomic
def _ask(verb: str, node: Node, done: str, *, by: User) -> NodeRequest:
    if NodeRequest.objects.filter(node=node.pk, status__in=OPEN).exists():
        raise Conflict(f"The last request for {node} is still under way.")
    request = NodeRequest.objects.create(verb=verb, node=node.pk, label=str(node), by=by)
    activity.record(by, done, node)
    live.wake_conductor()
    return request
