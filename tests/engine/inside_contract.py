"""What a driver must do that lets a process into a dyno that runs. A test class of the driver inherits this beside
`DriverContract`."""

import os

import pytest

from core.errors import EngineError
from engine.spec import Attach
from tests.conftest import eventually
from tests.engine.driver_contract import attach, read_all


class InsideContract:
    """`ProcessSpec.inside`."""

    def up(self, driver, spec, command="echo made > here; exec sleep 60", **extra):
        host = spec(command, **extra)
        driver.apply(host.app, [host])
        eventually(
            lambda: [one for one in driver.observe(host.app) if one.id == host.id and one.state == "up"]
        )
        return host

    def say(self, driver, spec, host, command, **extra):
        one = spec(command, attach=Attach(tty=False), one_off=True, inside=host.id, **extra)
        driver.run(one)
        return read_all(attach(driver, one)).decode()

    def ended(self, driver, spec):
        return eventually(
            lambda: next((s for s in driver.observe(spec.app) if s.id == spec.id and s.state == "down"), None)
        )

    def test_who_is_let_in_is_where_the_dyno_is(self, driver, spec):
        host = self.up(driver, spec, env={"COLOUR": "red"})
        said = self.say(
            driver, spec, host, "cat here; id -u; echo $DYNO; touch new; echo me > /tmp/mine; ls /tmp"
        )
        words = said.split()
        assert words[0] == "made" and host.dyno in words and "mine" in words
        assert self.say(driver, spec, host, "ls; stat -c %u here").split()[-1] == words[1]
        assert "new" in self.say(driver, spec, host, "ls")

    def test_the_path_is_whatever_an_app_wants(self, driver, spec):
        host = self.up(driver, spec)
        path = "bin:/tmp:/usr/bin:/bin"
        said = self.say(driver, spec, host, "echo $PATH; ls -d /bin", env={"PATH": path})
        assert said.split() == [path, "/bin"]

    def test_who_is_let_in_ends_with_the_dyno(self, driver, spec):
        host = self.up(driver, spec)
        one = spec("trap '' TERM HUP; sleep 60", attach=Attach(), one_off=True, inside=host.id)
        driver.run(one)
        attach(driver, one)
        driver.apply(host.app, [])
        assert "ended" in self.ended(driver, one).reason
        eventually(lambda: host.id not in [state.id for state in driver.observe(host.app)])

    def test_a_dyno_goes_on_when_who_was_let_in_has_gone(self, driver, spec):
        host = self.up(driver, spec)
        one = spec("sleep 60", attach=Attach(), one_off=True, inside=host.id)
        driver.run(one)
        attach(driver, one)
        driver.stop(one.app, one.id)
        assert self.ended(driver, one).exit_code is not None
        assert [state.state for state in driver.observe(host.app) if state.id == host.id] == ["up"]
        assert self.say(driver, spec, host, "echo still").split() == ["still"]

    def test_a_terminal_is_told_of_its_new_size(self, driver, spec):
        host = self.up(driver, spec)
        command = "while sleep 0.1; do stty size; done"
        one = spec(command, attach=Attach(columns=80, lines=24), one_off=True, inside=host.id)
        driver.run(one)
        streams = attach(driver, one)
        os.set_blocking(streams.reader, True)
        said = b""
        while b"24 80" not in said:
            said += os.read(streams.reader, 4096)
        streams.resize(101, 44)
        while b"44 101" not in said:
            said += os.read(streams.reader, 4096)
        driver.stop(one.app, one.id)
        self.ended(driver, one)
        streams.close()

    def test_nobody_is_let_in_where_nothing_runs(self, driver, spec):
        with pytest.raises(EngineError):
            driver.run(spec("true", one_off=True, inside="unknown"))

    def test_nobody_is_let_into_another_apps_dyno(self, driver, spec):
        host = self.up(driver, spec)
        with pytest.raises(EngineError):
            driver.run(spec("true", one_off=True, inside=host.id, app="another"))
