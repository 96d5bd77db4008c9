"""Images from Dockerfiles and heroku.yml, and ready-made ones, on a real engine."""

import json
import shutil
import subprocess
import threading
import time

import pytest
from docker.errors import APIError

from core.errors import BuildFailed
from engine.builder import BuildCancelled
from engine.builder.containers.build import ContainerBuilder
from engine.builder.containers.dockerfiles import BUILDKIT, CLASSIC
from engine.builder.containers.image_store import ImageStore
from engine.drivers.swarm.client import Client
from engine.outbound import Outbound
from tests.docker import missing
from tests.engine.test_build_limits import processes_with
from tests.engine.workshop import Workshop
from tests.images import NAME, PASSWORD, Registry, make_image
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", params=[BUILDKIT, CLASSIC])
def builder(engine, request):
    instance = engine.instance()
    yield ContainerBuilder(
        engine.client,
        instance=instance,
        run_image=engine.stack,
        env={},
        dockerfiles=request.param,
        shared_images=[engine.stack],
    )
    eventually(lambda: removed(engine, instance), seconds=20)


def removed(engine, instance):
    """Whether all that is left could be removed: a build that broke off takes the engine a moment to end."""
    try:
        engine.remove(instance)
    except APIError as error:
        assert "active endpoints" in str(error.explanation)
        return False
    return True


class Images(Workshop):
    """One app whose stack is container."""

    stack = "container"


@pytest.fixture
def shop(tmp_path, builder):
    shop = Images(tmp_path / "data", build=builder)
    yield shop
    assert not shop.last.work.exists()


def run(engine, image, *command):
    """What it prints."""
    container = engine.client.containers.run(image, list(command) or None, detach=True)
    try:
        assert container.wait()["StatusCode"] == 0
        eventually(lambda: container.logs() or command, seconds=5)
        return container.logs().decode()
    finally:
        container.remove(force=True)


def dockerfile(engine, *lines):
    return "\n".join([f"FROM {engine.stack}", *lines, ""])


def test_a_dockerfile_is_enough(shop, engine):
    mark = f"mark {time.time()}"
    files = {
        "Dockerfile": dockerfile(engine, f"RUN echo '{mark}'", "COPY . /app", 'CMD ["cat", "/app/hello"]'),
        "hello": "hi there",
        "secret": "not in the image",
        ".dockerignore": "# what stays out\nsecret\n",
    }
    result = shop.build(files)
    assert result.process_types == {"web": ""}
    assert result.buildpacks == ["Dockerfile"]
    assert result.digest == result.image
    assert shop.steps == ["fetch", "detect", "compile", "slug"]
    assert mark in shop.output.splitlines()
    assert run(engine, result.image) == "hi there"
    assert "secret" not in run(engine, result.image, "ls", "/app")
    again = shop.build({**files, "hello": "changed"})
    assert again.image != result.image
    assert mark not in shop.output.splitlines()  # that step was taken from the cache


def test_heroku_yml_says_what_runs_on_which_image(shop, engine):
    result = shop.build(
        {
            "heroku.yml": (
                "build:\n  docker:\n    web: Dockerfile\n    worker: jobs/Dockerfile\n  config:\n    COLOUR: blue\n"
                "run:\n  web: serve\n  clock:\n    command:\n      - tick\n      - tock\n    image: worker\n"
                "release:\n  image: worker\n  command:\n    - ./migrate\n"
            ),
            "Dockerfile": dockerfile(engine, "ARG COLOUR", "RUN echo $COLOUR > /colour", "CMD cat /colour"),
            "jobs/Dockerfile": dockerfile(engine, "COPY here /here", "CMD cat /here"),
            "jobs/here": "in the folder of its own",
        }
    )
    assert result.process_types == {
        "web": "serve",
        "worker": "",
        "clock": "tick && tock",
        "release": "./migrate",
    }
    assert set(result.images) == {"worker", "clock", "release"}
    assert len({*result.images.values(), result.image}) == 2
    assert run(engine, result.image) == "blue\n"
    assert run(engine, result.images["worker"]) == "in the folder of its own"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"x": ""}, "needs a heroku.yml or Dockerfile"),
        ({"heroku.yml": "build: [\n"}, r"heroku.yml, line 2"),
        ({"heroku.yml": "run:\n  web: x\n"}, "has no build.docker"),
        ({"heroku.yml": "build:\n  docker:\n    web: ../Dockerfile\n"}, "no file of the source"),
        (
            {"heroku.yml": "build:\n  docker:\n    we b: Dockerfile\n", "Dockerfile": ""},
            "process type that is none",
        ),
        (
            {
                "heroku.yml": "build:\n  docker:\n    web: D\nrun:\n  x:\n    command: y\n    image: z\n",
                "D": "FROM x",
            },
            "runs the image of z",
        ),
    ],
)
def test_what_is_wrong_is_told(shop, files, reason):
    with pytest.raises(BuildFailed, match=reason):
        shop.build(files)


def test_a_step_that_fails(shop, engine):
    with pytest.raises(BuildFailed, match=r"was not built: .*exit 3"):
        shop.build({"Dockerfile": dockerfile(engine, "RUN echo before; exit 3")})
    assert "before" in shop.output


def test_a_base_image_that_is_nowhere(shop):
    with pytest.raises(BuildFailed, match="was not built"):
        shop.build({"Dockerfile": "FROM localhost:9/nowhere/to/be:found\n"})


@pytest.mark.promise("I-13")
def test_time(shop, engine):
    with pytest.raises(BuildFailed, match="took longer than 2 seconds"):
        shop.build({"Dockerfile": dockerfile(engine, f"RUN echo {time.time()}; sleep 60")}, seconds=2)


