"""The page of a load balancer: what it shows of address and apps, what it changes, and who may."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from addons.models import Addon
from apps.models import App, Dyno
from conductor import addons as job
from conductor.work import Held, Kind, run
from pipelines.models import Balancer
from tests.factories import make_app, make_shared_addon, stage

KIND = Kind("addon", Addon, 1, job.advance, job.fail)
BASE = "/pipelines/shop/"


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def here(shop, team, as_alice):
    """The page of a load balancer of production, where two apps are."""
    make_app("shop-eu", owner=team, stage=stage(shop, "production"))
    order(as_alice, stage="production")
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))
    return f"{BASE}addons/{Addon.objects.get().name}/balancing/"


def order(client, **typed):
    return client.post(f"{BASE}catalog/loadbalancer/orders/", {"plan": "standard", "as": "", **typed})


def up(name, state="up", number=1):
    app = App.objects.get(name=name)
    Dyno.objects.create(app=app, type="web", number=number, command="x", release_version=1, state=state)
    return app


def test_it_is_ordered_for_one_stage(as_alice, shop):
    page = as_alice.get(f"{BASE}catalog/loadbalancer/")
    assertContains(page, "Choose a stage")
    assertNotContains(page, "Every stage")
    answer = order(as_alice, stage="")
    assertContains(answer, "Choose a stage.", status_code=422)
    assert not Addon.objects.exists()
    assertRedirects(order(as_alice, stage="production"), f"{BASE}resources/", status_code=303)
    addon = Addon.objects.get()
    assertContains(as_alice.get(f"{BASE}resources/"), f"{BASE}addons/{addon.name}/balancing/")
    assertNotContains(as_alice.get(f"{BASE}addons/{addon.name}/sharing/"), "Every stage")
    assertContains(as_alice.get(f"{BASE}addons/{addon.name}/balancing/"), "Being made")


def test_it_shows_the_address_and_how_its_apps_stand(as_alice, here):
    page = as_alice.get(here)
    balancer = Balancer.objects.get()
    for text in (balancer.url, balancer.host, "shop-eu", "shop-production", "No app answers", "No web dynos"):
        assertContains(page, text)
    up("shop-production")
    up("shop-production", number=2)
    app = up("shop-eu", "crashed")
    page = as_alice.get(here, headers={"HX-Request": "true"})
    for text in ("2 of 2 up", "100 %", "0 of 1 up", "Crashed", f"app:{app.pk}"):
        assertContains(page, text)
    assertNotContains(page, "No app answers")
    assertNotContains(page, "<html")
    Dyno.objects.update(state="up")
    assertContains(as_alice.get(here), "50 %", count=2)
    App.objects.filter(pk=app.pk).update(maintenance=True)
    page = as_alice.get(here)
    assertContains(page, "Maintenance")
    assertContains(page, "100 %", count=1)


def test_weights_are_saved_and_what_is_refused_comes_back_as_it_was_typed(as_alice, here):
    up("shop-production")
    up("shop-eu")
    weights = {"weight-shop-eu": "25", "weight-shop-production": "75"}
    assertRedirects(as_alice.post(here, {**weights, "sticky": "on"}), here, status_code=303)
    page = as_alice.get(here)
    for text in ("25 %", "75 %", 'value="25"'):
        assertContains(page, text)
    assert Balancer.objects.get().sticky
    page = as_alice.post(here, {"weight-shop-eu": "lots", "weight-shop-production": "5"})
    assertContains(page, "From 0 to 100.", status_code=422)
    assertContains(page, 'value="lots"', status_code=422)
    assertContains(page, 'value="5"', status_code=422)
    page = as_alice.post(here, {"weight-shop-eu": "0", "weight-shop-production": "0"})
    assertContains(page, "visitors would find nobody", status_code=422)
    assert sorted(Balancer.objects.get().weights.values()) == [25, 75] and Balancer.objects.get().sticky
    as_alice.post(here, {"weight-shop-eu": "0", "weight-shop-production": "100"})
    assertContains(as_alice.get(here), "Drained")
    assert not Balancer.objects.get().sticky


def test_who_may(client, here, bob, vera, charlie):
    for user, looks, saves in ((vera, 200, 403), (bob, 200, 403), (charlie, 404, 404)):
        client.force_login(user)
        assert client.get(here).status_code == looks
        assert client.post(here, {"weight-shop-eu": "1"}).status_code == saves
    client.force_login(vera)
    assertNotContains(client.get(here), "Save</button>")
    assert Balancer.objects.get().weights == {}


def test_another_add_on_of_the_pipeline_has_no_such_page(as_alice, shop):
    addon = make_shared_addon(shop)
    assert as_alice.get(f"{BASE}addons/{addon.name}/balancing/").status_code == 404


def test_its_app_s_page_tells_the_address(as_alice, here):
    addon = Addon.objects.get()
    assertContains(as_alice.get(f"/apps/shop-eu/addons/{addon.name}/"), "LOADBALANCER_URL")
    assertRedirects(as_alice.get(f"/addons/{addon.name}/"), here, status_code=303)
    page = as_alice.post(f"{BASE}addons/{addon.name}/sharing/removal/", follow=True)
    assertContains(page, "No stage")
    assertContains(as_alice.get(here), "It leads nowhere until it is shared with a stage.")


def test_it_asks_no_more_when_more_apps_share(as_alice, here, shop, team, django_assert_max_num_queries):
    for number in range(4):
        make_app(f"more-{number}", owner=team, stage=stage(shop, "production"))
        up(f"more-{number}")
    with django_assert_max_num_queries(12):
        page = as_alice.get(here)
    assertContains(page, "25 %", count=4)
