"""What happened to an app, page by page."""

import pytest

from apps import actions
from apps.models import App
from core import activity
from releases.actions import set_config
from tests.factories import make_app


@pytest.fixture
def app(alice, client):
    client.force_login(alice)
    return make_app("shop", owner=alice, released=True)


def test_it_says_who_did_what_and_how(app, alice, client):
    actions.scale(app, {"web": {"quantity": 3}}, by=alice)
    page = client.get("/apps/shop/activity/").text
    assert "<strong>Alice Liddell</strong> scaled shop" in page
    assert "web 1 × standard-1x → 3 × standard-1x" in page
    assert "Console" in page


def test_it_has_pages(app, alice, client):
    for number in range(60):
        activity.record(alice, "looked at", app, note=f"time {number}")
    first, second = (client.get(f"/apps/shop/activity/?page={page}").text for page in (1, 2))
    assert "time 59" in first and "time 1”" not in first
    assert "time 1”" in second and "created shop" in second
    assert client.get("/apps/shop/activity/?page=nonsense").status_code == 200


def test_other_apps_are_not_in_it(app, charlie, client):
    make_app("elsewhere", owner=charlie)
    assert "elsewhere" not in client.get("/apps/shop/activity/").text


def test_text_of_people_is_no_markup(app, alice, client):
    activity.record(alice, "noted", app, note="<script>alert(1)</script>")
    page = client.get("/apps/shop/activity/").text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("query", "told", "untold"),
    [
        ("about=config", "changed config of", "scaled"),
        ("about=dynos", "scaled", "changed config of"),
        ("through=web", "No event is like that", "scaled"),
        ("person=bob@example.com", "scaled", "changed config of"),
        ("q=scal", "scaled", "changed config of"),
        ("since=2000-01-01&until=2001-01-01", "No event is like that", "scaled"),
        ("since=yesterday", "is no date", "No event is like that"),
    ],
)
def test_it_narrows_down(app, alice, bob, client, query, told, untold):
    set_config(app, {"TOKEN": "s3cret"}, by=alice)
    actions.scale(app, {"web": {"quantity": 3}}, by=bob)
    page = client.get(f"/apps/shop/activity/?{query}").text
    found = page[page.index('id="found"') :]
    assert told in found and untold not in found
    assert "s3cret" not in page


def test_pages_keep_the_filter_and_are_light(app, alice, client, django_assert_max_num_queries):
    for number in range(120):
        activity.record(alice, "changed config of", app, keys={f"KEY_{number}": "added"})
    client.get("/apps/shop/activity/")
    with django_assert_max_num_queries(12):
        page = client.get("/apps/shop/activity/?about=config").text
    assert 'href="?about=config&amp;page=2"' in page
    assert '<div class="add">+ KEY_119</div>' in page
    assert len(page.encode()) < 150_000


def test_where_it_came_from_is_for_who_manages(shop, alice, bob, client):
    app = App.objects.get(name="shop-staging")
    with activity.coming("web", address="203.0.113.9"):
        actions.scale(app, {"web": {"quantity": 2}}, by=alice)
    client.force_login(bob)
    assert "203.0.113.9" not in client.get("/apps/shop-staging/activity/").text
    client.force_login(alice)
    assert "203.0.113.9" in client.get("/apps/shop-staging/activity/").text
