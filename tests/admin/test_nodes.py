"""Nodes on the operators' site: what they are, what can be done to them, and how one is added."""

import pytest

from conductor.models import Beat, Node, NodeRequest, Swarm
from core.models import Event
from tests.admin.conftest import deed_of, do, list_of, page_of

TOKEN = "SWMTKN-1-never-shown"


def node(name, **facts):
    usual = {
        "hostname": name,
        "address": "10.0.0.2",
        "role": "worker",
        "state": "ready",
        "availability": "active",
        "engine": "20.10.24",
        "memory": 8 * 2**30,
        "promised": 2**30,
        "cores": 4,
        "dynos": 3,
    }
    return Node.objects.create(pk=name, **{**usual, **facts})


@pytest.fixture
def nodes(db):
    return [node("harbour", role="manager", leads=True), node("quay"), node("pier", state="down", dynos=0)]


@pytest.fixture
def swarm(db):
    row = Swarm(name="swarm", address="10.0.0.1:2377")
    row.token = TOKEN
    row.save()
    return row


def test_the_list_says_how_nodes_are(operator, client, nodes):
    text = client.get(list_of(Node)).text
    assert "harbour" in text and "manager, leads" in text and "down" in text
    assert "1.0\xa0GB of 8.0\xa0GB (12 %)" in text


def test_a_node_is_drained_by_a_request_that_the_conductor_finds(operator, client, nodes):
    quay = nodes[1]
    assert "none comes until it is activated again" in client.get(deed_of(quay, "drain")).text
    do(client, quay, "drain")
    request = NodeRequest.objects.get()
    assert (request.verb, request.node, request.status, request.by) == ("drain", "quay", "pending", operator)
    quay.refresh_from_db()
    assert quay.availability == "active"  # no page waits for the engine
    assert "still under way" in do(client, quay, "drain").text
    assert [(e.verb, e.label, e.by) for e in Event.objects.all()] == [("drained", "quay", operator)]


def test_only_a_node_that_is_down_can_be_removed(operator, client, nodes):
    assert deed_of(nodes[1], "remove") not in client.get(page_of(nodes[1])).text
    do(client, nodes[2], "remove")
    assert NodeRequest.objects.get().verb == "remove"


def test_the_command_that_adds_a_node_is_shown_when_asked_for(operator, client, swarm):
    for url in (list_of(Swarm), page_of(swarm), deed_of(swarm, "command")):
        assert TOKEN not in client.get(url).text
    answer = client.post(deed_of(swarm, "command"), {"confirmed": "yes"})
    assert f"docker swarm join --token {TOKEN} 10.0.0.1:2377" in answer.text
    assert "no-store" in answer["Cache-Control"]
    event = Event.objects.get()
    assert (event.verb, event.by) == ("revealed the token of", operator)
    assert TOKEN not in str(event.details)
    do(client, swarm, "rotate")
    assert NodeRequest.objects.get().verb == "rotate"


def test_conductors_are_listed(operator, client, db):
    Beat.objects.create(hostname="harbour", pid=4711, leads=True, told={"jobs": [{}, {}]})
    text = client.get(list_of(Beat)).text
    assert "harbour" in text and "leads" in text and "alive" in text


def test_strangers_find_no_nodes(client, alice, nodes, swarm):
    client.force_login(alice)
    for url in (list_of(Node), deed_of(nodes[0], "drain"), deed_of(swarm, "command")):
        assert client.get(url, follow=True).status_code == 404
    client.post(deed_of(swarm, "command"), {"confirmed": "yes"})
    assert not NodeRequest.objects.exists() and not Event.objects.exists()
