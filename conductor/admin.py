"""The machines of the engine and those who conduct, for operators."""

from typing import Any, ClassVar

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from unfold.decorators import display

from conductor import actions
from conductor.models import Beat, Node, NodeRequest, Swarm
from conductor.status import FRESH_SECONDS
from core.admin import Shown
from core.admin import status as status_of
from core.deeds import Deed

STATES = {"ready": "success", "down": "danger", "disconnected": "warning", "unknown": "warning"}
USES = {"active": "success", "drain": "warning", "pause": "warning"}


@admin.register(Node)
class NodeAdmin(Shown):
    """Machines that dynos run on. How another joins is shown at its Swarm."""

    list_display = (
        "hostname",
        "shown_role",
        "shown_state",
        "use",
        "dynos",
        "uses",
        "cores",
        "engine",
        "address",
    )
    list_filter = ("role", "state", "availability")
    search_fields = ("hostname", "id", "address")
    search_help_text = "Host name, id or address"
    deeds: ClassVar = (
        Deed(
            "drain",
            "Drain",
            "Its dynos start on other nodes and end here, and none comes until it is activated again. Web dynos are "
            "replaced before they end. Attached one-off dynos run to their end.",
            lambda node, by: actions.drain(node, by=by),
            icon="move_down",
            grave=True,
            fits=lambda node: node.availability != "drain",
        ),
        Deed(
            "activate",
            "Activate",
            "Dynos that start from now on may run here. Those that run elsewhere stay where they are.",
            lambda node, by: actions.activate(node, by=by),
            icon="play_arrow",
            fits=lambda node: node.availability != "active",
        ),
        Deed(
            "remove",
            "Remove",
            "The engine forgets it. To come back, the machine has to join again.",
            lambda node, by: actions.remove(node, by=by),
            icon="delete",
            grave=True,
            fits=lambda node: node.state == "down",
        ),
    )

    @display(description="Role", ordering="role")
    def shown_role(self, node: Node) -> str:
        return f"{node.role}, leads" if node.leads else node.role

    @display(description="State", ordering="state", label=STATES)
    def shown_state(self, node: Node) -> str:
        return node.state

    @display(description="Takes dynos", ordering="availability", label=USES)
    def use(self, node: Node) -> str:
        return node.availability

    @display(description="Memory for its dynos", ordering="promised")
    def uses(self, node: Node) -> str:
        share = round(100 * node.promised / node.memory) if node.memory else 0
        return f"{filesizeformat(node.promised)} of {filesizeformat(node.memory)} ({share} %)"


@admin.register(Swarm)
class SwarmAdmin(Shown):
    """How a machine becomes a node. The token is shown when it is asked for, and that stands in the activity."""

    list_display = ("name", "address", "told_at")
    search_fields = ("name", "address")
    search_help_text = "Address"
    fields = ("name", "address", "told_at")
    deeds: ClassVar = (
        Deed(
            "command",
            "Add a node",
            "Whoever has this command can make a machine part of the engine: run it as root on a machine with Docker "
            "that reaches this address at TCP 2377 and 7946, and UDP 7946 and 4789.",
            lambda swarm, by: actions.reveal_command(swarm, by=by),
            icon="add",
            reveals="Command that adds a node",
        ),
        Deed(
            "rotate",
            "Make a new token",
            "Commands that were shown before add no node any more. Nodes that have joined stay.",
            lambda swarm, by: actions.rotate_token(swarm, by=by),
            icon="autorenew",
        ),
    )


@admin.register(NodeRequest)
class NodeRequestAdmin(Shown):
    """What was asked for, and what came of it."""

    list_display = ("verb", "label", status_of, "reason", "by", "created_at", "finished_at")
    list_filter = ("verb", "status")
    list_select_related = ("by",)
    search_fields = ("label", "node", "by__email")
    search_help_text = "Node or e-mail address"
    fields = ("verb", "label", "node", "status", "reason", "by", "created_at", "finished_at", "attempt")


@admin.register(Beat)
class BeatAdmin(Shown):
    """Conductors that share the work. A single one is on the first page."""

    list_display = ("hostname", "pid", "shown_role", "alive", "jobs", "at")
    search_fields = ("hostname",)
    search_help_text = "Host name"
    fields = ("hostname", "pid", "leads", "at")

    @display(description="Role", ordering="leads")
    def shown_role(self, beat: Beat) -> str:
        return "leads" if beat.leads else "works"

    @display(description="State", label={"alive": "success", "silent": "danger"})
    def alive(self, beat: Beat) -> str:
        return "alive" if (timezone.now() - beat.at).total_seconds() < FRESH_SECONDS else "silent"

    @display(description="Jobs in hand")
    def jobs(self, beat: Beat) -> int:
        found: Any = beat.told.get("jobs", [])
        return len(found)
