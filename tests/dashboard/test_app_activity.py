"""What happened to an app, page by page."""

import pytest

from apps import actions
from core import activity
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
