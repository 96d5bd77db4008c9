"""Add-ons of a pipeline's own on its pages: order, share, give up; and who may."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from addons.models import Addon
from apps.models import App
from conductor import addons as job
from conductor.work import Held, Kind, run
from core.errors import EngineError
from pipelines.models import SharedAddon
from releases.models import Release
from tests.factories import make_app, stage

KIND = Kind("addon", Addon, 1, job.advance, job.fail)
BASE = "/pipelines/shop/"


@pytest.fixture(autouse=True)
def provider(shop, shelf):
    return shelf


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice)
    return client


def work():
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def order(client, service="heroku-postgresql", **typed):
    return client.post(f"{BASE}catalog/{service}/orders/", {"plan": "mini", "stage": "", "as": "", **typed})


def keys(name):
    release = Release.objects.filter(app__name=name).first()
    return list(release.config_keys) if release else []


def test_an_order_is_shared_with_every_stage_and_shown(as_alice):
    page = as_alice.get(f"{BASE}resources/")
    assertContains(page, "No add-on of its own yet")
    assertContains(page, "Heroku Postgres")
    assertNotContains(page, "Papertrail")
    page = as_alice.get(f"{BASE}catalog/heroku-postgresql/")
    for text in ("essential-1", "$9.00 a month", "Staging, 1 app now", "Every stage"):
        assertContains(page, text)
    assertRedirects(order(as_alice, **{"as": "shared"}), f"{BASE}resources/", status_code=303)
    assertContains(as_alice.get(f"{BASE}resources/"), "Being made")
    work()
    page = as_alice.get(f"{BASE}resources/", headers={"HX-Request": "true"})
    for text in ("Ready", "Every stage", "SHARED", "shop-staging", "shop-production", "$5.00 a month"):
        assertContains(page, text)
    assertNotContains(page, Addon.objects.get().secret)
    assert keys("shop-staging") == keys("shop-production") == ["SHARED_URL"]
    name = Addon.objects.get().name
    assertContains(as_alice.get(f"/apps/shop-staging/addons/{name}/"), "shop, a pipeline")
    assertRedirects(as_alice.get(f"/addons/{name}/"), f"{BASE}resources/", status_code=303)


def test_it_is_shared_with_another_stage_and_with_none(as_alice, team):
    order(as_alice, stage="staging")
    work()
    here = f"{BASE}addons/{Addon.objects.get().name}/"
    assert (keys("shop-staging"), keys("shop-production")) == (["DATABASE_URL"], [])
    assertContains(as_alice.get(f"{here}sharing/"), '<option value="staging" selected>')
    as_alice.post(f"{here}sharing/", {"stage": "production", "as": "main"})
    assert (keys("shop-staging"), keys("shop-production")) == ([], ["MAIN_URL"])
    make_app("joined", owner=team, stage=stage(SharedAddon.objects.get().addon.pipeline, "production"))
    assert keys("joined") == ["MAIN_URL"]
    as_alice.post(f"{here}sharing/", {"stage": "production", "as": "other"})
    assert keys("joined") == keys("shop-production") == ["OTHER_URL"]
    answer = as_alice.post(f"{here}sharing/removal/", follow=True)
    assertContains(answer, "is shared with no app now")
    assertContains(answer, "No stage")
    assert keys("joined") == keys("shop-production") == []
    as_alice.post(f"{here}sharing/", {"stage": "", "as": ""})
    assert keys("joined") == keys("shop-staging") == ["DATABASE_URL"]


@pytest.mark.parametrize(
    ("service", "typed", "told"),
    [
        ("heroku-postgresql", {"plan": "none"}, "no such plan"),
        ("heroku-postgresql", {"as": "9 lives"}, "starts with a letter"),
        ("heroku-postgresql", {"stage": "moon"}, "No such stage."),
        ("scheduler", {"plan": "standard"}, "It can&#x27;t be shared."),
    ],
)
def test_what_is_refused_comes_back_as_it_was_typed(as_alice, service, typed, told):
    answer = order(as_alice, service, **typed)
    assertContains(answer, told, status_code=422)
    if "as" in typed:
        assertContains(answer, 'value="9 lives"', status_code=422)
    assert not Addon.objects.exists()


def test_what_failed_can_be_tried_again(as_alice, provider):
    provider.broken = EngineError("The shelf is full.", permanent=True)
    order(as_alice)
    work()
    page = as_alice.get(f"{BASE}resources/")
    assertContains(page, "The shelf is full.")
    provider.broken = None
    as_alice.post(f"{BASE}addons/{Addon.objects.get().name}/retries/")
    work()
    assert Addon.objects.get().state == "provisioned"
    assert keys("shop-staging") == ["DATABASE_URL"]


def test_it_goes_when_its_name_is_typed(as_alice):
    order(as_alice)
    work()
    name = Addon.objects.get().name
    here = f"{BASE}addons/{name}/removal/"
    assertContains(as_alice.get(here), "shop-production, shop-staging")
    assertContains(as_alice.post(here, {"confirm": "shop"}), f"Type {name} to confirm", status_code=422)
    assert keys("shop-staging") == ["DATABASE_URL"]
    as_alice.post(here, {"confirm": name})
    assert keys("shop-staging") == keys("shop-production") == []
    work()
    assert not Addon.objects.exists() and not SharedAddon.objects.exists()


def test_who_may(as_alice, client, bob, vera, charlie):
    order(as_alice)
    work()
    name = Addon.objects.get().name
    here = f"{BASE}addons/{name}/"
    for who, seen, done in ((vera, 200, 403), (bob, 200, 403), (charlie, 404, 404)):
        client.force_login(who)
        assert client.get(f"{BASE}resources/").status_code == seen
        assert order(client).status_code == done
        assert client.get(f"{BASE}catalog/heroku-postgresql/").status_code == done
        for verb in ("sharing", "sharing/removal", "retries", "removal"):
            assert client.post(f"{here}{verb}/", {"confirm": name}).status_code == done
    client.force_login(vera)
    page = client.get(f"{BASE}resources/")
    assertContains(page, name)
    assertNotContains(page, "/catalog/")
    assert Addon.objects.get().state == "provisioned"


def test_a_pipeline_s_page_has_its_own_add_ons_only(as_alice, alice):
    order(as_alice)
    work()
    name = Addon.objects.get().name
    as_alice.post("/pipelines/new/", {"name": "elsewhere", "owner": ""})
    for address in ("sharing", "removal"):
        assert as_alice.get(f"/pipelines/elsewhere/addons/{name}/{address}/").status_code == 404
    assert App.objects.filter(attachments__addon__name=name).count() == 2
