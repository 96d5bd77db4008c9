"""A platform that builds by Cloud Native Buildpacks: from the push to the promoted release and back. The builder is the
tests' own: see `tests/cnb.py`."""

import shutil

import pytest

from tests.cnb import HELLO, make_builder
from tests.platform.harness import Platform, commit, repository
from tests.platform.test_containers import removed
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def platform(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("cnb")
    folder.chmod(0o711)
    name = f"slipway/{engine.instance()}/builder:1"
    make_builder(engine, name)
    made = Platform(folder / "data", ENGINE_URL=engine.engine_url, SLIPWAY_CNB_BUILDER=name)
    made.run_module("config.keys")
    instance = made.instance()
    made.start()
    try:
        made.sign_up()
        yield made
    finally:
        made.stop(seconds=60)
        eventually(lambda: removed(engine, instance), seconds=60, every=1)
        engine.client.images.remove(name, force=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_push_is_built_by_buildpacks_promoted_and_taken_back(platform, engine, tmp_path):
    pipeline = platform.pipeline("shop", staging="shop-staging", production="shop")
    assert "cnb" in [each["name"] for each in platform.api("GET", "/stacks")]
    platform.api("PATCH", "/apps/shop-staging", {"build_stack": "cnb"})
    platform.api("PATCH", "/apps/shop-staging/config-vars", {"COLOUR": "blue"})
    code = repository(
        tmp_path / "code",
        hello__py=HELLO,
        said="one",
        release__sh='echo "migrated: $1, $GREETING"\n',
    )
    pushed = platform.push(code, "shop-staging").stderr
    assert "===> BUILDING" in pushed
    assert "migrated: two words, set by a buildpack" in pushed
    assert platform.get("shop-staging") == (200, "one / set by a buildpack / blue")
    types = {
        each["type"]: (each["command"], each["quantity"])
        for each in platform.api("GET", "/apps/shop-staging/formation")
    }
    assert types == {
        "web": ("python3 /workspace/hello.py", 1),
        "worker": ("greet worker && sleep 1000", 0),
        "release": ("bash release.sh 'two words'", 0),
    }
    again = platform.push(commit(code, said="two"), "shop-staging").stderr
    assert "Using the tools of the last build" in again
    assert platform.get("shop-staging") == (200, "two / set by a buildpack / blue")

    platform.api("PATCH", "/apps/shop-staging/formation/worker", {"quantity": 1})
    eventually(lambda: "hello worker" in platform.log("shop-staging", dyno="worker.1"), seconds=30)
    ran = platform.api("POST", "/apps/shop-staging/dynos", {"command": "greet $GREETING from a run; pwd"})
    eventually(lambda: "/workspace" in platform.log("shop-staging", dyno=ran["name"]), seconds=30)
    assert "hello set by a buildpack from a run" in platform.log("shop-staging", dyno=ran["name"])

    targets = platform.promote(pipeline, "shop-staging", "shop")
    assert [each["status"] for each in targets] == ["succeeded"]
    assert platform.get("shop") == (200, "two / set by a buildpack / None")
    slugs = [_slug(platform, app) for app in ("shop-staging", "shop")]
    assert slugs[0]["checksum"] == slugs[1]["checksum"]
    assert slugs[1]["stack"]["name"] == "cnb"

    releases = platform.api("GET", "/apps/shop-staging/releases")
    first = next(each for each in releases if each["description"].startswith("Deploy"))
    platform.api("POST", "/apps/shop-staging/releases", {"release": first["id"]})
    eventually(lambda: platform.get("shop-staging") == (200, "one / set by a buildpack / blue"), seconds=60)


def _slug(platform, app):
    current = next(each for each in platform.api("GET", f"/apps/{app}/releases") if each["current"])
    return platform.api("GET", f"/apps/{app}/slugs/{current['slug']['id']}")


def test_nothing_is_wrong_in_the_end(platform):
    assert platform.audit() == []
