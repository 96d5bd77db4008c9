"""Pipelines, couplings, promotions."""

import pytest

from pipelines import actions
from pipelines.models import Promotion
from tests.factories import make_app, make_pipeline, make_release, stage


def test_create_list_rename_destroy(api, alice):
    made = api.post("/pipelines", {"name": "shop", "owner": {"id": str(alice.pk), "type": "user"}})
    assert (made.status_code, made.json()["owner"]["type"]) == (201, "user")
    assert [p["name"] for p in api.get("/pipelines?eq[name]=shop").json()] == ["shop"]
    assert api.get("/pipelines?eq[name]=none").json() == []
    assert api.patch(f"/pipelines/{made.json()['id']}", {"name": "store"}).json()["name"] == "store"
    assert api.delete("/pipelines/store").status_code == 200
    assert api.get("/pipelines/store").status_code == 404


def test_couple_move_uncouple(api, alice):
    pipeline = make_pipeline("shop", owner=alice)
    actions.add_stage(pipeline, "canary", word="production", after=stage(pipeline, "staging"), by=alice)
    make_app("web", owner=alice)
    made = api.post("/pipeline-couplings", {"app": "web", "pipeline": str(pipeline.pk), "stage": "staging"})
    assert (made.status_code, made.json()["stage"]) == (201, "staging")
    moved = api.patch(f"/pipeline-couplings/{made.json()['id']}", {"stage": "canary"}).json()
    assert (moved["stage"], moved["stage_name"]) == ("production", "canary")
    assert api.get("/apps/web/pipeline-couplings").json()["pipeline"]["name"] == "shop"
    twice = api.post("/pipeline-couplings", {"app": "web", "pipeline": "shop", "stage": "staging"})
    assert (twice.status_code, twice.json()["id"]) == (409, "conflict")
    assert (
        api.post("/pipeline-couplings", {"app": "web", "pipeline": "shop", "stage": "moon"}).status_code
        == 422
    )
    assert api.delete(f"/pipeline-couplings/{made.json()['id']}").status_code == 200
    assert api.get("/apps/web/pipeline-couplings").status_code == 404


def body(shop, source, *targets, release=None):
    ids = {c.app.name: str(c.app_id) for c in shop.couplings.select_related("app")}
    from_ = {"app": {"id": ids[source]}} | ({"release": {"id": release}} if release else {})
    return {
        "pipeline": {"id": str(shop.pk)},
        "source": from_,
        "targets": [{"app": {"id": ids[t]}} for t in targets],
    }


def test_a_promotion_and_its_targets(shop, api):
    made = api.post("/pipeline-promotions", body(shop, "shop-staging", "shop-production"))
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    targets = api.get(f"/pipeline-promotions/{made.json()['id']}/promotion-targets").json()
    assert [(t["status"], t["release"], t["error_message"]) for t in targets] == [("pending", None, None)]


@pytest.mark.promise("I-08")
def test_it_promotes_what_was_current_when_it_was_accepted(shop, api):
    staging = shop.couplings.get(app__name="shop-staging").app
    first = staging.releases.get()
    api.post("/pipeline-promotions", body(shop, "shop-staging", "shop-production"))
    make_release(staging)
    assert Promotion.objects.get().release == first
    api.post("/pipeline-promotions", body(shop, "shop-staging", "shop-production", release=str(first.pk)))
    assert {p.release_id for p in Promotion.objects.all()} == {first.pk}


def test_promotions_that_make_no_sense(shop, api, alice):
    assert api.post("/pipeline-promotions", body(shop, "shop-staging", "shop-staging")).status_code == 422
    empty = body(shop, "shop-staging", "shop-production") | {"targets": []}
    assert api.post("/pipeline-promotions", empty).status_code == 422
    make_app("fresh", owner=shop.team, stage=stage(shop, "development"))
    assert (
        "nothing to promote"
        in api.post("/pipeline-promotions", body(shop, "fresh", "shop-staging")).json()["message"]
    )


def test_who_may(shop, api, as_vera, as_charlie):
    asked = body(shop, "shop-staging", "shop-production")
    assert as_vera.post("/pipeline-promotions", asked).status_code == 403
    assert as_charlie.post("/pipeline-promotions", asked).status_code == 404
    made = api.post("/pipeline-promotions", asked).json()["id"]
    assert as_charlie.get(f"/pipeline-promotions/{made}").status_code == 404
    assert as_charlie.get(f"/pipelines/{shop.pk}/pipeline-couplings").status_code == 404
    assert as_vera.get(f"/pipeline-promotions/{made}").status_code == 200


def test_what_the_board_shows_in_one_call_each(shop, api):
    assert {r["app"]["name"] for r in api.get("/pipelines/shop/latest-releases").json()} == {
        "shop-staging",
        "shop-production",
    }
    assert len(api.get("/pipelines/shop/latest-deployments").json()) == 2
    assert api.get("/pipelines/shop/latest-builds").json() == []
