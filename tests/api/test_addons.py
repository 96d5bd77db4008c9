"""Add-ons by the Platform API: what the CLI's commands call, who may, and what is refused."""

import pytest

from addons.models import Addon, Attachment
from conductor import addons as job
from conductor.work import Held, Kind, run
from core.errors import EngineError
from releases.models import Release
from tests.factories import couple, make_addon, make_app, make_balancer, make_pipeline, stage
from tests.mailing import no_mailer  # noqa: F401

KIND = Kind("addon", Addon, 1, job.advance, job.fail)


@pytest.fixture
def app(team):
    return make_app("shop", owner=team)


def work():
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def ordered(api, **asked):
    answer = api.post("/apps/shop/addons", {"plan": {"name": "heroku-postgresql:mini"}, **asked})
    assert answer.status_code == 201, answer.json()
    work()
    return answer.json()


def test_a_database_is_no_fork_of_another(api, app, shelf):
    answer = api.post(
        "/apps/shop/addons", {"plan": "heroku-postgresql:mini", "config": {"fork": "DATABASE_URL"}}
    )
    assert (answer.status_code, "heroku pg:copy" in answer.json()["message"]) == (422, True)
    assert not Addon.objects.exists()


def test_services_and_plans(api, shelf, no_mailer):  # noqa: F811
    services = {row["name"]: row for row in api.get("/addon-services").json()}
    assert services["heroku-postgresql"]["state"] == "ga"
    assert (
        services["mailer"]["unavailable"].startswith("No mail can be taken")
        and not services["loadbalancer"]["unavailable"]
    )
    plans = {row["name"]: row for row in api.get("/addon-services/heroku-postgresql/plans").json()}
    assert plans["heroku-postgresql:essential-0"]["default"]
    assert plans["heroku-postgresql:essential-1"]["price"]["cents"] == 900
    assert api.get("/plans/heroku-postgresql:mini").json()["human_name"] == "Mini"
    assert api.get("/addon-services/heroku-postgresql/plans/basic").json()["name"].endswith(":basic")
    missing = api.get("/addon-services/nope")
    assert (missing.status_code, missing.json()["resource"]) == (404, "add_on_service")


def test_create_and_wait(api, app, shelf):
    made = ordered(api, attachment={"name": "orders"}, name="orders-db", config={"version": "15"})
    assert (made["state"], made["name"], made["config_vars"]) == ("provisioning", "orders-db", ["ORDERS_URL"])
    assert made["plan"]["price"]["cents"] == 500 and made["app"]["name"] == "shop"
    found = api.get("/apps/shop/addons/orders-db").json()
    assert (found["state"], found["provision_message"]) == ("provisioned", "It is on the shelf.")
    assert shelf.read(made["id"])["options"] == {"version": "15"}
    assert [row["name"] for row in api.get("/apps/shop/addons").json()] == ["orders-db"]
    assert [row["name"] for row in api.get("/addons").json()] == ["orders-db"]
    assert [row["name"] for row in api.get("/users/~/addons").json()] == ["orders-db"]
    assert api.get("/addons/orders-db/config").json() == [{"name": "ORDERS_URL", "value": None}]
    release = api.get("/apps/shop/releases").json()[-1]
    assert release["description"] == "Attach ORDERS (@ref:orders-db)"
    assert release["addon_plan_names"] == ["heroku-postgresql:mini"]


def test_attach_with_confirm_and_detach(api, app, team, shelf):
    make_app("shop-two", owner=team)
    first, second = ordered(api), ordered(api)
    body = {"addon": {"name": second["name"]}, "app": {"name": "shop"}, "name": "DATABASE"}
    refused = api.post("/addon-attachments", body)
    assert (refused.status_code, refused.json()["id"]) == (422, "confirmation_required")
    assert api.post("/addon-attachments", {**body, "confirm": "shop"}).status_code == 201
    names = {row["addon"]["name"]: row["name"] for row in api.get("/apps/shop/addon-attachments").json()}
    assert names[first["name"]].startswith("HEROKU_POSTGRESQL_")
    made = api.post("/addon-attachments", {"addon": first["id"], "app": "shop-two"}).json()
    assert (made["name"], made["config_vars"]) == ("DATABASE", ["DATABASE_URL"])
    assert len(api.get(f"/addons/{first['id']}/addon-attachments").json()) == 2
    assert api.get(f"/addon-attachments/{made['id']}").json()["app"]["name"] == "shop-two"
    assert api.delete(f"/addon-attachments/{made['id']}").json()["name"] == "DATABASE"
    assert not Attachment.objects.filter(app__name="shop-two").exists()