@pytest.mark.promise("I-13")
def test_cancelling(shop, engine):
    wish = threading.Timer(2, lambda: None)
    wish.start()
    started = time.monotonic()
    with pytest.raises(BuildCancelled):
        shop.build(
            {"Dockerfile": dockerfile(engine, f"RUN echo {time.time()}; sleep 87.5")},
            cancelled=lambda: not wish.is_alive(),
        )
    assert time.monotonic() - started < 10
    eventually(lambda: not processes_with("sleep 87.5"), seconds=10)


@pytest.mark.promise("I-13")
def test_output(shop, engine):
    with pytest.raises(BuildFailed, match="Build output is over"):
        shop.build(
            {"Dockerfile": dockerfile(engine, f"RUN echo {time.time()}; yes | head -c 3000000")},
            output_bytes=64 * 1024,  # BuildKit itself cuts what a step says much of
        )


def test_config_values_are_masked_and_no_argument(shop, engine):
    shop.build(
        {
            "Dockerfile": dockerfile(
                engine, "ARG TOKEN=none", f"RUN echo {time.time()} $TOKEN; echo hunter-22"
            )
        },
        env={"TOKEN": "hunter-22"},
    )
    assert "hunter-22" not in shop.output
    assert "********" in shop.output


def test_a_ready_made_image(shop, engine, builder):
    result = shop.build({}, image=engine.stack)
    assert result.process_types == {"web": ""}
    assert result.image == engine.client.images.get(engine.stack).id
    assert f"Using {engine.stack}" in shop.output
    names = {name for name in engine.client.images.get(engine.stack).tags if builder._instance in name}
    assert len(names) == 1
    builder.keep((), (), older_than=3600)
    assert names <= set(engine.client.images.get(engine.stack).tags)
    builder.keep((), (), older_than=-60)
    assert not names & set(engine.client.images.get(engine.stack).tags)


@pytest.mark.promise("I-41")
@pytest.mark.parametrize("image", ["localhost:9/nowhere:1", "127.0.0.1/x", "169.254.169.254/latest/meta"])
def test_a_registry_at_an_internal_address_is_not_asked(shop, image):
    with pytest.raises(BuildFailed, match=r"was not pulled: .*internal address"):
        shop.build({}, image=image)


def test_an_image_that_the_engine_happens_to_have_is_not_for_everybody(shop, engine):
    other = shop.build({"Dockerfile": dockerfile(engine, "RUN echo private")}).image
    name = engine.client.images.get(other).tags[0]
    with pytest.raises(BuildFailed, match="was not pulled"):
        shop.build({}, image=name)


@pytest.fixture
def registry(tmp_path):
    """Debian's registry, on a port of its own; Docker speaks plain http with those on loopback."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("docker-registry (apt-get install docker-registry)")
    address = f"127.0.0.1:{free_port()}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {tmp_path}/images\nhttp:\n  addr: {address}\n"
    )
    with (tmp_path / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        eventually(lambda: "listening on" in (tmp_path / "registry.log").read_text(), seconds=20)
        yield address
    finally:
        process.terminate()
        process.wait()


def test_a_registry_has_images_for_every_node(tmp_path, engine, registry):
    instance = engine.instance()
    place = ContainerBuilder(
        engine.client, instance=instance, run_image=engine.stack, env={}, registry=registry
    )
    shop = Images(tmp_path / "data", build=place)
    try:
        made = shop.build({"Dockerfile": 'FROM scratch\nCOPY hello /hello\nCMD ["/hello"]\n', "hello": "hi"})
        assert made.image == f"{registry}/slipway/{instance}/app-app@{made.digest}"
        engine.client.images.remove(made.image, force=True)
        place.keep((), (), older_than=-60)
        again = shop.build({}, image=made.image, outbound=Outbound(["127.0.0.1/32"]))
        assert (again.image, again.digest) == (made.image, made.digest)
        assert "Downloaded newer image" in shop.output
    finally:
        eventually(lambda: removed(engine, instance), seconds=20)


def test_what_nobody_runs_any_more_is_removed(shop, engine, builder):
    kept = shop.build({"Dockerfile": dockerfile(engine, f"RUN echo {time.time()}")}).image
    gone = shop.build({"Dockerfile": dockerfile(engine, f"RUN echo {time.time()}")}).image
    builder.keep((), {kept}, older_than=3600)
    assert {image.id for image in engine.client.images.list()} >= {kept, gone}
    builder.keep((), {kept}, older_than=-60)
    found = {image.id for image in engine.client.images.list()}
    assert kept in found
    assert gone not in found


def test_what_was_pushed_is_pulled_by_digest_and_goes_when_no_release_runs_it(engine, tmp_path):
    """As `releases.images` names it: it was never on this engine, and has no tag."""
    registry = Registry(f"127.0.0.1:{free_port()}", tmp_path, private=True)
    instance, sign_in = engine.instance(), {"username": NAME, "password": PASSWORD}
    name = f"{registry.address}/slipway/{instance}/app-x-web"
    store = ImageStore(engine.client, {"slipway.instance": instance}, registry=registry.address, auth=sign_in)
    try:
        small = engine.client.api.import_image_from_data(make_image().layer, repository=name, tag="latest")
        id = json.loads(small.splitlines()[-1])["status"]
        reference = store.keep_as(id, f"{name}:latest")
        engine.client.images.remove(id, force=True)
        assert Client(engine.url, sign_in=sign_in).image(reference, ours=True) == id
        store.keep({reference}, older_than=0)
        assert store.find(reference)
        store.keep(set(), older_than=0)
        assert not store.find(reference)
    finally:
        registry.stop()
        engine.remove(instance)
