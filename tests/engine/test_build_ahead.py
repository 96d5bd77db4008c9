"""The process of a build that is started ahead."""

import os
import signal
from functools import partial

import pytest

from core.errors import BuildFailed
from engine.builder import ahead as module
from engine.builder import build
from engine.builder.ahead import Ahead
from tests.engine.workshop import Workshop
from tests.waiting import eventually

APP = {"Procfile": "web: ./start", "start": "#!/bin/sh\n"}


@pytest.fixture
def ahead():
    ahead = Ahead(pause=0.01)
    yield ahead
    ahead.close()


@pytest.fixture
def shop(tmp_path, ahead):
    return Workshop(tmp_path / "data", build=partial(build, ahead=ahead))


def waiting(ahead):
    """The process that waits, once there is one."""
    ahead.order()
    eventually(lambda: ahead._waiting is not None)
    return ahead._waiting.process


def started(monkeypatch):
    """The processes that are started from now on."""
    found, launch = [], module.launch
    monkeypatch.setattr(module, "launch", lambda: found.append(launch()) or found[-1])
    return found


def test_a_build_goes_on_in_the_one_that_waits_and_orders_the_next(shop, ahead, monkeypatch):
    process = waiting(ahead)
    launched = started(monkeypatch)
    shop.build(APP)
    assert shop.result.process_types == {"web": "./start"}
    assert process.returncode is not None  # it did this build, and ended with it
    eventually(lambda: ahead._waiting is not None)
    assert ahead._waiting.process.pid != process.pid
    assert len(launched) == 1


def test_what_it_builds_is_the_same_slug(shop, ahead, tmp_path):
    waiting(ahead)
    shop.build(APP)
    plain = Workshop(tmp_path / "plain")
    plain.build(APP)
    assert shop.result.digest == plain.result.digest


def test_a_build_that_fails_orders_the_next_too(shop, ahead):
    first = waiting(ahead).pid
    with pytest.raises(BuildFailed, match="No buildpack fits"):
        shop.build({"README": "nothing to run"})
    eventually(lambda: ahead._waiting is not None)
    assert ahead._waiting.process.pid != first


def test_one_that_has_ended_meanwhile_is_not_built_in(shop, ahead):
    process = waiting(ahead)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shop.build(APP)
    assert shop.result.process_types == {"web": "./start"}


def test_one_that_has_waited_too_long_is_not_built_in(shop, ahead, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", module.SLACK_SECONDS)
    process = waiting(ahead)
    launched = started(monkeypatch)
    shop.build(APP)
    assert launched and launched[0].process.pid != process.pid
    assert process.returncode is not None


def test_it_ends_with_whoever_holds_its_input(ahead):
    process = waiting(ahead)
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_nothing_waits_after_the_end(ahead):
    process = waiting(ahead)
    ahead.close()
    assert process.returncode is not None
    ahead.order()
    assert ahead._order is None or not ahead._order.is_alive()
    assert ahead._waiting is None
