"""Calls from a node to the platform: what is asked over them, and who is not believed. The engine is this machine's."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import EngineError
from engine.drivers.swarm.calls import Calls
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.ways import NAME, SCRIPT
from engine.tls import LocalCA
from tests.conftest import eventually

pytestmark = pytest.mark.docker


@pytest.fixture
def authority(tmp_path):
    return LocalCA(tmp_path / "tls")


@pytest.fixture
def calls(tmp_path, authority):
    made = Calls(tmp_path, authority.context(lambda name: name == NAME), {"one": "hush", "two": "hush-2"})
    yield made
    made.stop()


@pytest.fixture
def caller(engine, calls, authority, tmp_path):
    """Starts the program that runs on a node; all of it is ended."""
    started = []
    port = calls.listen("127.0.0.1", 0)

    def start(token, ca=authority):
        env = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(tmp_path),
            "SLIPWAY_WAY_TO": f"127.0.0.1:{port}",
            "SLIPWAY_WAY_NAME": NAME,
            "SLIPWAY_WAY_CA": ca.certificate.read_text(),
            "SLIPWAY_WAY_TOKEN": token,
            "SLIPWAY_WAY_SOCKET": engine.url.removeprefix("unix://"),
        }
        with (tmp_path / "caller.log").open("ab") as log:
            started.append(
                subprocess.Popen(["perl", "-T", SCRIPT], env=env, stderr=log, start_new_session=True)
            )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(20)


def test_an_engine_answers_many_at_once_over_its_calls(engine, calls, caller):
    place = calls.open("one")
    caller("hush")
    eventually(lambda: calls.calls("one"))
    client = Client(f"unix://{place}", seconds=30)
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda _: client.info()["ID"], range(30)))
    assert said == [engine.client.info()["ID"]] * 30
    client.close()


def test_a_node_is_reached_over_its_own_calls_alone(calls, caller):
    calls.open("one")
    place = calls.open("two")
    caller("hush")
    eventually(lambda: calls.calls("one"))
    assert not calls.calls("two")
    client = Client(f"unix://{place}", seconds=10)
    with pytest.raises(EngineError, match="can't be reached"):
        client.info()
    client.close()


def test_who_has_no_secret_of_a_node_is_hung_up_on(calls, caller):
    calls.open("one")
    wrong = caller("a guess")
    right = caller("hush")
    eventually(lambda: calls.calls("one"))
    right.terminate()
    right.wait(20)
    eventually(lambda: not calls.calls("one"))
    assert wrong.poll() is None  # and so it goes on asking


def test_a_caller_shows_its_secret_to_nobody_but_the_platform(engine, calls, caller, tmp_path):
    calls.open("one")
    caller("hush", ca=LocalCA(tmp_path / "another"))
    log = tmp_path / "caller.log"
    eventually(lambda: "certificate verify failed" in log.read_text(), 20)
    assert not calls.calls("one")
    assert "hush" not in log.read_text()


def test_nothing_of_it_is_left_once_it_is_told_to_end(calls, caller):
    calls.open("one")
    process = caller("hush")
    eventually(lambda: calls.calls("one"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    with pytest.raises(ProcessLookupError):
        eventually(lambda: os.killpg(process.pid, 0), seconds=5)
