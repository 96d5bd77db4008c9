"""The Swarm driver on a real engine, by the contract of all drivers and by what is its own."""

import itertools
import socket
import time
import uuid
from pathlib import Path

import pytest

from core.errors import EngineError
from engine.drivers.swarm import SwarmDriver, creation, hearing
from engine.spec import ProcessSpec
from engine.volumes import Volumes
from tests.conftest import eventually
from tests.engine.driver_contract import SMALL, DriverContract, Recorder, Slugs, get, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]
PORTS = range(21000, 21480)
PYTHON = "/usr/bin/python3"
WEB = f"exec {PYTHON} -IS server.py 0.0.0.0"
_ids = itertools.count(1)


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
    return [
        *client.services.list(filters=which),
        *client.containers.list(all=True, filters=which, ignore_removed=True),
    ]


class TestSwarmDriver(DriverContract):
    PYTHON, WEB = PYTHON, WEB
    SECONDS = 30

    @pytest.fixture
    def driver(self, engine, instance, lines, slugs):
        driver = SwarmDriver(
            engine.url, sink=lines, tree=slugs.tree, instance=instance, ports=PORTS, keep=False
        )
        yield driver
        driver.close()
        eventually(lambda: left(engine, instance) == [])  # the Swarm may be at it already

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


# --- beyond the contract ------------------------------------------------------------------------------------------


@pytest.fixture
def lines():
    return Recorder()


@pytest.fixture
def slugs(tmp_path):
    return Slugs(tmp_path / "slugs")


@pytest.fixture
def start(engine, instance, lines, slugs):
    """Makes drivers of one instance, one after the other; nothing is left of the last."""
    made = []

    def make(*, sink=lines, keep=False, **extra):
        driver = SwarmDriver(
            engine.url, sink=sink, tree=slugs.tree, instance=instance, ports=PORTS, keep=keep, **extra
        )
        made.append(driver)
        return driver

    yield make
    for driver in made:
        driver.close()
    eventually(lambda: left(engine, instance) == [])  # the Swarm may be at it already


@pytest.fixture
def spec(slugs):
    default = slugs.make()

    def make(command, dyno="run.1", app="one", one_off=True, **extra):
        values = {"slug": default, "env": {}, "slot": 1, "stop_seconds": 5, **extra}
        return ProcessSpec(
            id=f"swarm-{next(_ids)}", app=app, dyno=dyno, command=command, one_off=one_off, **values
        )

    return make


def output(driver, lines, spec):
    """Run `spec` and return the lines it wrote."""
    driver.run(spec)
    eventually(
        lambda: any(state.id == spec.id and state.state == "down" for state in driver.observe(spec.app)), 30
    )
    eventually(lambda: any(text.startswith("Process exited") for text in lines.texts(dyno=spec.dyno)))
    return lines.texts(source="app", dyno=spec.dyno)


def test_a_dyno_runs_as_the_user_of_its_app_and_can_gain_no_rights(start, spec, lines):
    said = output(
        start(first_uid=40000),
        lines,
        spec(
            "id -u; id -G; pwd; stat -c %u server.py; ulimit -c; grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status; "
            "touch /usr/x /etc/x 2>&1; ls /var/run/docker.sock 2>&1",
            slot=7,
        ),
    )
    none = "0000000000000000"
    assert said[:8] == [
        "40007",
        "40007",
        "/app",
        "40007",
        "0",
        f"CapEff:\t{none}",
        f"CapBnd:\t{none}",
        "NoNewPrivs:\t1",
    ]
    assert all("Read-only file system" in text for text in said[8:10])
    assert "No such file" in said[10]


