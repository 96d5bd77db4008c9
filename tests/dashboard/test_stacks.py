"""Choosing a stack and releasing ready-made images on the pages of an app."""

import pytest
from pytest_django.asserts import assertRedirects

from releases.models import Build
from tests.factories import make_app


@pytest.fixture
def app(alice, client, settings):
    settings.ENGINE_URL = "swarm+unix:///run/docker.sock"
    client.force_login(alice)
    return make_app("shop", owner=alice)


def test_the_stack_of_the_next_build_is_chosen(app, client):
    assert "container: images" in client.get("/apps/shop/settings/").text
    answer = client.post("/apps/shop/stack/", {"stack": "container"})
    assertRedirects(answer, "/apps/shop/settings/#stack", status_code=303)
    app.refresh_from_db()
    assert app.stack == "container"
    assert "The stack container asks none" in client.get("/apps/shop/settings/").text


def test_buildpacks_of_a_builder_make_images(app, client, settings):
    assert "cnb:" not in client.get("/apps/shop/settings/").text
    settings.CNB_BUILDER = "heroku/builder:24"
    assert "cnb: images, by Cloud Native Buildpacks" in client.get("/apps/shop/settings/").text
    client.post("/apps/shop/stack/", {"stack": "cnb"})
    app.refresh_from_db()
    assert app.stack == "cnb"
    page = client.get("/apps/shop/settings/").text
    assert "Ids of buildpacks within the builder" in page
    assert "Build command" not in page


def test_a_stack_that_is_none_is_refused(app, client):
    answer = client.post("/apps/shop/stack/", {"stack": "cedar-14"})
    assert answer.status_code == 422
    assert "There is no stack cedar-14" in answer.text
    app.refresh_from_db()
    assert app.stack == "slipway-24"


def test_without_containers_nothing_of_it_is_shown(app, client, settings):
    settings.ENGINE_URL = "local:"
    assert "Save stack" not in client.get("/apps/shop/settings/").text
    assert "ready-made image" not in client.get("/apps/shop/deploy/").text
    answer = client.post("/apps/shop/builds/of-image/", {"image": "nginx:1"})
    assert answer.status_code == 422
    assert not Build.objects.exists()


def test_an_image_is_released(app, client):
    answer = client.post("/apps/shop/builds/of-image/", {"image": " ghcr.io/team/app:1 "})
    build = Build.objects.get()
    assertRedirects(answer, f"/apps/shop/builds/{build.pk}/", status_code=303)
    assert (build.stack, build.source.image, str(build.source)) == (
        "container",
        "ghcr.io/team/app:1",
        "app:1",
    )
    assert "app:1" in client.get("/apps/shop/deploy/").text


def test_what_is_typed_stays(app, client):
    page = client.post("/apps/shop/builds/of-image/", {"image": "Not An Image"})
    assert page.status_code == 422
    assert 'value="Not An Image"' in page.text
    assert "Write it like registry.example.com/team/app:1.2." in page.text