def test_update_and_destroy(api, app, team, shelf):
    addon = ordered(api)
    path = f"/apps/shop/addons/{addon['name']}"
    changed = api.patch(path, {"plan": {"name": "basic"}}).json()
    assert changed["plan"]["name"] == "heroku-postgresql:basic" and changed["billed_price"]["cents"] == 900
    work()
    assert api.get(path).json()["plan"]["name"] == "heroku-postgresql:basic"
    unknown = api.patch(path, {"plan": "heroku-postgresql:none"})
    assert unknown.json()["message"].startswith("Couldn't find either the add-on")
    assert api.patch(path, {"name": "orders"}).json()["name"] == "orders"
    make_app("shop-two", owner=team)
    api.post("/addon-attachments", {"addon": "orders", "app": "shop-two"})
    assert api.delete("/apps/shop/addons/orders").json()["id"] == "confirmation_required"
    gone = api("DELETE", "/apps/shop/addons/orders", {"force": True}).json()
    assert gone["state"] == "deprovisioning"
    work()
    assert api.get("/apps/shop/addons/orders").status_code == 404 and shelf.holds() == set()


def test_what_failed_is_deprovisioned_and_says_why(api, app, shelf):
    shelf.broken = EngineError("The shelf is full.", permanent=True)
    addon = ordered(api)
    found = api.get(f"/addons/{addon['id']}").json()
    assert (found["state"], found["provision_message"]) == ("deprovisioned", "The shelf is full.")


def test_names_that_mean_several_are_refused(api, app, shelf):
    ordered(api)
    ordered(api)
    several = api.post("/actions/addons/resolve", {"addon": "heroku-postgresql", "app": "shop"}).json()
    assert len(several) == 2
    answer = api.patch("/apps/shop/addons/heroku-postgresql", {"plan": "basic"})
    assert answer.json()["id"] == "multiple_matches"


def test_who_may(as_bob, as_vera, as_charlie, app, team, shelf):
    addon = make_addon(app, name="pg-1")
    order = {"plan": "heroku-postgresql:mini"}
    for who, status in ((as_bob, 201), (as_vera, 403), (as_charlie, 404)):
        assert who.post("/apps/shop/addons", order).status_code == status
    link = {"addon": "pg-1", "app": "shop", "name": "MORE"}
    for who, status in ((as_vera, 403), (as_charlie, 404), (as_bob, 201)):
        assert who.patch("/apps/shop/addons/pg-1", {"name": "pg-1"}).status_code == (
            200 if status == 201 else status
        )
        assert who.post("/addon-attachments", link).status_code == status
    attachment = addon.attachments.get(name="MORE")
    for who, status in ((as_vera, 403), (as_charlie, 404), (as_bob, 200)):
        assert who.delete(f"/addon-attachments/{attachment.pk}").status_code == status
    for who, status in ((as_vera, 403), (as_charlie, 404), (as_bob, 200)):
        assert who.delete("/apps/shop/addons/pg-1").status_code == status


def test_a_protected_stage_tells_its_database_to_nobody_else(as_bob, bob, shop, shelf):
    kept = stage(shop, "production")
    kept.readers = "admins"
    kept.save()
    from apps.models import App

    make_addon(App.objects.get(name="shop-production"), name="gold")
    make_app("mine", owner=bob)
    answer = as_bob.post("/addon-attachments", {"addon": "gold", "app": "mine"})
    assert answer.status_code == 403 and "admins only" in answer.json()["message"]
    assert as_bob.delete("/apps/shop-production/addons/gold").status_code == 403
    assert not Release.objects.filter(app__name="mine").exists()


def test_a_load_balancer_of_the_pipeline_is_listed_with_its_apps(api, app, alice):
    pipeline = make_pipeline("line", owner=alice)
    couple(app, pipeline, "production", by=alice)
    addon = make_balancer(pipeline, "production", app)
    (row,) = api.get("/apps/shop/addons").json()
    assert (row["name"], row["app"]["name"], row["plan"]["name"]) == (
        addon.name,
        "line",
        "loadbalancer:standard",
    )
    assert row["config_vars"] == ["LOADBALANCER_URL"] and row["state"] == "provisioned"
    (attached,) = api.get("/apps/shop/addon-attachments").json()
    assert (attached["name"], attached["addon"]["name"]) == ("LOADBALANCER", addon.name)
