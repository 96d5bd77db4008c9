"""What a team, a pipeline, an app or a person used and what it costs: who sees it, and who may set a budget."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.asserts import assertContains, assertNotContains

from apps import actions as app_actions
from apps.models import App
from metering import meters
from metering.models import Budget, Entry, Meter
from pipelines import actions as pipeline_actions
from pipelines.models import Coupling
from tests.factories import couple, make_app, make_pipeline
from tests.metering.test_meters import begin


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    """In the middle of a month, and time stands still."""
    now = datetime(2026, 11, 15, 12, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    return now


@pytest.fixture
def used(shop, noon):
    """A web dyno in each stage, an hour of it in the ledger."""
    for app in App.objects.all():
        begin(app)
    Meter.objects.update(since=noon - timedelta(hours=1))
    meters.cut()
    return shop


@pytest.mark.parametrize("path", ["/teams/acme/usage/", "/pipelines/shop/usage/"])
def test_every_app_has_its_row(used, vera, client, path):
    client.force_login(vera)
    page = client.get(path)
    assertContains(page, "shop-staging")
    assertContains(page, "shop-production")
    assertContains(page, "$0.07")  # an hour of two dynos of $25 a month
    assertNotContains(page, "Set budget")


def test_a_pipeline_shows_no_app_out_of_sight(used, alice, charlie, client):
    app_actions.share(App.objects.get(name="shop-staging"), charlie, ["view"], by=alice)
    client.force_login(charlie)
    page = client.get("/pipelines/shop/usage/")
    assertContains(page, "shop-staging")
    assertNotContains(page, "shop-production")
    assertNotContains(client.get("/pipelines/shop/usage.csv"), "shop-production")


def test_what_is_gone_stays_in_the_ledger(used, alice, client):
    app = App.objects.get(name="shop-staging")
    app_actions.destroy_app(app, confirm=app.name, by=alice)
    app.delete()
    client.force_login(alice)
    page = client.get("/teams/acme/usage/")
    assertContains(page, "shop-staging")
    assertNotContains(page, "/apps/shop-staging/usage/")


def test_a_budget_is_set_refused_and_taken_away(used, alice, bob, client):
    client.force_login(alice)
    assert client.post("/teams/acme/usage/", {"budget": "150"}).status_code == 303
    assertContains(client.get("/teams/acme/usage/"), "$150.00")
    refused = client.post("/teams/acme/usage/", {"budget": "lots"})
    assertContains(refused, "This is not an amount.", status_code=422)
    assertContains(refused, 'value="lots"', status_code=422)
    assert Budget.objects.get().cents == 15_000
    client.force_login(bob)
    assert client.post("/teams/acme/usage/", {"budget": "1"}).status_code == 403
    client.force_login(alice)
    client.post("/teams/acme/usage/", {"budget": ""})
    assert not Budget.objects.exists()


def test_the_file_says_the_same(used, alice, client):
    client.force_login(alice)
    answer = client.get("/pipelines/shop/usage.csv")
    head, *rows = csv.reader(io.StringIO(answer.content.decode()))
    assert head == [
        "month",
        "pipeline",
        "stage",
        "app",
        "kind",
        "item",
        "what",
        "hours",
        "price a month",
        "cost",
    ]
    assert [(row[1], row[2], row[3], row[5], row[8]) for row in rows] == [
        ("shop", "production", "shop-production", "web.1", "25.00"),
        ("shop", "staging", "shop-staging", "web.1", "25.00"),
    ]
    assert all(float(row[7]) >= 1 for row in rows)


def test_a_name_is_no_formula(used, alice, client):
    Entry.objects.update(item='=HYPERLINK("http://x")')
    Meter.objects.all().delete()
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/usage.csv"), "'=HYPERLINK")


def test_without_prices_there_are_hours_only(used, alice, client, settings):
    settings.SHOW_PRICES = False
    client.force_login(alice)
    page = client.get("/apps/shop-staging/usage/")
    assertContains(page, "web.1")
    assertNotContains(page, "$")
    assertNotContains(page, "udget")


@pytest.mark.parametrize("month", ["2026-13", "x", "0000-00", "99999-01", "2031-01", "1970-01"])
def test_any_month_can_be_asked_for(used, alice, client, month):
    client.force_login(alice)
    assert client.get("/teams/acme/usage/", {"month": month}).status_code == 200


def test_my_own_usage_is_of_what_i_own_alone(used, alice, client):
    begin(make_app("mine", owner=alice))
    client.force_login(alice)
    page = client.get("/account/usage/")
    assertContains(page, "mine")
    assertNotContains(page, "shop-staging")


def test_a_moved_app_is_counted_where_it_was(used, alice, client, noon):
    pipeline_actions.uncouple(Coupling.objects.get(app__name="shop-staging"), by=alice)
    app = App.objects.get(name="shop-staging")
    couple(app, make_pipeline("other", owner=used.team), "production", by=alice)
    Meter.objects.filter(app_id=app.pk).update(since=noon - timedelta(minutes=30))
    client.force_login(alice)
    assertContains(client.get("/pipelines/shop/usage/"), "staging in shop")
    assertContains(client.get("/pipelines/other/usage/"), "production in other")
