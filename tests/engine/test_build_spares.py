"""Spare build containers: the next build of an app finds one started, and nothing of them is left over."""

import subprocess
import sys

import pytest

from core.errors import BuildFailed
from engine.builder.containers.build import ContainerBuilder
from tests.engine.test_build_containers import (  # noqa: F401
    test_it_has_no_rights_and_no_engine,
    test_it_reaches_no_internal_address,
)
from tests.engine.workshop import Workshop
from tests.waiting import eventually

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def instance(engine):
    name = engine.instance()
    yield name
    engine.remove(name)


@pytest.fixture(scope="module")
def builder(engine, instance):
    made = place(engine, instance)
    yield made
    made.close()
    assert not spares(engine, instance)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory, builder):
    return Workshop(tmp_path_factory.mktemp("spares") / "data", build=builder)


@pytest.fixture
def shop(workshop, engine, instance):
    """Each build of it finds a spare container, and must have used it when it has ended."""
    if not waiting(engine, instance, "app"):
        workshop.look("true")
    (spare,) = eventually(lambda: waiting(engine, instance, "app"), seconds=20)
    yield workshop
    eventually(lambda: spare not in spares(engine, instance), seconds=10)


def place(engine, instance, most=1, pause=0.0):
    return ContainerBuilder(
        engine.client,
        instance=instance,
        run_image=engine.stack,
        env={},
        spares=most,
        pause=pause,
    )


def spares(engine, instance, app=""):
    """{id: name} of the containers that are spare, or were."""
    label = f"slipway.spare={app}" if app else "slipway.spare"
    which = {"label": [f"slipway.instance={instance}", label]}
    found = engine.client.api.containers(all=True, filters=which)
    return {each["Id"]: each["Names"][0].lstrip("/") for each in found if each["State"] != "removing"}


def waiting(engine, instance, app=""):
    """The ids of those that run and wait."""
    which = {"label": f"slipway.instance={instance}", "status": "running"}
    running = {each["Id"] for each in engine.client.api.containers(filters=which)}
    found = spares(engine, instance, app).items()
    return [id for id, name in found if name.startswith("slipway-spare-") and id in running]


def test_it_is_the_builds_own_from_then_on(shop, engine, instance):
    (spare,) = waiting(engine, instance)
    seen = {}

    def look():
        seen.update({id: name for id, name in spares(engine, instance).items() if id == spare})
        return seen.get(spare, "").startswith("slipway-build-")

    with pytest.raises(BuildFailed, match="took longer"):
        shop.look('hostname; touch "$2/mark"; sleep 60', seconds=4, cancelled=lambda: look() and False)
    assert seen == {spare: f"slipway-build-{shop.last.id}"}


def test_the_next_build_has_another_with_the_same_cache(shop, engine, instance):
    (first,) = waiting(engine, instance)
    shop.look('touch "$2/mark" /tmp/mark')
    (second,) = eventually(lambda: [s for s in waiting(engine, instance) if s != first], seconds=20)
    shop.look('ls "$2/mark" /tmp/mark; true')
    assert "/cache/mark" in shop.output
    assert "cannot access '/tmp/mark'" in shop.output
    eventually(lambda: second not in spares(engine, instance), seconds=10)


def test_one_with_other_limits_is_not_used(shop):
    files = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
    shop.look(f"cat {files}; true", memory=256 * 2**20)
    assert str(256 * 2**20) in shop.output


def test_one_that_has_ended_is_not_missed(shop, engine, instance):
    for spare in waiting(engine, instance):
        engine.client.api.remove_container(spare, force=True)
    shop.look("echo built all the same")
    assert "built all the same" in shop.output


def test_a_fresh_build_begins_without_what_it_held(shop):
    shop.look('touch "$2/mark"', fresh=True)
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true', fresh=True)
    assert "seen before" not in shop.output


def test_those_of_the_apps_built_last_are_kept(engine, instance, builder, workshop):
    for app in ("one", "two"):
        workshop.look("true", app=app)
        eventually(lambda app=app: waiting(engine, instance, app), seconds=20)
    eventually(lambda: not spares(engine, instance, "one"), seconds=10)
    workshop.look("true", app="tested", test=True)  # which nobody builds again
    builder.sweep(())
    assert builder._spares.caches() == ["two"]
    assert waiting(engine, instance, "two")
    builder.keep({"one"}, (), older_than=3600)
    eventually(lambda: not spares(engine, instance, "two"), seconds=10)


def test_a_sweep_leaves_those_that_somebody_waits_for(shop, engine, instance):
    (mine,) = waiting(engine, instance)
    other = place(engine, instance)
    other.sweep(())
    shop.place.sweep(())
    assert waiting(engine, instance) == [mine]
    shop.look("true")


@pytest.mark.promise("I-13")
def test_nothing_of_a_build_runs_on_while_its_container_rests(engine, instance, tmp_path):
    builder = place(engine, instance, pause=60)
    shop = Workshop(tmp_path / "data", build=builder)
    shop.look('setsid sleep 300 & (trap "" TERM HUP; sleep 300) & true', app="rests")
    which = {"label": f"slipway.build={shop.last.id}"}
    (container,) = engine.client.containers.list(filters=which)
    eventually(lambda: len(container.top()["Processes"]) == 1, seconds=10)
    builder.forget("rests")
    assert not engine.client.containers.list(all=True, filters=which, ignore_removed=True)


@pytest.mark.promise("I-13")
def test_a_platform_that_is_killed_takes_them_along(engine, instance, tmp_path):
    script = f"""
import docker, sys, time
from pathlib import Path
from engine.builder.containers.build import ContainerBuilder
from tests.engine.workshop import Workshop
client = docker.DockerClient({engine.url!r}, version="auto")
builder = ContainerBuilder(
    client, instance={instance!r}, run_image={engine.stack!r}, env={{}}, spares=1)
Workshop(Path({str(tmp_path)!r}) / "killed", build=builder).look("true", app="killed")
time.sleep(60)
"""
    platform = subprocess.Popen([sys.executable, "-c", script])
    try:
        eventually(lambda: waiting(engine, instance, "killed"), seconds=30)
    finally:
        platform.kill()
        platform.wait()
    eventually(lambda: not spares(engine, instance, "killed"), seconds=10)
