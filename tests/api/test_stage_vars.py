"""Config vars of stages and pipelines, and what an app's effective ones are; releases by slug where only promotions go."""

import pytest

from apps.models import App
from core.models import Event
from pipelines import stages
from pipelines.models import StageVar
from releases.models import Build, Release
from tests.factories import stage

STAGING = "/pipelines/shop/stage/staging/config-vars"
ALL = "/pipelines/shop/config-vars"


def test_they_are_set_read_and_unset(api, shop):
    assert api.patch(STAGING, {"LEVEL": "debug", "TOKEN": "hush"}).json() == {
        "LEVEL": "debug",
        "TOKEN": "hush",
    }
    assert api.patch(STAGING, {"LEVEL": None, "A": "1"}).json() == {"A": "1", "TOKEN": "hush"}
    assert api.get(f"/pipelines/{shop.pk}/stage/staging/config-vars").json() == {"A": "1", "TOKEN": "hush"}
    assert api.get("/pipelines/shop/stage/production/config-vars").json() == {}
    assert api.patch(STAGING, {"9": "x"}).status_code == 422
    assert api.get("/pipelines/shop/stage/nowhere/config-vars").status_code == 422
    assert "hush" not in StageVar.objects.get(key="TOKEN").sealed
    assert "hush" not in str(list(Event.objects.values()))


def test_an_apps_config_vars_are_those_in_effect(api, shop):
    api.patch(ALL, {"LEVEL": "pipeline", "SHARED": "1"})
    api.patch(STAGING, {"LEVEL": "stage", "MODE": "stage"})
    mine = "/apps/shop-staging/config-vars"
    assert api.patch(mine, {"MODE": "app"}).json() == {"LEVEL": "stage", "MODE": "app", "SHARED": "1"}
    assert api.get("/apps/shop-production/config-vars").json() == {"LEVEL": "pipeline", "SHARED": "1"}
    assert api.patch(mine, {"MODE": None}).json()["MODE"] == "stage"
    answer = api.patch(mine, {"MODE": None})
    assert answer.status_code == 422
    assert "it comes from Staging" in answer.json()["message"]
    whole = api.get(mine).json()
    before = Release.objects.count()
    assert api.patch(mine, whole).json() == whole
    assert Release.objects.count() == before


def test_they_are_for_who_manages_the_pipeline(api, as_bob, as_vera, as_charlie, shop):
    api.patch(STAGING, {"TOKEN": "hush"})
    for path in (STAGING, ALL):
        assert [one.get(path).status_code for one in (as_bob, as_vera, as_charlie)] == [403, 403, 404]
        assert [one.patch(path, {"A": "1"}).status_code for one in (as_bob, as_vera, as_charlie)] == [
            403,
            403,
            404,
        ]


@pytest.fixture
def production(shop, alice):
    stages.set_origin(stage(shop, "production"), "promotion", by=alice)
    return App.objects.get(name="shop-production")


def test_where_promotions_alone_bring_code_nothing_else_does(api, production):
    path = "/apps/shop-production"
    release = Release.objects.get(app=production, current=True)
    answers = [
        api.post(f"{path}/releases", {"slug": str(release.slug_id)}),
        api.post(f"{path}/builds", {"source_blob": {"url": "https://git.example.com/x.tar.gz"}}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["id"]) == (422, "promotion_only")
        assert "Push to shop-staging instead, and promote it." in answer.json()["message"]
    assert not Build.objects.exists()
    assert api.post(f"{path}/releases", {"release": str(release.pk)}).status_code == 201
    assert api.patch(f"{path}/config-vars", {"A": "1"}).status_code == 200
