"""Letting a process into a dyno of the local driver that runs."""

import os

import pytest

from engine.drivers.local import LocalDriver
from tests.engine.driver_contract import DriverContract, Recorder, Slugs
from tests.engine.inside_contract import InsideContract

PORTS = range(21500, 21600)


def lacking(what, request):
    """End the test: the driver has none of it. Where it should have, that is a failure in CI."""
    if request.node.callspec.params["driver"] != "bare" and os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


class TestInsideLocalDriver(InsideContract):
    spec = DriverContract.spec

    @pytest.fixture
    def lines(self):
        return Recorder()

    @pytest.fixture
    def slugs(self, tmp_path):
        return Slugs(tmp_path / "slugs")

    @pytest.fixture(params=["isolated", "bare"])
    def driver(self, request, tmp_path, lines, slugs):
        driver = LocalDriver(
            tmp_path / "driver",
            sink=lines,
            tree=slugs.tree,
            instance="inside",
            ports=PORTS,
            bare=request.param == "bare",
        )
        yield driver
        driver.close()

    def test_who_is_let_in_sees_what_the_dyno_sees_and_no_more(self, driver, spec, request):
        host = self.up(driver, spec, "echo mine > /tmp/of-the-host; exec sleep 60")
        if driver.level != "own user, own view":
            lacking("dynos have no view of their own here", request)
        assert self.say(driver, spec, host, "ls /tmp").split() == ["of-the-host"]
        refused = self.say(
            driver, spec, host, "cat /proc/1/environ 2>&1; grep ^NoNewPrivs /proc/self/status; kill -0 1 2>&1"
        )
        assert "NoNewPrivs:\t1" in refused and "PATH=" not in refused and "permitted" in refused

    def test_who_is_let_in_counts_with_the_dyno(self, driver, spec, request):
        host = self.up(driver, spec, "exec sleep 60")
        if "memory" not in driver.controllers:
            lacking("no control groups here", request)
        groups = "cut -d: -f3 /proc/self/cgroup | sort -u"
        assert host.id in self.say(driver, spec, host, groups)
