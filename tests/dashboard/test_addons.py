"""Add-ons on the pages of an app: order, look at, attach, change, give up; and who may."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from addons.models import Addon
from apps.models import App, ConfigVar
from conductor import addons as job
from conductor.work import Held, Kind, run
from core.errors import EngineError
from releases.models import Release
from tests.factories import make_addon, make_app, stage
from tests.mailing import no_mailer  # noqa: F401

KIND = Kind("addon", Addon, 1, job.advance, job.fail)
BASE = "/apps/shop-staging/"


@pytest.fixture
def app(shop, shelf):
    return App.objects.get(name="shop-staging")


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice)
    return client


def work():
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def order(client, service="heroku-postgresql", **typed):
    return client.post(f"{BASE}catalog/{service}/orders/", {"plan": "mini", "as": "", **typed})


def test_the_catalog_says_what_there_is_and_why_something_is_not(app, as_alice, no_mailer):  # noqa: F811
    page = as_alice.get(f"{BASE}resources/")
    assertContains(page, "Heroku Postgres")
    assertContains(page, "Unavailable: No mail can be taken: 192.0.2.1 is no address")
    assertNotContains(page, "/catalog/mailer/")
    assertContains(page, "Unavailable: It belongs to a pipeline")
    assertNotContains(page, "/catalog/loadbalancer/")
    page = as_alice.get(f"{BASE}catalog/heroku-postgresql/")
    for text in ("essential-1", "$9.00 a month", "10 GB of storage", "No charge", "v2"):
        assertContains(page, text)


def test_an_order_is_made_and_shown(app, as_alice):
    assertRedirects(
        order(as_alice, **{"as": "orders"}),
        f"{BASE}resources/#h-addons",
        status_code=303,
        fetch_redirect_response=False,
    )
    page = as_alice.get(f"{BASE}resources/")
    assertContains(page, "Being made")
    assertContains(page, "ORDERS_URL")
    work()
    page = as_alice.get(f"{BASE}resources/", headers={"HX-Request": "true"})
    assertContains(page, "Ready")
    addon = Addon.objects.get()
    page = as_alice.get(f"{BASE}addons/{addon.name}/")
    for text in ("It is on the shelf.", "ORDERS_URL", "$5.00 a month"):
        assertContains(page, text)
    assertNotContains(page, addon.secret)
    assertRedirects(as_alice.get(f"/addons/{addon.name}/"), f"{BASE}addons/{addon.name}/", status_code=303)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"plan": "none"}, "no such plan"),
        ({"as": "9 lives"}, "starts with a letter"),
        ({"as": "TAKEN"}, "is taken by"),
    ],
)
def test_what_is_refused_comes_back_as_it_was_typed(app, as_alice, typed, told):
    make_addon(app, as_="TAKEN")
    answer = order(as_alice, **typed)
    assertContains(answer, told, status_code=422)
    if "as" in typed:
        assertContains(answer, f'value="{typed["as"]}"', status_code=422)
    assert Addon.objects.count() == 1


def test_what_failed_can_be_tried_again(app, as_alice, shelf):
    shelf.broken = EngineError("The shelf is full.", permanent=True)
    order(as_alice)
    work()
    addon = Addon.objects.get()
    assertContains(as_alice.get(f"{BASE}addons/{addon.name}/"), "It could not be made. The shelf is full.")
    shelf.broken = None
    as_alice.post(f"{BASE}addons/{addon.name}/retries/")
    work()
    assert Addon.objects.get().state == "provisioned"


def test_plan_name_and_removal(app, as_alice):
    order(as_alice)
    work()
    addon = Addon.objects.get()
    here = f"{BASE}addons/{addon.name}/"
    assertContains(as_alice.get(f"{here}plan/"), "standard-0")
    assertRedirects(as_alice.post(f"{here}plan/", {"plan": "basic"}), here, status_code=303)
    work()
    assertContains(as_alice.get(here), "basic, $9.00 a month")
    assertContains(as_alice.post(f"{here}name/", {"name": "x y"}), "starts with a letter", status_code=422)
    assertRedirects(
        as_alice.post(f"{here}name/", {"name": "orders"}), f"{BASE}addons/orders/", status_code=303
    )
    assertContains(as_alice.get(f"{BASE}addons/orders/removal/"), "Type <strong>orders</strong>")
    wrong = as_alice.post(f"{BASE}addons/orders/removal/", {"confirm": "order"})
    assertContains(wrong, "Type orders to confirm", status_code=422)
    as_alice.post(f"{BASE}addons/orders/removal/", {"confirm": "orders"})
    work()
    assert not Addon.objects.exists() and not ConfigVar.objects.filter(app=app).exists()


def test_share_promote_and_detach(app, team, as_alice):
    other = make_app("other", owner=team)
    make_addon(other, name="shared-db")
    make_addon(app, name="own-db")
    page = as_alice.get(f"{BASE}attachments/")
    assertContains(page, "shared-db")
    assertNotContains(page, "own-db")
    as_alice.post(f"{BASE}attachments/", {"addon": "shared-db", "as": "shared"})
    assert Release.objects.filter(app=app).first().description == "Attach SHARED (@ref:shared-db)"
    row = app.attachments.get(name="SHARED")
    as_alice.post(f"{BASE}attachments/{row.pk}/promotion/")
    assert app.attachments.get(name="DATABASE").addon.name == "shared-db"
    as_alice.post(f"{BASE}attachments/{row.pk}/removal/")
    assert not app.attachments.filter(name="SHARED").exists()
    last = other.attachments.get()
    app.attachments.filter(addon=last.addon).delete()
    answer = as_alice.post(f"/apps/other/attachments/{last.pk}/removal/", follow=True)
    assertContains(answer, "last attachment")


def test_the_config_page_says_which_vars_are_an_add_ons(app, as_alice):
    order(as_alice)
    work()
    addon = Addon.objects.get()
    page = as_alice.get(f"{BASE}config/")
    assertContains(page, f"{BASE}addons/{addon.name}/")
    assertNotContains(page, f"{BASE}config/vars/DATABASE_URL/edit/")
    refused = as_alice.post(f"{BASE}config/vars/", {"key": "DATABASE_URL", "value": "mine"})
    assertContains(refused, f"is set by the add-on {addon.name}", status_code=422)


def test_who_may(app, client, bob, vera, charlie):
    addon = make_addon(app, name="pg-1")
    here = f"{BASE}addons/pg-1/"
    for who, seen, done in ((vera, 200, 403), (charlie, 404, 404), (bob, 200, 303)):
        client.force_login(who)
        assert client.get(here).status_code == seen
        assert order(client).status_code == done
        assert client.post(f"{here}name/", {"name": "pg-1"}).status_code == done
        assert client.post(f"{here}plan/", {"plan": "basic"}).status_code == done
        assert client.get(f"{here}removal/").status_code == (200 if done == 303 else done)
    client.force_login(vera)
    assertNotContains(client.get(f"{BASE}resources/"), "/catalog/")
    assert addon.plan.name == "mini"


def test_a_protected_stage_keeps_its_databases_to_itself(shop, client, bob, shelf):
    kept = stage(shop, "production")
    kept.readers = "admins"
    kept.save()
    make_addon(App.objects.get(name="shop-production"), name="gold")
    client.force_login(bob)
    assertNotContains(client.get(f"{BASE}attachments/"), "gold")
    assert client.post(f"{BASE}attachments/", {"addon": "gold", "as": ""}).status_code == 403
    assert client.get("/apps/shop-production/attachments/").status_code == 403


def test_it_asks_no_more_when_there_is_more(app, as_alice, django_assert_max_num_queries):
    for number in range(8):
        make_addon(app, as_=f"DB_{number}")
    with django_assert_max_num_queries(22):
        as_alice.get(f"{BASE}resources/")
    with django_assert_max_num_queries(22):
        as_alice.get(f"{BASE}addons/{Addon.objects.first().name}/")


def test_whoever_ordered_from_a_dialog_sees_the_page_anew(app, as_alice):
    """A redirect to where the browser is already, but for the fragment, would leave the dialog open."""
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{BASE}resources/#h-catalog"}
    answer = as_alice.post(
        f"{BASE}catalog/heroku-postgresql/orders/", {"plan": "mini", "as": ""}, headers=headers
    )
    assert answer.headers["HX-Refresh"] == "true" and "HX-Redirect" not in answer.headers
