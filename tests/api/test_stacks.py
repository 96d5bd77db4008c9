"""Stacks, and ready-made images by the API."""

from releases.models import Build
from tests.factories import make_app

DOCKER = "swarm+unix:///run/docker.sock"


def names(answer):
    return [each["name"] for each in answer.json()]


def test_without_containers_there_is_one_stack(api, alice):
    make_app("shop", owner=alice)
    assert names(api.get("/stacks")) == ["slipway-24"]
    for answer in (
        api.patch("/apps/shop", {"build_stack": "container"}),
        api.post("/apps/shop/builds", {"source_blob": {"url": "docker://nginx:1"}}),
    ):
        assert answer.status_code == 422
        assert "Docker engine" in answer.json()["message"]
    assert "There is no stack arch" in api.patch("/apps/shop", {"build_stack": "arch"}).json()["message"]


def test_the_stacks_that_scripts_for_heroku_name_mean_ours(api, alice):
    make_app("shop", owner=alice)
    for number, stack in enumerate(("heroku-24", "heroku-22", "cedar", "cedar-14")):
        made = api.post("/apps", {"name": f"app-{number}", "stack": stack})
        assert (made.status_code, made.json()["stack"]["name"]) == (201, "slipway-24")
        assert api.patch("/apps/shop", {"build_stack": stack}).json()["build_stack"]["name"] == "slipway-24"


def test_an_app_is_built_for_the_stack_that_was_chosen(api, alice, settings):
    settings.ENGINE_URL = DOCKER
    app = make_app("shop", owner=alice)
    assert names(api.get("/stacks")) == ["slipway-24", "container"]
    container = api.get("/stacks/container").json()
    assert (container["default"], api.get("/stacks/slipway-24").json()["default"]) == (False, True)
    answer = api.patch("/apps/shop", {"build_stack": container["id"]})
    assert (answer.status_code, answer.json()["build_stack"]["name"]) == (200, "container")
    assert api.get("/apps/shop").json()["build_stack"]["id"] == container["id"]
    app.refresh_from_db()
    assert app.stack == "container"
    assert (
        api.post("/apps", {"name": "other", "stack": "container"}).json()["build_stack"]["name"]
        == "container"
    )


def test_the_stack_of_buildpacks_is_there_once_there_is_a_builder(api, alice, settings):
    app = make_app("shop", owner=alice)
    refused = api.patch("/apps/shop", {"build_stack": "cnb"})
    assert (refused.status_code, "Docker engine" in refused.json()["message"]) == (422, True)
    settings.ENGINE_URL = DOCKER
    refused = api.patch("/apps/shop", {"build_stack": "cnb"})
    assert (refused.status_code, "SLIPWAY_CNB_BUILDER" in refused.json()["message"]) == (422, True)
    assert "cnb" not in names(api.get("/stacks"))
    settings.CNB_BUILDER = "heroku/builder:24"
    assert names(api.get("/stacks")) == ["slipway-24", "container", "cnb"]
    assert api.patch("/apps/shop", {"build_stack": "cnb"}).json()["build_stack"]["name"] == "cnb"
    app.refresh_from_db()
    assert app.stack == "cnb"
    assert api.post("/apps", {"name": "another", "stack": "cnb"}).json()["build_stack"]["name"] == "cnb"


def test_a_ready_made_image_is_a_build_of_its_own(api, alice, settings):
    settings.ENGINE_URL = DOCKER
    make_app("shop", owner=alice)
    answer = api.post(
        "/apps/shop/builds", {"source_blob": {"url": "docker://registry.example.com/team/app:1.2"}}
    )
    assert (answer.status_code, answer.json()["stack"]) == (201, "container")
    assert Build.objects.get().source.image == "registry.example.com/team/app:1.2"


def test_a_name_that_is_none(api, alice, settings):
    settings.ENGINE_URL = DOCKER
    make_app("shop", owner=alice)
    for name in ("", "UPPER/case:1", "a b", "--flag", "x@sha256:12", "a/" * 200 + "a", "a;rm"):
        answer = api.post("/apps/shop/builds", {"source_blob": {"url": f"docker://{name}"}})
        assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params"), name
    assert not Build.objects.exists()
