"""Letting a process into a dyno of the Swarm driver that runs."""

import os

import pytest

from core.errors import EngineError
from engine.drivers.swarm import SwarmDriver
from engine.spec import Attach
from tests.conftest import eventually
from tests.engine.driver_contract import DriverContract, Recorder, Slugs, attach, read_all
from tests.engine.inside_contract import InsideContract
from tests.engine.test_driver_swarm import left

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]
PORTS = range(21480, 21500)


@pytest.fixture(scope="module")
def instance(engine):
    """A name for all that the tests of this file make; nothing of it is left."""
    name = engine.instance()
    yield name
    engine.remove(name)


class TestInsideSwarmDriver(InsideContract):
    spec = DriverContract.spec

    @pytest.fixture
    def lines(self):
        return Recorder()

    @pytest.fixture
    def slugs(self, tmp_path):
        return Slugs(tmp_path / "slugs")

    @pytest.fixture
    def driver(self, engine, instance, lines, slugs):
        driver = SwarmDriver(
            engine.url, sink=lines, tree=slugs.tree, instance=instance, ports=PORTS, keep=False
        )
        yield driver
        driver.close()
        eventually(lambda: left(engine, instance) == [], 15)

    def test_who_is_let_in_can_do_no_more_than_the_dyno(self, driver, spec):
        host = self.up(driver, spec, "exec sleep 60")
        said = self.say(
            driver, spec, host, "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; id -u; touch /etc/x 2>&1"
        )
        none = "0000000000000000"
        assert said.splitlines()[:2] == [f"CapBnd:\t{none}", "NoNewPrivs:\t1"]
        assert "Read-only file system" in said and "\n0\n" not in said

    def test_a_terminal_has_its_size_and_a_command_its_status(self, driver, spec):
        host = self.up(driver, spec, "exec sleep 60")
        one = spec("stty size; exit 7", attach=Attach(True, 120, 40), one_off=True, inside=host.id)
        driver.run(one)
        assert "40 120" in read_all(attach(driver, one)).decode()
        assert self.ended(driver, one).exit_code == 7

    def test_input_comes_through_and_ends(self, driver, spec):
        host = self.up(driver, spec, "exec sleep 60")
        one = spec("wc -c; echo oops >&2", attach=Attach(tty=False), one_off=True, inside=host.id)
        driver.run(one)
        streams = attach(driver, one)
        os.write(streams.writer, b"x" * 1000)
        streams.end_input()
        assert read_all(streams).split() == [b"1000", b"oops"]

    def test_what_it_left_behind_ends_with_it(self, driver, spec):
        host = self.up(driver, spec, "exec sleep 60")
        self.say(driver, spec, host, "sleep 4711 >/dev/null 2>&1 </dev/null & true")
        eventually(
            lambda: "4711" not in self.say(driver, spec, host, "cat /proc/[0-9]*/cmdline | tr -d '\\0'")
        )

    def test_who_hangs_up_ends_it(self, driver, spec):
        host = self.up(driver, spec, "exec sleep 60")
        one = spec("sleep 60", attach=Attach(), one_off=True, inside=host.id)
        driver.run(one)
        attach(driver, one).close()
        assert self.ended(driver, one).exit_code == 129

    def test_nobody_is_let_in_who_sits_at_nothing(self, driver, spec):
        host = self.up(driver, spec, "exec sleep 60")
        with pytest.raises(EngineError, match="streams"):
            driver.run(spec("true", one_off=True, inside=host.id))

    def test_who_is_let_in_ends_with_the_driver_and_the_dyno_goes_on(
        self, engine, instance, lines, slugs, spec
    ):
        def make(keep):
            return SwarmDriver(
                engine.url, sink=lines, tree=slugs.tree, instance=instance, ports=PORTS, keep=keep
            )

        first = make(keep=True)
        host = self.up(first, spec, "exec sleep 60")
        one = spec("sleep 4712", attach=Attach(), one_off=True, inside=host.id)
        first.run(one)
        attach(first, one)
        first.close()
        second = make(keep=False)
        try:
            assert [state.id for state in second.observe(host.app)] == [host.id]
            said = self.say(second, spec, host, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
            assert "sleep 60" in said and "sleep 4712" not in said
        finally:
            second.close()
            eventually(lambda: left(engine, instance) == [], 15)
