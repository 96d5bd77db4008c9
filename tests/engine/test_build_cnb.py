"""Images from source by Cloud Native Buildpacks, on a real engine, with a stand-in for the lifecycle: see `tests/cnb.py`."""

import shutil
import subprocess
import sys
import time

import pytest

from core.errors import BuildFailed, EngineError
from engine.builder import BuildCancelled
from engine.builder.containers.build import ContainerBuilder
from engine.stacks import LAUNCHER
from tests.cnb import HELLO, UID, make_builder
from tests.engine.test_build_containers import REACH
from tests.engine.test_build_images import removed
from tests.engine.test_build_limits import processes_with
from tests.engine.workshop import Workshop
from tests.waiting import eventually

pytestmark = pytest.mark.docker
GATEWAY = (
    "$(awk '$2 == \"00000000\" {print $3}' /proc/net/route | "
    "sed 's/\\(..\\)\\(..\\)\\(..\\)\\(..\\)/0x\\4 0x\\3 0x\\2 0x\\1/' | xargs printf '%d.%d.%d.%d')"
)
SOURCE = {"hello.py": HELLO, "said": "one"}


@pytest.fixture(scope="module")
def cnb(engine):
    name = f"slipway/{engine.instance()}/builder:1"
    make_builder(engine, name)
    yield name
    engine.client.images.remove(name, force=True)


@pytest.fixture(scope="module")
def builder(engine, cnb):
    instance = engine.instance()
    yield ContainerBuilder(
        engine.client,
        instance=instance,
        run_image=engine.stack,
        env={"PIP_INDEX_URL": "http://packages.example.com"},
        cnb_builder=cnb,
    )
    eventually(lambda: removed(engine, instance), seconds=20)


class ByBuildpacks(Workshop):
    """One app whose stack is cnb."""

    stack = "cnb"


@pytest.fixture
def shop(tmp_path, builder, engine):
    shop = ByBuildpacks(tmp_path / "data", build=builder)
    yield shop
    assert not shop.last.work.exists()
    which = {"label": f"slipway.build={shop.last.id}"}
    assert not engine.client.containers.list(all=True, filters=which)


def build(shop, files, **options):
    """The output of a build."""
    shop.build(files, **options)
    return shop.output


def look(shop, script, files=None, **options):
    """Run a script of the app's as a part of a buildpack."""
    return build(shop, {**SOURCE, **(files or {}), "bin/pre-build": f"#!/bin/bash\n{script}\n"}, **options)


def launched(engine, image, *command):
    """What a command prints that the image's launcher runs."""
    container = engine.client.containers.run(
        image, list(command), entrypoint=LAUNCHER, user="4321:4321", detach=True, cap_drop=["ALL"]
    )
    try:
        status, said = container.wait()["StatusCode"], container.logs().decode()
        assert status == 0, said
        return said.strip()
    finally:
        container.remove(force=True)


def test_the_buildpacks_of_the_builder_make_an_image(shop, engine):
    made = shop.build(SOURCE, env={"SECRET": "hunter22"})
    assert made.process_types == {
        "web": "python3 /workspace/hello.py",
        "worker": "greet worker && sleep 1000",
    }
    assert made.buildpacks == ["slipway-tests/hello@1.2.3"]
    assert made.digest == made.image
    assert shop.steps == ["fetch", "detect", "compile", "slug"]
    assert f"---> Hello: {UID}:{UID} ********" in shop.output
    assert "===> EXPORTING" in shop.output
    assert launched(engine, made.image, "greet $GREETING") == "hello set by a buildpack"
    found = engine.client.images.get(made.image)
    base = engine.client.images.get(engine.stack).attrs["RootFS"]["Layers"]
    assert found.attrs["RootFS"]["Layers"][: len(base)] == base
    assert "hunter22" not in str(found.attrs)


def test_layers_are_kept_for_the_next_build(shop):
    assert "Making tools" in build(shop, SOURCE, app="shop")
    assert "Using the tools of the last build" in build(shop, SOURCE, app="shop")
    assert "Making tools" in build(shop, SOURCE, app="shop", fresh=True)
    assert "Making tools" in build(shop, SOURCE, app="another")


def test_what_nothing_fits_says_what_to_do(shop):
    with pytest.raises(
        BuildFailed,
        match=r"No buildpack of .* says that this source is its own.* There is slipway-tests/hello",
    ):
        shop.build({"main.c": "int main() {}"})
    with pytest.raises(BuildFailed, match="at least one failed to look at the source"):
        shop.build({**SOURCE, "broken": ""})


def test_a_buildpack_that_fails(shop):
    with pytest.raises(BuildFailed, match=r"A buildpack failed. See what it says above. \(Exit status 51.\)"):
        look(shop, "echo here it is; exit 7")
    assert "here it is" in shop.output


