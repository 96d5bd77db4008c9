"""Nodes: what the engine says of them is written down, and what operators ask for is done."""

from dataclasses import replace

import pytest

from apps.models import Dyno
from conductor import actions
from conductor.loop import Conductor
from conductor.models import Node, NodeRequest, Swarm
from conductor.nodes import Nodes
from conductor.parts import Parts
from core.errors import Conflict, EngineError
from core.models import Event
from engine.drivers.local import LocalDriver
from engine.nodes import Entrance, Machine
from tests.conductor.conftest import PORTS, ended
from tests.conftest import eventually
from tests.factories import make_app

TOKEN = "SWMTKN-1-secret"


class Fleet:
    """Machines that keep what they are told."""

    def __init__(self, *machines):
        self.machines = {machine.id: machine for machine in machines}
        self.token, self.dynos, self.fault, self.told = TOKEN, {}, None, []

    def all(self):
        return list(self.machines.values())

    def dynos_on(self, id):
        return self.dynos[id]() if id in self.dynos else []

    def entrance(self):
        return Entrance("10.0.0.1:2377", self.token)

    def set_availability(self, id, availability):
        if self.fault:
            raise self.fault
        self.told.append(availability)
        self.machines[id] = replace(self.machines[id], availability=availability)

    def remove(self, id):
        self.machines.pop(id, None)

    def rotate(self):
        self.token = f"{TOKEN}-2"


def machine(id, **changes):
    facts = Machine(
        id, id, "10.0.0.1", "worker", False, "ready", "active", "20.10", "linux x86_64", 2.0, 2**33
    )
    return replace(facts, **changes)


@pytest.fixture
def fleet():
    return Fleet(machine("one", role="manager", leads=True), machine("two"), machine("three"))


@pytest.fixture
def conductor(transactional_db, stage, fleet):
    driver = LocalDriver(
        stage.data / "dynos", sink=stage.logs, tree=stage.slugs.tree, instance="nodes", ports=PORTS
    )
    found = Conductor(Parts(driver, stage.router, stage.logs, stage.slugs, stage.data, machines=fleet))
    found.start()
    yield found
    found.stop()


def test_nodes_are_written_down_and_what_becomes_of_them_is_noted(db, fleet):
    look = Nodes(Parts(None, None, None, None, None, machines=fleet), lambda app: None).look
    look()
    assert list(Node.objects.values_list("pk", "state")) == [
        ("one", "ready"),
        ("three", "ready"),
        ("two", "ready"),
    ]
    told = Node.objects.get(pk="two").told_at
    look()
    assert Node.objects.get(pk="two").told_at == told  # nothing new, nothing written
    fleet.machines["two"] = machine("two", state="down")
    del fleet.machines["three"]
    look()
    assert list(Node.objects.values_list("pk", "state")) == [("one", "ready"), ("two", "down")]
    assert [(e.verb, e.label) for e in Event.objects.all()] == [("found down", "two")]


def test_the_way_in_is_sealed_and_follows_the_engine(db, fleet):
    nodes = Nodes(Parts(None, None, None, None, None, machines=fleet), lambda app: None)
    nodes.look()
    swarm = Swarm.objects.get()
    assert TOKEN not in swarm.sealed_token
    assert swarm.command == f"docker swarm join --token {TOKEN} 10.0.0.1:2377"
    fleet.rotate()
    nodes.look()
    assert Swarm.objects.get().token == f"{TOKEN}-2"


def test_a_node_is_drained_after_its_dynos_were_replaced(conductor, stage, fleet, alice):
    eventually(lambda: Node.objects.count() == 3)
    app = make_app(owner=alice)
    stage.deployed(app, alice)
    before = Dyno.objects.get(app=app)

    def left():
        alive = [state.id for state in conductor.parts.driver.observe(str(app.pk)) if state.state == "up"]
        return [id for id in alive if id == before.incarnation]

    fleet.dynos["two"] = left
    request = ended(actions.drain(Node.objects.get(pk="two"), by=alice))
    assert request.status == "succeeded"
    assert fleet.told[0] == "pause" and fleet.told[-1] == "drain"
    after = Dyno.objects.get(app=app)
    assert (after.state, after.generation) == ("up", before.generation + 1)
    assert [[b.id for b in route.backends] for route in stage.router.history[str(app.pk)]][-2:] == [
        [before.incarnation],
        [after.incarnation],
    ]
    assert Node.objects.get(pk="two").availability == "drain"
    assert ended(actions.activate(Node.objects.get(pk="two"), by=alice)).status == "succeeded"
    assert Node.objects.get(pk="two").availability == "active"


def test_a_request_that_can_t_be_done_says_why(conductor, fleet, alice):
    eventually(lambda: Node.objects.count() == 3)
    fleet.fault = EngineError("The node is gone.", permanent=True)
    request = ended(actions.activate(Node.objects.get(pk="two"), by=alice))
    assert (request.status, request.reason) == ("failed", "The node is gone.")


def test_a_node_is_removed_and_the_token_replaced(conductor, fleet, alice):
    eventually(lambda: Swarm.objects.exists())
    fleet.machines["two"] = machine("two", state="down")
    eventually(lambda: Node.objects.filter(pk="two", state="down").exists())
    assert ended(actions.remove(Node.objects.get(pk="two"), by=alice)).status == "succeeded"
    assert not Node.objects.filter(pk="two").exists()
    assert ended(actions.rotate_token(Swarm.objects.get(), by=alice)).status == "succeeded"
    assert Swarm.objects.get().token == f"{TOKEN}-2"


def test_what_would_stop_all_apps_or_forget_a_living_node_is_refused(db, fleet, alice):
    Nodes(Parts(None, None, None, None, None, machines=fleet), lambda app: None).look()
    one, two = Node.objects.get(pk="one"), Node.objects.get(pk="two")
    with pytest.raises(Conflict, match="Drain it"):
        actions.remove(two, by=alice)
    Node.objects.exclude(pk="one").update(availability="drain")
    with pytest.raises(Conflict, match="the only node that takes dynos"):
        actions.drain(one, by=alice)
    Node.objects.filter(pk="one").update(state="down")
    with pytest.raises(Conflict, match="is a manager"):
        actions.remove(Node.objects.get(pk="one"), by=alice)
    actions.activate(two, by=alice)
    with pytest.raises(Conflict, match="still under way"):
        actions.activate(two, by=alice)
    assert NodeRequest.objects.count() == 1