def test_a_service_gains_no_rights_either(start, spec, lines):
    """The engine has no word for it in a service of API 1.41: the launcher sees to it."""
    look = "grep -E 'NoNewPrivs|CapBnd' /proc/self/status; id -u; touch /usr/x 2>&1; exec sleep 100"
    start().apply("one", [spec(look, "worker.1", one_off=False)])
    eventually(lambda: len(lines.texts(source="app")) == 4, 30)
    said = lines.texts(source="app")
    assert said[:3] == ["CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "30001"]
    assert "Read-only" in said[3]


def test_dynos_of_all_kinds_find_their_volumes_and_no_other(start, spec, lines, tmp_path):
    volumes, driver = Volumes(tmp_path / "volumes"), start()
    mine, theirs = (str(volumes.make(str(uuid.uuid4()))) for _ in range(2))
    look = (
        f"mkdir {mine}/new; echo 1 > {mine}/new/file; ls {volumes.root} | wc -l; test -e {theirs} || echo no"
    )
    assert output(driver, lines, spec(look, volumes=(mine,))) == ["1", "no"]
    more = f"echo 2 >> {mine}/new/file; touch {mine}/new/other; rm {mine}/new/other; cat {mine}/new/file"
    driver.apply(
        "two", [spec(f"{more}; exec sleep 100", "worker.1", "two", one_off=False, slot=2, volumes=(mine,))]
    )
    eventually(lambda: lines.texts(source="app", dyno="worker.1") == ["1", "2"], 30)
    assert output(driver, lines, spec(f"test -e {mine} || echo no", "run.2", "three", slot=3)) == ["no"]
    assert (Path(mine) / "new" / "file").read_text() == "1\n2\n"


@pytest.mark.promise("I-12")
def test_dynos_reach_neither_each_other_nor_what_listens_on_this_machines_loopback(start, spec, lines):
    driver = start()
    with socket.create_server(("127.0.0.1", 0)) as ours:
        other = spec(WEB, "web.1", app="two", slot=2, one_off=False, web=True)
        driver.apply("two", [other])
        state = until(driver, "up", app="two", seconds=30)
        tries = [(state.host, state.port), ("127.0.0.1", ours.getsockname()[1])]
        gateway = f"{state.host.rpartition('.')[0]}.1"
        tries += [(gateway, state.port), (gateway, ours.getsockname()[1])]
        knock = "; ".join(
            f"timeout 1 bash -c '</dev/tcp/{host}/{port}' 2>/dev/null && echo in || echo out"
            for host, port in tries
        )
        assert output(driver, lines, spec(knock)) == ["out"] * len(tries)


def test_a_slug_that_takes_its_time_is_not_taken_for_a_swarm_that_starts_nothing(
    engine, instance, lines, slugs, spec, monkeypatch
):
    monkeypatch.setattr(creation, "PLACE_SECONDS", 10)

    def slow(digest):
        time.sleep(11)
        return slugs.tree(digest)

    driver = SwarmDriver(engine.url, sink=lines, tree=slow, instance=instance, ports=PORTS, keep=False)
    try:
        driver.apply("one", [spec("exec sleep 100", "worker.1", one_off=False)])
        until(driver, "up", seconds=60)
    finally:
        driver.close()


@pytest.mark.promise("I-37")
def test_config_is_in_no_label_and_no_argument(engine, instance, start, spec):
    driver = start()
    driver.apply(
        "one", [spec("exec sleep 100", "worker.1", one_off=False, env={"SECRET": "hunter2-hunter2"})]
    )
    until(driver, "up", seconds=30)
    which = {"label": f"slipway.instance={instance}"}
    (service,), (container,) = (
        engine.client.services.list(filters=which),
        engine.client.containers.list(filters=which),
    )
    wished = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert "SECRET=hunter2-hunter2" in wished.pop("Env")
    assert "hunter2" not in repr(service.attrs)
    assert "hunter2" not in repr([container.labels, container.attrs["Path"], container.attrs["Args"]])


def test_every_option_of_restart_and_update_is_said(engine, instance, start, spec):
    driver = start()
    driver.apply("one", [spec("exec sleep 100", "worker.1", one_off=False)])
    until(driver, "up", seconds=30)
    (service,) = engine.client.services.list(filters={"label": f"slipway.instance={instance}"})
    wished = service.attrs["Spec"]
    assert wished["TaskTemplate"]["RestartPolicy"]["Condition"] == "none"
    for part in ("UpdateConfig", "RollbackConfig"):
        assert wished[part]["FailureAction"] == "continue"
        assert {"Parallelism", "Order", "MaxFailureRatio"} <= set(wished[part])
    limits = wished["TaskTemplate"]["Resources"]["Limits"]
    assert set(limits) == {"NanoCPUs", "MemoryBytes", "Pids"}


@pytest.mark.promise("I-13")
def test_a_dyno_past_its_memory_is_ended(start, spec):
    driver = start()
    hungry = f"exec {PYTHON} -c 'x = b\"x\" * 200_000_000'"
    driver.apply("one", [spec(hungry, "worker.1", one_off=False, size=SMALL)])
    state = until(driver, "crashed", seconds=30)
    assert (state.exit_code, state.reason) == (137, "Error R15 (Memory quota vastly exceeded)")


def test_a_dyno_above_its_memory_is_told(start, spec, lines):
    above = f"exec {PYTHON} -IS -c 'import time; x = b\"x\" * 40_000_000; time.sleep(100)'"
    driver = start(sample_seconds=0.05)
    driver.run(spec(above, size=SMALL))
    eventually(lambda: "Error R14 (Memory quota exceeded)" in lines.texts(source="heroku"), 30)
    (state,) = driver.observe("one")
    assert 40_000_000 < state.memory < 100_000_000


@pytest.mark.promise("I-13")
def test_a_dyno_past_its_processes_cannot_fork(start, spec, lines):
    count = """
import os, time
n = 0
try:
    while os.fork():
        n += 1
except BlockingIOError:
    print("children:", n, flush=True)
    os._exit(0)
time.sleep(100)
"""
    said = output(start(), lines, spec(f"exec {PYTHON} -ISc '{count}'", size=SMALL))
    assert said == [f"children: {SMALL.pids - 1}"]


def test_a_long_log_is_waited_for_as_long_as_it_goes_on(start, spec, lines, monkeypatch):
    monkeypatch.setattr(hearing, "SILENCE_SECONDS", 0.5)
    count = 300_000
    assert output(start(), lines, spec(f"seq {count}"))[-1] == str(count)
    assert len(lines.texts(source="app")) == count


def test_an_image_runs_by_its_own_command(engine, start, spec, lines):
    """Without a slug and a launcher: the image's entrypoint, or a command through its shell."""
    driver = start()
    said = output(
        driver, lines, spec("id -u; echo $GREETING", image=engine.stack, slug="", env={"GREETING": "hi"})
    )
    assert said == ["30001", "hi"]


def test_an_image_that_is_not_there_says_so(start, spec):
    driver = start()
    driver.run(spec("true", image="sha256:" + "0" * 64, slug=""))
    assert "No such image" in until(driver, "down", seconds=30).reason


def test_an_environment_that_cannot_be_is_the_dynos_end_only(start, spec):
    driver = start()
    driver.run(spec("true", env={"BROKEN": "a\0b"}))
    assert until(driver, "down", seconds=30).reason


@pytest.mark.promise("I-18")
@pytest.mark.promise("I-19")
@pytest.mark.promise("I-22")
def test_the_next_driver_takes_over_what_runs(start, spec, lines):
    """Same processes, same states, and every line once."""
    count = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done"
    first = start(keep=True, last=last_of(lines))
    web = spec(WEB, "web.1", one_off=False, web=True)
    first.apply("one", [web, spec(count, "worker.1", one_off=False)])
    before = {state.id: state.pid for state in until(first, "up", number=2, seconds=30)}
    eventually(lambda: len(lines.texts(source="app", dyno="worker.1")) > 20)
    first.close()
    kept = len(lines.texts(source="app", dyno="worker.1"))
    second = start(last=last_of(lines))
    found = second.observe("one")
    assert {state.id: state.pid for state in found} == before
    assert [state.state for state in found] == ["up", "up"]
    assert second.apps() == {"one"}
    eventually(lambda: len(lines.texts(source="app", dyno="worker.1")) > kept + 20)
    said = lines.texts(source="app", dyno="worker.1")
    assert said == [str(n) for n in range(1, len(said) + 1)]
    second.apply("one", [web])
    eventually(lambda: [state.id for state in second.observe("one")] == [web.id])
    assert get(second.observe("one")[0]) == "/ from web.1"


def last_of(lines):
    """Up to when a recorder has the lines of a dyno."""

    def last(stream, dyno):
        times = [line.at for line in lines.lines(source="app", dyno=dyno, stream=stream)]
        return (times[-1], times.count(times[-1])) if times else (0.0, 0)

    return last


def test_what_ended_while_nobody_looked_is_seen_to_have_ended(start, spec, lines):
    first = start(keep=True)
    first.run(spec("sleep 1; echo late; exit 9"))
    until(first, "up", seconds=30)
    first.close()
    second = start(last=last_of(lines))
    state = until(second, "down", seconds=30)
    assert state.exit_code == 9
    eventually(lambda: lines.texts(source="app") == ["late"])


def test_an_engine_that_is_not_there_is_said_at_once(slugs, lines, monkeypatch):
    monkeypatch.setattr("engine.drivers.swarm.driver.PATIENCE_SECONDS", 0.1)
    with pytest.raises(EngineError, match="can't be reached"):
        SwarmDriver("unix:///nonexistent.sock", sink=lines, tree=slugs.tree, instance="none")