def test_the_apps_own_buildpacks(shop):
    files = {**SOURCE, "Procfile": "web: from the Procfile\nclock: tick\n"}
    assert shop.build(files).process_types["web"] == "from the Procfile"
    assert shop.build(files).buildpacks == ["slipway-tests/hello@1.2.3", "slipway-tests/procfile@2.0.0"]
    only = shop.build(files, buildpacks=["slipway-tests/procfile"])
    assert only.process_types == {"web": "from the Procfile", "clock": "tick"}
    assert only.buildpacks == ["slipway-tests/procfile@2.0.0"]
    with pytest.raises(
        BuildFailed, match=r"has no buildpack heroku/cobol. It has: slipway-tests/hello, slipway"
    ):
        shop.build(files, buildpacks=["heroku/cobol"])
    with pytest.raises(BuildFailed, match=r"on the stack cnb buildpacks are those within the builder"):
        shop.build(files, buildpacks=["https://github.com/heroku/heroku-buildpack-python"])


def test_project_toml(shop, engine):
    project = """
    [_]
    schema-version = "0.2"
    [[io.buildpacks.group]]
    id = "slipway-tests/hello"
    version = "1.2.3"
    [io.buildpacks]
    exclude = ["docs/", "*.log"]
    [[io.buildpacks.build.env]]
    name = "SECRET"
    value = "from project.toml"
    """
    files = {**SOURCE, "project.toml": project, "docs/x": "", "a.log": "", "Procfile": "web: x"}
    made = shop.build(files)
    assert made.buildpacks == ["slipway-tests/hello@1.2.3"]
    assert "from project.toml" in shop.output
    there = launched(engine, made.image, "ls -A /workspace").split()
    assert there == ["Procfile", "hello.py", "project.toml", "said"]
    with pytest.raises(BuildFailed, match=r"project.toml is not TOML"):
        shop.build({**files, "project.toml": "[[["})


def test_a_dyno_may_write_to_the_folder_of_the_app(shop, engine):
    made = shop.build({**SOURCE, "tmp/x": ""})
    assert (
        launched(engine, made.image, "id -u; touch /workspace/new /workspace/tmp/new && echo done")
        == "4321\ndone"
    )


@pytest.mark.promise("I-12")
def test_it_has_no_rights_and_no_engine(shop):
    look(
        shop,
        "id; grep -E 'Cap(Prm|Eff)|NoNewPrivs' /proc/self/status; ls -A /var/run/docker.sock; cat /proc/1/environ; "
        "ls /proc/1/fd; kill -9 1; touch /cnb/lifecycle/x; ls /slipway; mount; env; true",
        env={"MINE": "to be read"},
    )
    assert f"uid={UID}" in shop.output
    assert "CapPrm:\t0000000000000000" in shop.output
    assert "CapEff:\t0000000000000000" in shop.output
    assert "NoNewPrivs:\t1" in shop.output
    assert "cannot access '/var/run/docker.sock'" in shop.output
    assert "/proc/1/environ: Permission denied" in shop.output
    assert "cannot open directory '/proc/1/fd'" in shop.output
    assert "cannot touch '/cnb/lifecycle/x'" in shop.output
    assert "cannot access '/slipway'" in shop.output
    assert "MINE=********" in shop.output
    assert "PIP_INDEX_URL=http://packages.example.com" in shop.output


@pytest.mark.promise("I-12")
def test_it_reaches_no_internal_address(shop):
    look(shop, f"python3 reach.py {GATEWAY}; true", {"reach.py": REACH})
    assert "reached" not in shop.output
    assert shop.output.count("-> Permission denied") == 5, shop.output


@pytest.mark.promise("I-13")
def test_time_and_what_lingers(shop):
    started = time.monotonic()
    with pytest.raises(BuildFailed, match=r"The build took longer than 3 seconds"):
        look(shop, 'setsid sleep 8825.25 & (trap "" TERM HUP; sleep 8825.25) & sleep 60', seconds=3)
    assert time.monotonic() - started < 15
    eventually(lambda: not processes_with("8825.25"), seconds=10)


@pytest.mark.promise("I-13")
def test_nothing_lingers_after_success_either(shop):
    look(shop, 'setsid sleep 8875.75 & (trap "" TERM HUP; sleep 8875.75) & true')
    assert shop.result.digest
    eventually(lambda: not processes_with("8875.75"), seconds=10)


@pytest.mark.promise("I-13")
def test_cancelling(shop):
    with pytest.raises(BuildCancelled):
        look(shop, 'trap "" TERM INT HUP; echo begun; sleep 8850.5', cancelled=lambda: "begun" in shop.output)
    eventually(lambda: not processes_with("8850.5"), seconds=10)


