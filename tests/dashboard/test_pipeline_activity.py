"""What happened to a pipeline: who, what, when, through what."""

from pytest_django.asserts import assertContains, assertNotContains

from apps import actions as app_actions
from apps.models import App
from dashboard.views.pipeline_activity import PER_PAGE
from pipelines import actions
from tests.factories import stage


def test_it_tells_who_did_what_newest_first(shop, alice, client):
    app_actions.set_maintenance(App.objects.get(name="shop-staging"), True, by=alice)
    client.force_login(alice)
    client.post("/pipelines/shop/stages/", {"stage": "canary", "word": "staging", "after": "staging"})
    page = client.get("/pipelines/shop/activity/").content.decode()
    assert page.index("added the stage canary") < page.index("turned maintenance on for shop-staging")
    assert "Dashboard" in page and "Alice Liddell" in page


def test_events_of_apps_out_of_sight_are_absent(shop, alice, charlie, client):
    app_actions.share(App.objects.get(name="shop-staging"), charlie, ["view"], by=alice)
    app_actions.set_maintenance(App.objects.get(name="shop-production"), True, by=alice)
    client.force_login(charlie)
    page = client.get("/pipelines/shop/activity/")
    assertContains(page, "shop-staging")
    assertNotContains(page, "shop-production")


def test_it_comes_in_pages(shop, alice, client):
    moved = stage(shop, "staging")
    for n in range(PER_PAGE):
        actions.move_stage(moved, by_places=-1 if n % 2 else 1, by=alice)
        moved.refresh_from_db()
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/activity/"), "?page=2")
    assertContains(client.get("/pipelines/shop/activity/?page=2"), "created shop")
    assert client.get("/pipelines/shop/activity/?page=%00").status_code == 200


def test_strangers_see_nothing(shop, charlie, client):
    client.force_login(charlie)
    assert client.get("/pipelines/shop/activity/").status_code == 404
