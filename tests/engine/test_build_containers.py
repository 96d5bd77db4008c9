"""Builds in containers: what holds without them holds with them, and what only they can."""

import os
import subprocess
import sys
import threading
import time

import pytest

from core.errors import BuildFailed, EngineError
from engine.builder import BuildCancelled
from engine.builder.containers.build import ContainerBuilder
from tests.engine.test_build import (  # noqa: F401
    test_a_buildpack_gets_build_cache_and_env_dir,
    test_a_buildpack_that_does_not_fit_is_told,
    test_a_buildpack_that_fails_is_told,
    test_a_procfile_is_enough,
    test_a_source_with_a_link_out,
    test_an_archive_that_is_none,
    test_long_lines_are_cut,
    test_nothing_fits,
    test_output_that_is_not_utf8_passes_as_bytes,
    test_several_buildpacks_run_in_order,
    test_slugignore_and_what_no_slug_has,
    test_the_same_source_makes_the_same_slug,
)
from tests.engine.test_build_isolation import (  # noqa: F401
    test_config_values_are_masked,
    test_the_platforms_environment_stays_outside,
)
from tests.engine.test_build_limits import (  # noqa: F401
    test_a_bomb_as_source,
    test_cancelled_before_it_began,
    test_disk,
    test_memory,
    test_one_huge_file,
    test_output,
    test_processes,
    test_the_slug_packed,
    test_the_slug_unpacked,
)
from tests.engine.workshop import Workshop
from tests.waiting import eventually

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def builder(engine):
    instance = engine.instance()
    yield ContainerBuilder(engine.client, instance=instance, run_image=engine.stack, env={})
    engine.remove(instance)


@pytest.fixture
def shop(tmp_path, builder, engine):
    shop = Workshop(tmp_path / "data", build=builder)
    yield shop
    assert not shop.last.work.exists()
    eventually(lambda: not containers(engine, shop.last.id), seconds=5)
    builder.forget("app")


def containers(engine, build):
    return engine.client.api.containers(all=True, filters={"label": f"slipway.build={build}"})


def test_python_with_its_packages_kept_between_builds(shop):
    files = {"requirements.txt": "six==1.17.0\n", "Procfile": "web: python app.py", "app.py": "import six\n"}
    shop.build(files)
    assert "+ six==1.17.0" in shop.output
    assert "six.py" in {path.name for path in shop.tree().glob(".slipway/python/lib/*/site-packages/*")}
    shop.build({**files, "app.py": "import six  # again\n"})
    assert "Using the packages of the last build" in shop.output


def test_node(shop):
    package = '{"name": "x", "version": "1.0.0", "scripts": {"build": "node -p 6*7", "start": "node x"}}'
    result = shop.build({"package.json": package})
    assert result.process_types == {"web": "npm start"}
    assert "42" in shop.output


def test_a_fresh_build_begins_without_the_cache(shop):
    shop.look('[ -e "$2/mark" ] && echo "seen before"; touch "$2/mark"')
    assert "seen before" not in shop.output
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true')
    assert "seen before" in shop.output
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true', fresh=True)
    assert "seen before" not in shop.output


@pytest.mark.promise("I-12")
def test_it_has_no_rights_and_no_engine(shop):
    shop.look(
        "id; grep -E 'Cap(Prm|Eff)|NoNewPrivs' /proc/self/status; ls -A /var/run/docker.sock; "
        "cat /proc/1/environ; ls /proc/1/fd; kill -9 1; ls /proc/$PPID/fd; touch /slipway/x; mount; true"
    )
    assert "uid=29999" in shop.output
    assert "CapPrm:\t0000000000000000" in shop.output
    assert "CapEff:\t0000000000000000" in shop.output
    assert "NoNewPrivs:\t1" in shop.output
    assert "cannot access '/var/run/docker.sock'" in shop.output
    assert "/proc/1/environ: Permission denied" in shop.output
    assert "cannot open directory '/proc/1/fd'" in shop.output
    assert "cannot touch '/slipway/x'" in shop.output
    assert "docker.sock" not in shop.output.partition("cannot touch")[2]


REACH = """
import socket, sys
for host, port in [("169.254.169.254", 80), ("10.1.2.3", 80), ("172.17.0.1", 2377), ("192.168.7.7", 443), (sys.argv[1], 22)]:
    try:
        socket.create_connection((host, port), 3)
        print("reached", host)
    except OSError as fault:
        print(host, "->", fault.strerror or fault)
"""


