"""Dynos on nodes whose engines the platform does not ask by itself: who is let in, memory, and how they end."""

import itertools
import os
import socket
import ssl
import threading

import pytest

from core.errors import EngineError
from engine.drivers.swarm import SwarmDriver, network
from engine.servers.mailer import Mailer
from engine.spec import MB, Attach, ProcessSpec, Size
from tests.conftest import eventually
from tests.engine.driver_contract import Recorder, Slugs, attach, read_all
from tests.engine.inside_contract import InsideContract

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
SERVE = "exec /usr/bin/python3 -IS -m http.server $PORT"
INSTANCE = "other-nodes"
SMALL = Size(32 * MB, 1024)
HOLD = "exec /usr/bin/python3 -IS -c 'import time; held = bytearray({} * 1024**2); time.sleep(100)'"
_ids = itertools.count(1)


@pytest.fixture(scope="module")
def nodes(rig):
    """The rig's, the first of which is the platform's own and takes no dynos."""
    for node in rig.nodes:
        node.docker(*network.command(INSTANCE, node.address)[1:])
    rig.nodes[0].use_for("drain")
    yield rig.nodes
    rig.nodes[0].use_for("active")


@pytest.fixture
def lines():
    return Recorder()


@pytest.fixture
def slugs(tmp_path):
    return Slugs(tmp_path / "slugs")


@pytest.fixture
def driver(nodes, registry, engine, lines, slugs):
    driver = SwarmDriver(
        nodes[0].url,
        sink=lines,
        tree=slugs.tree,
        instance=INSTANCE,
        images={"slipway-24": engine.lean()},
        sample_seconds=1,
        keep=False,
        registry=registry.address,
    )
    others = {id for id in driver._addresses if id != driver._node}
    eventually(lambda: all(driver._ways.to(id) for id in others), seconds=120)
    yield driver
    driver.close()
    assert nodes[0].docker("service", "ls", "-q") == ""


@pytest.fixture
def spec(slugs):
    default = slugs.make()

    def make(command, dyno="worker.1", app="one", **extra):
        values = {"slug": default, "env": {}, "slot": 1, "stop_seconds": 5, **extra}
        return ProcessSpec(id=f"other-{next(_ids)}", app=app, dyno=dyno, command=command, **values)

    return make


class TestInside(InsideContract):
    def up(self, driver, spec, *args, **extra):
        host = super().up(driver, spec, *args, **extra)
        assert driver._dynos[host.id].container == "elsewhere"
        return host

    def test_what_goes_in_and_out_at_the_same_time_comes_through_whole(self, driver, spec):
        host = self.up(driver, spec)
        one = spec("cat", attach=Attach(tty=False), one_off=True, inside=host.id)
        driver.run(one)
        streams, sent = attach(driver, one), os.urandom(3 * MB)

        def write():
            os.set_blocking(streams.writer, True)
            with os.fdopen(os.dup(streams.writer), "wb") as writer:
                writer.write(sent)
            streams.end_input()

        writer = threading.Thread(target=write)
        writer.start()
        assert read_all(streams) == sent
        writer.join()


def ended(driver, spec):
    def look():
        return next((s for s in driver.observe(spec.app) if s.id == spec.id and s.state == "crashed"), None)

    return eventually(look, seconds=60)


def up(driver, spec):
    driver.apply(spec.app, [spec])
    eventually(lambda: [s for s in driver.observe(spec.app) if s.id == spec.id and s.state == "up"], 60)


def test_memory_above_the_quota_is_told(driver, spec, lines):
    up(driver, spec(HOLD.format(40), size=SMALL))
    eventually(lambda: "Error R14 (Memory quota exceeded)" in lines.texts(dyno="worker.1"), 60)


def test_a_dyno_that_takes_far_too_much_ends_for_that(driver, spec, lines):
    greedy = spec(HOLD.format(200), size=SMALL)
    driver.apply(greedy.app, [greedy])
    assert ended(driver, greedy).reason == "Error R15 (Memory quota vastly exceeded)"


def test_a_dyno_that_ends_before_anybody_saw_it_run_is_told_with_its_status(driver, spec, lines):
    brief = spec("echo my last words; exit 3")
    driver.apply(brief.app, [brief])
    state = ended(driver, brief)
    assert (state.exit_code, state.reason) == (3, "Process exited with status 3")
    eventually(lambda: "my last words" in lines.texts(source="app"), 60)
    eventually(lambda: "Process exited with status 3" in lines.texts(dyno="worker.1"), 60)


