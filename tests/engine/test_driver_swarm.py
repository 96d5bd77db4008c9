"""The Swarm driver on a real engine, by the contract of all drivers and by what is its own."""

import pytest

from engine.drivers.swarm import SwarmDriver
from tests.engine.driver_contract import DriverContract

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
PORTS = range(21000, 21480)
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def instance(engine):
    """A name for all that the tests of this file make; nothing of it is left."""
    name = engine.instance()
    yield name
    engine.remove(name)
    assert left(engine, name) == []


def left(engine, instance):
    """What the engine has of an instance, networks and images apart."""
    which = {"label": f"slipway.instance={instance}"}
    client = engine.client
    return [*client.services.list(filters=which), *client.containers.list(all=True, filters=which)]


class TestSwarmDriver(DriverContract):
    PYTHON, WEB = PYTHON, f"exec {PYTHON} -IS server.py 0.0.0.0"
    SECONDS = 30

    @pytest.fixture
    def driver(self, engine, instance, lines, slugs):
        driver = SwarmDriver(
            engine.url, sink=lines, tree=slugs.tree, instance=instance, ports=PORTS, keep=False
        )
        yield driver
        driver.close()
        assert left(engine, instance) == []

    def container(self, driver):
        """The newest container of the driver's."""
        return driver._client.containers(f"slipway.instance={driver._services.instance}")[0]["Id"]

    def is_alive(self, driver, pid):
        """Process numbers are those inside of the container, and all of them go with it."""
        return bool(driver._client.containers(f"slipway.instance={driver._services.instance}"))

    def has_run(self, driver, state):
        found = driver._client.containers(f"slipway.instance={driver._services.instance}")
        return found and found[0]["State"] == "exited"

    @pytest.mark.promise("I-26")
    def test_a_port_that_another_app_squats_on_is_not_taken_for_the_dyno(self, driver, web, spec):
        """Each dyno has an address of its own: a port is not to be squatted on."""
        squat = 'import socket,sys,time; s=socket.create_server(("",int(sys.argv[1]))); time.sleep(100)'
        victim = web("exec sleep 100", boot_seconds=3)
        driver.apply("one", [victim])
        port = self.eventually(lambda: driver.observe("one")[0].port)
        driver.run(spec(f"exec {PYTHON} -c '{squat}' {port}", "run.1", app="two", slot=2, one_off=True))
        assert self.until(driver, "crashed").reason.startswith("Error R10 (Boot timeout)")
