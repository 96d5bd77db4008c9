"""Spare dynos: the next release of an app finds a container started, and nothing of it is left over."""

import itertools
import os
import urllib.request
from pathlib import Path

import pytest
from docker.errors import NotFound

from engine.drivers.swarm import SwarmDriver, describe
from engine.spec import MB, Attach, ProcessSpec, Size
from tests.conftest import eventually
from tests.engine.driver_contract import Recorder, Slugs, read_all
from tests.engine.test_driver_swarm import WEB, left

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]
PORTS = range(21600, 21700)
SMALL = Size(128 * MB, 1024)
SECONDS = 60
ENVIRONMENT = "cat /proc/self/environ | tr '\\0' '\\n' | sort; id -u; pwd; ls -A; echo all; "
_ids = itertools.count(1)


@pytest.fixture(scope="module")
def instance(engine):
    name = engine.instance()
    yield name
    engine.remove(name)
    assert left(engine, name) == []


@pytest.fixture
def lines():
    return Recorder()


@pytest.fixture
def slugs(tmp_path):
    return Slugs(tmp_path / "slugs")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spares"


@pytest.fixture
def start(engine, instance, lines, slugs, folder):
    """Makes drivers of one instance, one after the other; nothing is left of the last."""
    made = []

    def make(*, most=2, keep=True):
        driver = SwarmDriver(
            engine.url,
            sink=lines,
            tree=slugs.tree,
            instance=instance,
            ports=PORTS,
            keep=keep,
            spare_folder=folder,
            spares=most,
        )
        made.append(driver)
        return driver

    yield make
    for driver in made:
        for app in driver.apps():
            driver._closed or driver.apply(app, [])
        eventually(lambda driver=driver: driver._closed or not driver.apps(), SECONDS)
        driver.close()
    eventually(lambda: left(engine, instance) == [], SECONDS)
    assert not folder.exists() or not os.listdir(folder)


@pytest.fixture
def web(slugs):
    """The spec of a web dyno's start, of a slug of its own."""

    def make(command=WEB, app="one", **extra):
        values = {"slug": slugs.make(), "env": {}, "slot": 1, "stop_seconds": 5, "size": SMALL, **extra}
        return ProcessSpec(
            id=f"spare-{next(_ids)}",
            app=app,
            dyno="web.1",
            command=command,
            web=True,
            boot_seconds=40,
            **values,
        )

    return make


def state_of(driver, spec):
    return next((state for state in driver.observe(spec.app) if state.id == spec.id), None)


def release(driver, spec):
    """Start it in place of what runs, and wait until it is up."""
    driver.apply(spec.app, [spec])
    return eventually(lambda: (s := state_of(driver, spec)) and s.state == "up" and s, SECONDS)


def waiting(engine, instance):
    """The containers that wait for a release."""
    which = {"label": [f"slipway.instance={instance}", describe.SPARE]}
    found = engine.client.containers.list(filters=which, ignore_removed=True)
    named = engine.client.services.list(filters={"label": [f"slipway.instance={instance}", describe.DYNO]})
    used = {service.attrs["Spec"]["Labels"].get(describe.SPARE) for service in named}
    return [each for each in found if each.labels[describe.SPARE] not in used]


def spare(driver, engine, instance):
    """The one that waits, once the driver counts on it."""

    def those():
        counted_on = {each.container for each in driver._spares._waiting.values()}
        return [each for each in waiting(engine, instance) if each.id in counted_on]

    (found,) = eventually(those, SECONDS)
    return found


def container_of(driver, spec):
    return driver._known()[spec.id].container


def is_gone(container):
    try:
        container.reload()
    except NotFound:
        return True
    return False


def environment(lines):
    """What `ENVIRONMENT` has said, once it has said all."""
    said = lines.texts(source="app", dyno="web.1")
    return said[: said.index("all")] if "all" in said else None


def ask(state, path="/"):
    with urllib.request.urlopen(f"http://{state.host}:{state.port}{path}", timeout=5) as answer:
        return answer.read().decode()


