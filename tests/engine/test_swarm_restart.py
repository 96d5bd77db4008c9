"""A Docker engine that restarts under requests: nobody is answered by another app, and all come back."""

import http.client
import itertools
import threading
import time

import pytest

from core.errors import EngineError
from engine.drivers.swarm import SwarmDriver
from engine.spec import ProcessSpec
from tests.conftest import eventually
from tests.engine.driver_contract import Recorder, Slugs
from tests.rig import Rig, can_rig

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
APPS = 20
PORTS = range(21480, 21500 + 2 * APPS)
WITHIN = 60.0  # seconds until all are back
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["NAME"].encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def node(engine):
    can_rig()
    rig = Rig(1).start(engine.lean())
    yield rig.nodes[0]
    rig.stop()


@pytest.fixture
def driver(engine, node, tmp_path):
    slugs = Slugs(tmp_path / "slugs")
    driver = SwarmDriver(
        node.url,
        sink=Recorder(),
        tree=slugs.tree,
        instance="restart",
        images={"slipway-24": engine.lean()},
        ports=PORTS,
        publish=True,  # its addresses are in a network namespace of its own
        keep=False,
    )
    driver.slug = slugs.make(**{"app.py": SERVER})
    yield driver
    driver.close()


class Keeper:
    """What a conductor does about crashes, and what a router knows."""

    def __init__(self, driver):
        self.driver, self.numbers = driver, itertools.count(1)
        self.routes, self.stop, self.answers = {}, threading.Event(), []
        self.wanted = {f"app-{n}": None for n in range(APPS)}

    def settle(self, app):
        states = {state.id: state for state in self.driver.observe(app)}
        state = states.get(self.wanted[app] and self.wanted[app].id)
        up = state is not None and state.state == "up"
        self.routes[app] = (state.host, state.port) if up else None
        if state is None or state.state == "crashed":
            self.wanted[app] = ProcessSpec(
                id=f"{app}-{next(self.numbers)}",
                app=app,
                dyno="web.1",
                command="exec python3 -IS app.py",
                slug=self.driver.slug,
                env={"NAME": app},
                slot=1 + int(app[4:]),
                web=True,
            )
            try:
                self.driver.apply(app, [self.wanted[app]])
            except EngineError:
                self.wanted[app] = None

    def keep(self):
        while not self.stop.is_set():
            for app in self.wanted:
                self.settle(app)
            time.sleep(0.05)

    def ask(self):
        for app in itertools.cycle(self.wanted):
            if self.stop.is_set():
                return
            if route := self.routes.get(app):
                self.answers.append((app, answer(*route)))
            time.sleep(0.002)

    def all_up(self):
        return len(self.routes) == APPS and all(self.routes.values())


def answer(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.mark.promise("I-26")
def test_an_engine_that_restarts_brings_every_app_back_and_mixes_none_up(driver, node):
    keeper = Keeper(driver)
    threads = [threading.Thread(target=target) for target in (keeper.keep, keeper.ask, keeper.ask)]
    for thread in threads:
        thread.start()
    try:
        eventually(keeper.all_up, 120)
        first = dict(keeper.wanted)
        node.restart()
        started = time.monotonic()
        eventually(lambda: keeper.all_up() and all(keeper.wanted[a] != first[a] for a in first), WITHIN)
        took = time.monotonic() - started
        eventually(lambda: [app for app, text in keeper.answers[-3 * APPS :] if text == app])
    finally:
        keeper.stop.set()
        for thread in threads:
            thread.join()
    mixed_up = [(app, text) for app, text in keeper.answers if text in keeper.wanted and text != app]
    assert mixed_up == []
    assert took < WITHIN