@pytest.mark.promise("I-12")
def test_it_reaches_no_internal_address(shop, engine):
    gateway = "$(awk '$2 == \"00000000\" {print $3}' /proc/net/route | sed 's/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/0x\\4 0x\\3 0x\\2 0x\\1/' | xargs printf '%d.%d.%d.%d')"
    shop.build(
        {"look": f'python3 "$1/reach.py" {gateway}; true', "reach.py": REACH, "Procfile": "web: true"},
        buildpacks=["two"],
    )
    assert "reached" not in shop.output
    assert shop.output.count("-> Permission denied") == 5, shop.output
    assert "172.17.0.1 -> Permission denied" in shop.output


def test_time_and_what_lingers(shop):
    started = time.monotonic()
    with pytest.raises(BuildFailed, match=r"The build took longer than 2 seconds"):
        shop.look('setsid sleep 300 & (trap "" TERM HUP; sleep 300) & sleep 60', seconds=2)
    assert time.monotonic() - started < 10


@pytest.mark.promise("I-13")
def test_nothing_lingers_after_success_either(shop):
    started = time.monotonic()
    shop.look('setsid sleep 300 & (trap "" TERM HUP; sleep 300) & true')
    assert time.monotonic() - started < 10
    assert shop.result.digest


@pytest.mark.promise("I-13")
def test_cancelling(shop):
    wish = threading.Timer(1.5, lambda: None)
    wish.start()
    started = time.monotonic()
    with pytest.raises(BuildCancelled):
        shop.look('trap "" TERM INT HUP; sleep 60; sleep 60', cancelled=lambda: not wish.is_alive())
    assert time.monotonic() - started < 10


@pytest.mark.promise("I-13")
def test_a_platform_that_is_killed_takes_its_builds_along(shop, engine, builder, tmp_path):
    """The container's first program ends once nobody holds the other end of its input."""
    script = f"""
import docker, sys
from pathlib import Path
from engine.builder.containers.build import ContainerBuilder
from tests.engine.workshop import Workshop
client = docker.DockerClient({engine.url!r}, version="auto")
builder = ContainerBuilder(client, instance={builder._instance!r}, run_image={engine.stack!r}, env={{}})
shop = Workshop(Path({str(tmp_path)!r}) / "killed", build=builder)
spec = shop.spec
def told(*args, **options):
    made = spec(*args, **options)
    print(made.id, flush=True)
    return made
shop.spec = told
shop.look("sleep 120")
"""
    platform = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        build = platform.stdout.readline().strip()
        eventually(lambda: any(each["State"] == "running" for each in containers(engine, build)), seconds=20)
    finally:
        platform.kill()
        platform.communicate()
    eventually(lambda: not containers(engine, build), seconds=10)
    shop.look("true")


def test_a_sweep_removes_what_is_left_of_other_builds(shop, engine, builder):
    shop.look("true")
    labels = {"slipway.instance": builder._instance}
    for build in ("ended", "running"):
        engine.client.containers.create(
            engine.stack,
            ["true"],
            name=f"slipway-build-{os.getpid()}-{build}",
            labels={**labels, "slipway.build": build},
        )
    builder.sweep({"running"})
    assert not containers(engine, "ended")
    assert containers(engine, "running")
    builder.sweep(())
    assert not containers(engine, "running")


def test_the_cache_goes_with_its_app(shop, engine, builder):
    shop.look('touch "$2/mark"')
    builder.keep({"app"}, (), older_than=-60)
    builder.keep({"other"}, (), older_than=3600)
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true')
    assert "seen before" in shop.output
    builder.keep({"other"}, (), older_than=-60)
    assert not engine.client.volumes.list(filters={"label": f"slipway.instance={builder._instance}"})


def test_apps_hand_a_cache_on(shop, engine, builder):
    """So do test runs, each in an app of its own."""
    shop.look('touch "$2/mark"', app="first", cache="tests-shop")
    builder.keep({"tests-shop"}, (), older_than=-60)  # the first app is gone
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true', app="second", cache="tests-shop")
    assert "seen before" in shop.output
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true', app="second")
    assert "seen before" not in shop.output
    shop.look('[ -e "$2/mark" ] && echo "seen before"; true', app="third", cache="tests-shop", fresh=True)
    assert "seen before" not in shop.output
    builder.keep((), (), older_than=-60)
    assert not engine.client.volumes.list(filters={"label": f"slipway.instance={builder._instance}"})


def test_an_engine_without_the_stack_says_how_to_make_it(tmp_path, engine):
    instance = engine.instance()
    place = ContainerBuilder(engine.client, instance=instance, run_image="slipway/nowhere:1", env={})
    shop = Workshop(tmp_path / "data", build=place)
    try:
        with pytest.raises(EngineError, match=r"bin/make-stack") as told:
            shop.build({"Procfile": "web: x"})
        assert told.value.permanent
    finally:
        engine.remove(instance)
