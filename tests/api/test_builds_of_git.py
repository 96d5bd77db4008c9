"""Builds of a branch or of a public repository, which Heroku's API has no words for."""

import pytest

from releases import repositories
from releases.models import Build
from tests.factories import make_app


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


def test_a_public_repository_is_built(api, app):
    asked = {"git": {"repository": "https://git.example.com/team/shop.git", "ref": "main"}}
    answer = api.post("/apps/shop/builds", {**asked, "buildpacks": [{"name": "heroku/python"}]})
    assert answer.status_code == 201 and answer.json()["status"] == "pending"
    source = Build.objects.get().source
    assert (source.repository, source.ref) == ("https://git.example.com/team/shop.git", "main")
    app.refresh_from_db()
    assert app.buildpacks == ["heroku/python"]


def test_a_branch_that_was_never_pushed_is_told_of(api, app):
    repositories.ensure(app)
    answer = api.post("/apps/shop/builds", {"git": {"ref": "main"}})
    assert answer.status_code == 422 and "Push it first" in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"git": {"ref": "main"}, "source_blob": {"url": "https://x.example/a.tgz"}},
        {"git": {"repository": "file:///etc"}},
    ],
)
def test_bodies_that_say_nothing_to_build(api, app, body):
    answer = api.post("/apps/shop/builds", body)
    assert answer.status_code == 422 and answer.json()["id"] == "invalid_params"
    assert not Build.objects.exists()


def test_it_needs_the_right_to_deploy(api, as_charlie, app):
    assert as_charlie.post("/apps/shop/builds", {"git": {"ref": "main"}}).status_code == 404