@pytest.mark.promise("I-13")
def test_memory(shop):
    with pytest.raises(BuildFailed, match="used more than 64 MB of memory"):
        look(shop, "python3 -c 'b = bytearray(200 * 2**20)'", memory=64 * 2**20)


@pytest.mark.promise("I-13")
@pytest.mark.parametrize("folder", ["/layers", "/cache"])
def test_disk(shop, folder):
    fill = f"for i in 1 2 3 4 5; do head -c 20000000 /dev/urandom > {folder}/$i; done; sleep 60"
    with pytest.raises(BuildFailed, match="used more than 50 MB of disk"):
        look(shop, fill, disk_bytes=50 * 2**20, app=f"full-{folder[1:]}")


@pytest.mark.promise("I-13")
def test_output(shop):
    with pytest.raises(BuildFailed, match="Build output is over"):
        look(shop, "yes | head -c 3000000", output_bytes=2**20)


def test_an_image_that_is_too_large(shop, engine):
    size = engine.client.images.get(engine.stack).attrs["Size"]
    with pytest.raises(BuildFailed, match=r"The image is [0-9]+ MB; the limit is [0-9]+ MB"):
        shop.build(SOURCE, disk_bytes=size)


@pytest.mark.promise("I-13")
def test_a_platform_that_is_killed_takes_its_builds_along(shop, engine, builder, cnb):
    """What it leaves is a container that has ended, and a sweep takes that."""
    spec = shop.spec({**SOURCE, "bin/pre-build": "#!/bin/sh\necho begun\nsleep 8950.5\n"})
    code = f"""
import docker, sys
from pathlib import Path
from engine.builder.containers.build import ContainerBuilder
from engine.builder.slugs import SlugStore
from engine.builder.spec import BuildLimits, BuildSpec
client = docker.DockerClient(base_url={engine.url!r}, version="1.41")
builder = ContainerBuilder(client, instance={builder._instance!r}, run_image={engine.stack!r}, env={{}}, cnb_builder={cnb!r})
spec = BuildSpec(id={spec.id!r}, app="app", source=Path({str(spec.source)!r}), env={{}}, cache=Path({str(spec.cache)!r}),
    buildpacks=[], stack="cnb", slot=1, limits=BuildLimits(), work=Path({str(spec.work)!r}))
builder(spec, slugs=SlugStore(Path({str(shop.root / "slugs")!r})), write=lambda line: print(line, flush=True), cancelled=lambda: False)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert any(b"begun" in line for line in process.stdout)
        eventually(lambda: processes_with("8950.5"), seconds=10)
        process.kill()
    eventually(lambda: not processes_with("8950.5"), seconds=15)
    which = {"label": f"slipway.build={spec.id}"}
    builder.sweep([spec.id])
    assert engine.client.containers.list(all=True, filters=which)
    builder.sweep([])
    eventually(lambda: not engine.client.containers.list(all=True, filters=which), seconds=10)
    shop.last = spec
    shutil.rmtree(spec.work)


def test_a_second_try_finds_what_the_first_has_left(shop, engine, builder):
    spec = shop.spec(SOURCE)
    for name in (f"slipway-build-{spec.id}", f"slipway-build-{spec.id}-net"):
        engine.client.containers.create(
            engine.stack, name=name, labels={"slipway.instance": builder._instance, "slipway.build": spec.id}
        )
    shop.last = spec
    options = {"slugs": shop.slugs, "write": shop.lines.append, "cancelled": lambda: False}
    assert builder(spec, **options).image


def test_the_cache_goes_with_its_app(shop, engine, builder):
    shop.build(SOURCE, app="gone")
    which = {"label": [f"slipway.instance={builder._instance}", "slipway.cache=gone"]}
    assert len(engine.client.volumes.list(filters=which)) == 1
    builder.keep(["app"], [], older_than=-60)
    assert not engine.client.volumes.list(filters=which)


def test_what_is_no_builder(tmp_path, engine):
    for name, fault, words in (
        (engine.stack, BuildFailed, "is no builder of Cloud Native Buildpacks"),
        ("localhost:9/nowhere/builder:1", EngineError, "localhost:9/nowhere/builder:1 was not pulled"),
        ("", BuildFailed, "There is no builder for the stack cnb any more"),
    ):
        place = ContainerBuilder(
            engine.client, instance="test-none", run_image=engine.stack, env={}, cnb_builder=name
        )
        with pytest.raises(fault, match=words):
            ByBuildpacks(tmp_path / "data", build=place).build(SOURCE)
