"""What happened to a pipeline: who, what, when, through what."""

import csv
import io
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from apps import actions as app_actions
from apps.models import App
from core import activity
from core.models import Event
from dashboard import history
from dashboard.views.pipeline_activity import PER_PAGE
from pipelines import actions
from pipelines.models import Coupling
from releases.actions import set_config
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
    assertContains(client.get("/pipelines/shop/activity/?about=stages"), "?about=stages&amp;page=2")
    assertContains(client.get("/pipelines/shop/activity/?page=2"), "created shop")
    assert client.get("/pipelines/shop/activity/?page=%00").status_code == 200


def test_strangers_see_nothing(shop, charlie, client):
    client.force_login(charlie)
    assert client.get("/pipelines/shop/activity/").status_code == 404


URL = "/pipelines/shop/activity"


@pytest.fixture
def busy(shop, team, alice, bob):
    """Things of every kind, by two people, through two ways."""
    production, staging = (App.objects.get(name=f"shop-{name}") for name in ("production", "staging"))
    with activity.coming("api"):
        set_config(production, {"KEY": "hunter2"}, by=bob)
        app_actions.scale(production, {"web": {"quantity": 3}}, by=bob)
    with activity.coming("web", address="192.0.2.7", request_id="request-number-7"):
        app_actions.share(staging, bob, ["deploy"], by=alice)
        source = Coupling.objects.get(app=staging)
        actions.promote(source, source.downstream(), by=alice)
    return shop


def text_of(answer):
    return b"".join(answer.streaming_content).decode()


def told(page):
    """What the rows of a page say, without who."""
    found = re.findall(r"</strong> (.+?)(?: <span class=\"muted\">.*)?</p>", page.text)
    return [re.sub(r"<.*", "", row) for row in found]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("about=promotions", ["promoted shop-staging"]),
        ("about=config", ["changed config of shop-production"]),
        ("about=dynos", ["scaled shop-production"]),
        ("about=access", ["shared shop-staging"]),
        ("person=bob@example.com&about=code&through=api", ["released v2"]),
        ("through=api&verb=scaled", ["scaled shop-production"]),
        ("where=shop-staging&through=web", ["promoted shop-staging", "shared shop-staging"]),
        ("where=stage:production&about=dynos", ["scaled shop-production"]),
        ("where=pipeline:", ["created shop"]),
        ("q=SCALED+prod", ["scaled shop-production"]),
        ("where=elsewhere", []),
        ("since=2999-01-01", []),
        ("until=1999-01-01", []),
    ],
)
def test_it_is_narrowed_down(busy, alice, client, query, rows):
    client.force_login(alice)
    assert told(client.get(f"{URL}/?{query}")) == rows
    lines = list(csv.reader(text_of(client.get(f"{URL}.csv?{query}")).splitlines()))
    assert [f"{line[2]} {line[4]}" for line in lines[1:]] == rows


def test_dates_count_whole_days_and_bad_ones_are_told(busy, alice, client):
    client.force_login(alice)
    today = f"{timezone.now():%Y-%m-%d}"
    everything = len(told(client.get(f"{URL}/")))
    assert len(told(client.get(f"{URL}/?since={today}&until={today}"))) == everything
    page = client.get(f"{URL}/?since=2026-13-45&until=9999-12-31")
    assertContains(page, "“2026-13-45” is no date.")
    assert len(told(page)) == everything


def test_addresses_are_for_managers(busy, alice, bob, client):
    client.force_login(alice)
    assertContains(client.get(f"{URL}/"), "192.0.2.7")
    client.force_login(bob)
    page = client.get(f"{URL}/")
    assertNotContains(page, "192.0.2.7")
    assertContains(page, "request-number-7")


def test_no_cell_of_the_export_is_a_formula(shop, alice, client):
    for label in ("=1+1", "+1", "-1", "@sum", "\t=1", " =1", "\r=1", "＝1", 'a"b,c\n=d', "plain"):
        Event.objects.create(
            by=alice,
            actor="=cmd|'/c calc'!A1",
            verb="-did",
            kind="pipeline",
            label=label,
            pipeline_id=shop.pk,
        )
    client.force_login(alice)
    rows = list(csv.reader(io.StringIO(text_of(client.get(f"{URL}.csv")), newline="")))
    assert rows[0] == list(history.COLUMNS)
    assert {row[4] for row in rows[1:]} >= {"'=1+1", "'+1", "'-1", "'@sum", "plain", 'a"b,c\n=d', "' =1"}
    for row in rows[1:]:
        for cell in row:
            assert not cell.lstrip(" ").startswith(history.RISKY)


def test_the_export_holds_what_the_viewer_sees_and_no_more(busy, alice, charlie, client):
    app_actions.share(App.objects.get(name="shop-staging"), charlie, ["view"], by=alice)
    client.force_login(charlie)
    answer = client.get(f"{URL}.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="shop-activity-')
    text = text_of(answer)
    assert "shop-staging" in text and "hunter2" not in text
    assert not [row for row in csv.reader(text.splitlines()) if "shop-production" in row]


@pytest.mark.django_db(transaction=True)
async def test_a_server_sends_it_piece_by_piece(shop, alice, async_client):
    rows = [
        Event(actor="x", verb="did", kind="pipeline", label=str(n), pipeline_id=shop.pk)
        for n in range(history.BATCH + 50)
    ]
    await Event.objects.abulk_create(rows)
    await async_client.aforce_login(alice)
    answer = await async_client.get(f"{URL}.csv")
    pieces = [piece async for piece in answer.streaming_content]
    assert len(pieces) == 3  # the head, a batch, the rest
    labels = [row[4] for row in csv.reader(b"".join(pieces).decode().splitlines())]
    assert [label for label in labels if label.isdecimal()] == [row.label for row in reversed(rows)]


def test_strangers_export_nothing(shop, charlie, client):
    client.force_login(charlie)
    assert client.get(f"{URL}.csv").status_code == 404
    client.logout()
    assert client.get(f"{URL}.csv").status_code == 302


def test_it_costs_the_same_however_much_happened(busy, alice, client):
    client.force_login(alice)
    client.get(f"{URL}/")
    for n in range(2):
        Event.objects.bulk_create(
            Event(actor=f"x{m}@example.com", verb="did", kind="pipeline", label="x", pipeline_id=busy.pk)
            for m in range(400 * n)
        )
        with CaptureQueriesContext(connection) as queries:
            page = client.get(f"{URL}/?about=&where=shop-staging")
        assert len(queries) <= 9
        assert len(page.content) < 150_000
