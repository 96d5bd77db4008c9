"""A platform whose dynos and builds run on a Docker engine: from the push to the promoted release."""

import shutil

import pytest

from tests.platform.harness import Platform, commit, repository
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.docker, pytest.mark.timeout(600)]

SERVER = "import http.server, os\nos.chdir('/app')\nhttp.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ['PORT']))\n"


@pytest.fixture(scope="module")
def platform(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("containers")
    folder.chmod(0o711)
    made = Platform(folder / "data", ENGINE_URL=engine.engine_url, SLIPWAY_SHARED_IMAGES=engine.stack)
    asked = "from conductor.compose import instance; print(instance())"
    made.run_module("config.keys")
    instance = made.manage("shell", "-v0", "-c", asked).stdout.split()[-1]
    made.start()
    try:
        made.sign_up()
        yield made
    finally:
        made.stop(seconds=60)
        eventually(lambda: removed(engine, instance), seconds=60, every=1)
        shutil.rmtree(folder, ignore_errors=True)


def removed(engine, instance):
    """Whether all could be removed: what ends takes the engine a moment."""
    engine.remove(instance)
    which = {"label": f"slipway.instance={instance}"}
    return not engine.client.containers.list(all=True, filters=which, ignore_removed=True)


def test_a_slug_is_built_in_a_container_and_promoted(platform, tmp_path):
    pipeline = platform.pipeline("slugs", staging="slugs-staging", production="slugs-production")
    code = repository(
        tmp_path / "code",
        Procfile="web: python server.py",
        requirements__txt="six==1.17.0\n",
        server__py=SERVER,
        hello="one",
    )
    said = platform.push(code, "slugs-staging").stderr
    assert "Python app detected" in said
    assert platform.get("slugs-staging", "/hello") == (200, "one")
    said = platform.push(commit(code, hello="two"), "slugs-staging").stderr
    assert "Using the packages of the last build" in said
    assert platform.get("slugs-staging", "/hello") == (200, "two")
    targets = platform.promote(pipeline, "slugs-staging", "slugs-production")
    assert [each["status"] for each in targets] == ["succeeded"]
    assert platform.get("slugs-production", "/hello") == (200, "two")


def test_an_image_is_built_and_promoted_as_it_is(platform, engine, tmp_path):
    pipeline = platform.pipeline("images", staging="images-staging", production="images-production")
    platform.api("PATCH", "/apps/images-staging", {"build_stack": "container"})
    code = repository(
        tmp_path / "code",
        Dockerfile=f"FROM {engine.stack}\nCOPY . /app\nCMD python3 /app/server.py\n",
        heroku__yml="build:\n  docker:\n    web: Dockerfile\nrelease:\n  command:\n    - echo migrated\n",
        server__py=SERVER,
        hello="from an image",
    )
    said = platform.push(code, "images-staging").stderr
    assert "COPY . /app" in said
    assert "migrated" in said
    assert platform.get("images-staging", "/hello") == (200, "from an image")
    before = len(engine.client.images.list())
    targets = platform.promote(pipeline, "images-staging", "images-production")
    assert [each["status"] for each in targets] == ["succeeded"]
    assert platform.get("images-production", "/hello") == (200, "from an image")
    assert len(engine.client.images.list()) == before
    slugs = [
        platform.api("GET", f"/apps/{app}/slugs/{_current(platform, app)['slug']['id']}")["checksum"]
        for app in ("images-staging", "images-production")
    ]
    assert slugs[0] == slugs[1]


def test_a_step_that_fails_rejects_the_push(platform, engine, tmp_path):
    platform.app("broken")
    platform.api("PATCH", "/apps/broken", {"build_stack": "container"})
    code = repository(tmp_path / "code", Dockerfile=f"FROM {engine.stack}\nRUN echo here it is; exit 7\n")
    pushed = platform.push(code, "broken", check=False)
    assert pushed.returncode != 0
    assert "here it is" in pushed.stderr
    assert "The image was not built" in pushed.stderr


def test_a_ready_made_image_is_released(platform, engine):
    platform.app("ready")
    build = platform.api("POST", "/apps/ready/builds", {"source_blob": {"url": f"docker://{engine.stack}"}})
    path = f"/apps/ready/builds/{build['id']}"
    eventually(lambda: platform.api("GET", path)["status"] != "pending", seconds=60)
    assert platform.api("GET", path)["status"] == "succeeded"
    releases = platform.api("GET", "/apps/ready/releases")
    assert releases[-1]["description"] == f"Deploy {engine.stack}"


def test_nothing_is_wrong_in_the_end(platform):
    assert platform.audit() == []


def _current(platform, app):
    return next(each for each in platform.api("GET", f"/apps/{app}/releases") if each["current"])
