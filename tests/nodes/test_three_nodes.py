"""A Swarm of three engines: dynos run on all of them from one registry, and one engine is lost under requests."""

import threading
import time
import urllib.request

import pytest

from apps.models import Dyno, Formation
from conductor.actions import activate, drain
from conductor.loop import Conductor
from conductor.models import Node
from conductor.parts import Parts
from engine.drivers.swarm import SwarmDriver, network
from engine.swarm_nodes import SwarmMachines
from tests.conductor.conftest import Stage, data, ended  # noqa: F401 - a fixture
from tests.conftest import eventually
from tests.factories import make_app

pytestmark = [pytest.mark.docker, pytest.mark.platform, pytest.mark.timeout(600)]
INSTANCE = "three-nodes"
SERVER = "exec python3 -S server.py"
SERVER_PY = """
import os, socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(os.environ["PORT"])))
s.listen(64)
text = os.environ["SLIPWAY_APP_NAME"]
while True:
    c, _ = s.accept()
    c.recv(65536)
    c.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(text), text.encode()))
    c.close()
"""


class Load:
    """Requests to an app one after the other, each to where its route leads at that moment; one that finds nobody there
    tries the next dyno, as routers do."""

    def __init__(self, stage, app):
        self.stage, self.app = stage, app
        self.fine = self.failed = 0
        self.wrong = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _ask(self):
        while not self._over.wait(0.02):
            answers = (self._answer(each) for each in self.stage.backends(self.app))
            found = next((answer for answer in answers if answer is not None), None)
            self.fine += found == self.app.name
            self.failed += found is None
            if found not in (None, self.app.name):
                self.wrong.append(found)

    @staticmethod
    def _answer(backend):
        try:
            with urllib.request.urlopen(f"http://{backend.host}:{backend.port}/", timeout=2) as answer:
                return answer.read().decode()
        except OSError:
            return None


@pytest.fixture
def stage(transactional_db, data, settings, rig, registry, engine):  # noqa: F811
    settings.BOOT_SECONDS = 180  # a node's first dyno fetches the stack
    for node in rig.nodes:
        node.docker(*network.command(INSTANCE, node.address)[1:])
    stage = Stage(data)
    driver = SwarmDriver(
        rig.nodes[0].url,
        sink=stage.logs,
        tree=stage.slugs.tree,
        instance=INSTANCE,
        images={"slipway-24": engine.lean()},
        keep=False,
        registry=registry.address,
    )
    machines = SwarmMachines(rig.nodes[0].url, INSTANCE)
    stage.conductor = Conductor(
        Parts(driver, stage.router, stage.logs, stage.slugs, stage.data, machines=machines)
    )
    stage.conductor.start()
    yield stage
    stage.stop()


def hosts(stage, app):
    return {backend.host for backend in stage.backends(app)}


def test_dynos_run_on_all_nodes_and_elsewhere_once_one_is_lost(stage, rig, alice):
    app = make_app(owner=alice)
    Formation.objects.create(app=app, type="web", quantity=6)
    release = ended(stage.deploy(app, alice, files={"server.py": SERVER_PY}, web=SERVER), seconds=180)
    assert release.status == "succeeded", release.reason
    assert hosts(stage, app) == {node.address for node in rig.nodes}
    eventually(lambda: sum(node.dynos for node in Node.objects.all()) == 6, seconds=20)

    spare, lost = rig.nodes[1], rig.nodes[2]
    row = Node.objects.get(address=spare.address)
    with Load(stage, app) as load:
        assert ended(drain(row, by=alice), seconds=120).status == "succeeded"
        assert spare.address not in hosts(stage, app)
        assert ended(activate(row, by=alice), seconds=30).status == "succeeded"
    assert (load.failed, load.wrong) == (0, [])

    with Load(stage, app) as load:
        lost.lose()
        began = time.monotonic()
        eventually(lambda: lost.address not in hosts(stage, app), seconds=60)
        dropped = time.monotonic() - began
        eventually(lambda: len(stage.backends(app)) == 6, seconds=60)
        replaced = time.monotonic() - began
    print(
        f"out of the route after {dropped:.1f} s, six dynos again after {replaced:.1f} s, {load.fine} answers"
    )
    assert replaced < 60
    assert load.wrong == []
    assert load.failed == 0
    assert Dyno.objects.filter(app=app, state="up").count() == 6
    eventually(lambda: Node.objects.get(address=lost.address).state == "down", seconds=20)
    assert lost.address not in hosts(stage, app)