def test_how_a_dyno_ended_is_told_after_it_was_stopped(driver, spec, lines):
    up(driver, spec("trap 'echo bye; exit 7' TERM; echo here; while :; do sleep 0.1; done"))
    eventually(lambda: "here" in lines.texts(source="app"), 60)
    driver.apply("one", [])
    eventually(lambda: "Process exited with status 7" in lines.texts(dyno="worker.1"), 60)
    assert "bye" in lines.texts(source="app")


@pytest.mark.promise("I-12")
def test_dynos_reach_no_dyno_of_another_node_and_whoever_may_does(driver, nodes, spec, lines):
    apps = [spec(SERVE, "web.1", app=app, slot=slot, web=True) for slot, app in enumerate(("one", "two"), 1)]
    for app in apps:
        up(driver, app)
    (one,), (two,) = driver.observe("one"), driver.observe("two")
    assert one.host != two.host
    with socket.create_connection((two.host, two.port), 5):  # as a router does
        pass
    gets_in = f"timeout 3 bash -c '</dev/tcp/{two.host}/{two.port}' 2>/dev/null"
    knock = f"{gets_in} && echo in || echo out"

    def is_kept_out():
        visit = spec(knock, app="one", attach=Attach(tty=False), one_off=True, inside=apps[0].id)
        driver.run(visit)
        return read_all(attach(driver, visit)).split() == [b"out"]

    eventually(is_kept_out, 60)  # the Swarm puts the fence up on each node while the first dynos start
    nodes[0].use_for("active")  # a node that is drained runs no one-off dynos
    try:
        patient = f"for _ in $(seq 40); do {gets_in} || break; sleep 1; done; {knock}"  # this node has it from now on
        driver.run(spec(patient, "run.1", app="one", one_off=True))
        eventually(lambda: lines.texts(source="app", dyno="run.1") == ["out"], 120)
    finally:
        nodes[0].use_for("drain")


class Box:
    """Where mail lands, for one user."""

    def __init__(self):
        self.senders = []

    def box(self, user, password):
        return "one" if (user, password) == ("one", "secret") else None

    def put(self, box, mail):
        self.senders.append(mail.sender)
        return True


def test_dynos_of_every_node_send_mail_to_the_platform(driver, nodes, rig, spec, tmp_path):
    box = Box()
    mailer = Mailer(tmp_path / "servers", ports=range(18900, 18990), post=box, where=lambda: f"{rig.net}.1")
    host, port = mailer.ensure()
    send = (
        f"import smtplib; smtp = smtplib.SMTP('{host}', {port}, timeout=20); smtp.login('one', 'secret'); "
        "smtp.sendmail('{}@example.com', ['ines@example.com'], b'Subject: hello')"
    )
    try:
        for slot, app in enumerate(("one", "two"), 1):
            command = f'/usr/bin/python3 -IS -c "{send.format(app)}"; exec sleep 100'
            driver.apply(app, [spec(command, app=app, slot=slot)])
        eventually(lambda: sorted(box.senders) == ["one@example.com", "two@example.com"], 60)
        for node in nodes[1:]:
            assert len(node.docker("ps", "-q", "--filter", "label=slipway.dyno").split()) == 1
    finally:
        mailer.stop()


def test_a_node_that_no_way_leads_to_lets_nobody_in(driver, spec):
    host = spec("exec sleep 100")
    up(driver, host)
    driver._registry = ""  # so that it looks for no ways any more
    eventually(lambda: driver._dynos[host.id].engine() is None, 60)
    with pytest.raises(EngineError, match="can't be reached"):
        driver.run(spec("true", attach=Attach(), one_off=True, inside=host.id))
    driver.apply("one", [])  # nor is its end known, but it ends
    eventually(lambda: driver.observe("one") == [], 60)


def test_a_caller_without_a_nodes_secret_is_hung_up_on(driver):
    ((address, port),) = driver._ways._ports.items()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(driver._ways._authority.certificate)
    with socket.create_connection((address, port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="engine.internal") as caller:
            caller.sendall(b"a guess\n")
            assert caller.recv(1) == b""