def test_the_next_release_runs_in_it_and_finds_what_any_dyno_finds(
    start, web, engine, instance, lines, folder
):
    driver = start()
    env = {"GREETING": "böse=\nzwei", "EMPTY": "", "SECRET": "a-word-for-nobody"}
    release(driver, web(ENVIRONMENT + WEB, env=env))
    usual = eventually(lambda: environment(lines))
    ahead = spare(driver, engine, instance)
    lines.calls.clear()

    second = web(ENVIRONMENT + WEB, env=env)
    state = release(driver, second)

    assert container_of(driver, second) == ahead.id
    assert ask(state, "/x") == "/x from web.1"
    said = eventually(lambda: environment(lines))
    own = ("PORT=", "SLIPWAY_DYNO=")
    assert [each for each in said if not each.startswith(own)] == [
        each for each in usual if not each.startswith(own)
    ]
    assert "GREETING=böse=" in said
    assert "zwei" in said
    assert f"PORT={state.port}" in said
    assert f"SLIPWAY_DYNO={second.id}" in said
    assert "State changed from starting to up" in lines.texts(source="heroku", dyno="web.1")
    # Neither the engine nor the disk knows what it was told.
    assert "a-word-for-nobody" not in str(engine.client.api.inspect_container(ahead.id))
    kept = [path for path in (folder / ahead.labels[describe.SPARE]).rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["server.py"]
    assert b"a-word-for-nobody" not in kept[0].read_bytes()


def test_it_stops_and_crashes_like_any_dyno(start, web, engine, instance, lines):
    driver = start()
    release(driver, web())
    spare(driver, engine, instance)
    second = web(f"(sleep 3; exit 7) & {WEB} & wait -n; exit 7")
    release(driver, second)
    assert (
        eventually(lambda: (s := state_of(driver, second)).state == "crashed" and s, SECONDS).exit_code == 7
    )

    driver.apply("one", [])
    eventually(lambda: not driver.observe("one"), SECONDS)
    eventually(lambda: left(engine, instance) == [], SECONDS)
    assert "Process exited with status 7" in lines.texts(source="heroku", dyno="web.1")


def test_one_that_would_not_be_the_same_is_thrown_away(start, web, engine, instance):
    driver = start()
    release(driver, web())
    ahead = spare(driver, engine, instance)
    larger = web(size=Size(256 * MB, 1024))
    state = release(driver, larger)
    assert ask(state) == "/ from web.1"
    assert container_of(driver, larger) != ahead.id
    found = engine.client.api.inspect_container(container_of(driver, larger))
    assert found["HostConfig"]["Memory"] == 2 * 256 * MB
    eventually(lambda: is_gone(ahead), SECONDS)


def test_one_that_has_ended_is_no_trouble(start, web, engine, instance):
    driver = start()
    release(driver, web())
    ahead = spare(driver, engine, instance)
    engine.client.api.pause(ahead.id)  # it is there, and does not read
    second = web()
    eventually(lambda: engine.client.containers.get(ahead.id).status == "paused")
    state = release(driver, second)
    assert ask(state) == "/ from web.1"

    engine.client.api.unpause(ahead.id)
    following = spare(driver, engine, instance)
    engine.client.api.kill(following.id)
    third = web()
    assert ask(release(driver, third)) == "/ from web.1"
    assert container_of(driver, third) not in (ahead.id, following.id)


def test_the_next_driver_takes_over_what_was_one_and_ends_those_that_wait(
    start, web, engine, instance, lines, folder
):
    first = start()
    release(first, web())
    spare(first, engine, instance)
    second = web()
    before = release(first, second)
    ahead = spare(first, engine, instance)
    first._spares._closed = True  # as when it is killed: it ends nothing
    first._spares._waiting.clear()
    first.close()
    assert engine.client.containers.get(ahead.id).status == "running"

    driver = start()
    eventually(lambda: is_gone(ahead), SECONDS)
    after = state_of(driver, second)
    assert (after.state, after.host, after.port) == ("up", before.host, before.port)
    assert ask(after) == "/ from web.1"
    driver.apply("one", [])
    eventually(lambda: not driver.observe("one"), SECONDS)
    eventually(lambda: left(engine, instance) == [], SECONDS)
    assert os.listdir(folder) == []


def test_only_a_release_is_prepared_for_and_only_for_so_many(start, web, engine, instance):
    driver = start(most=1)
    first = web()
    release(driver, first)
    ahead = spare(driver, engine, instance)
    again = ProcessSpec(**{**vars(first), "id": f"spare-{next(_ids)}"})
    release(driver, again)  # as after a crash, or each day
    assert container_of(driver, again) == ahead.id
    other = web(app="two", slot=2)
    release(driver, other)
    (second,) = eventually(lambda: waiting(engine, instance), SECONDS)
    assert [dyno for dyno in driver._spares._waiting] == [("two", "web.1")]
    third = web(app="three", slot=3)
    release(driver, third)
    eventually(lambda: [*driver._spares._waiting] == [("three", "web.1")], SECONDS)
    eventually(lambda: second.id not in {each.id for each in waiting(engine, instance)}, SECONDS)
    driver.apply("three", [])
    eventually(lambda: not waiting(engine, instance), SECONDS)


def test_people_are_let_in(start, web, engine, instance):
    driver = start()
    release(driver, web())
    spare(driver, engine, instance)
    host = web(env={"COLOUR": "blue"})
    release(driver, host)
    inside = ProcessSpec(
        id=f"spare-{next(_ids)}",
        app="one",
        dyno="run.1",
        command="echo $COLOUR $DYNO; ls server.py",
        slug=host.slug,
        env=host.env,
        slot=1,
        one_off=True,
        attach=Attach(tty=False),
        inside=host.id,
    )
    driver.run(inside)
    streams = eventually(lambda: driver.attach(inside.id), SECONDS)
    assert read_all(streams) == b"blue web.1\nserver.py\n"
    driver.stop("one", inside.id)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (b"", 126),
        (b"3\0--\0/bin/sh", 126),
        (b"4\0--\0/bin/sh\0-c\0echo $A; exit 5\0A=b\0end\0", 5),
        (b"4\0--\0/bin/sh\0-c\0echo $A; exit 5\0A=b\0", 126),
    ],
)
def test_a_launcher_that_was_not_told_all_runs_nothing(engine, instance, tmp_path, told, code):
    tmp_path.chmod(0o755)
    os.mkfifo(tmp_path / "start")
    (tmp_path / "start").chmod(0o644)
    (tmp_path / "slug").mkdir()
    source = Path(describe.__file__).with_name("launcher.pl")
    container = engine.client.containers.run(
        engine.stack,
        ["/usr/bin/perl", "-T", "/launcher.pl", "--wait", "60"],
        volumes={
            str(tmp_path): {"bind": "/.slipway/spare", "mode": "ro"},
            str(source): {"bind": "/launcher.pl"},
        },
        tmpfs={"/app": ""},
        labels={"slipway.instance": instance},
        detach=True,
    )
    with open(tmp_path / "start", "wb") as pipe:
        pipe.write(told)
    assert container.wait(timeout=60)["StatusCode"] == code
    said = container.logs().decode()
    assert (
        said == "b\n" if code == 5 else said.startswith("The dyno could not be started: it was not told all")
    )
    container.remove()
