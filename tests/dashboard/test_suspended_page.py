"""What an app's overview says while an operator has suspended it, and before it was ever deployed."""

from apps import suspension
from apps.models import App
from tests.factories import make_app


def test_a_suspended_app_has_no_dynos_to_come(alice, client):
    app = make_app("shop", owner=alice, released=True)
    client.force_login(alice)
    assert "1 to come" in client.get("/apps/shop/").text
    suspension.suspend_app(app, True, by=None)
    page = client.get("/apps/shop/").text
    assert "to come" not in page
    assert "Config vars can be put right meanwhile" in page


def test_an_app_without_code_has_nothing_to_open(alice, client):
    make_app("fresh", owner=alice)
    make_app("shop", owner=alice, released=True)
    client.force_login(alice)
    assert "Open app" not in client.get("/apps/fresh/").text
    assert "Open app" in client.get("/apps/shop/").text


def test_an_operator_stops_all_that_a_person_owns(alice, bob, team):
    mine, also, teams = (
        make_app(name, owner=who) for name, who in (("mine-1", alice), ("mine-2", alice), ("theirs", team))
    )
    assert suspension.suspend_apps_of(alice, by=bob) == 2
    assert set(App.objects.exclude(suspended_at=None)) == {mine, also}
    assert suspension.reinstate_apps_of(alice, by=bob) == 2
    assert not App.objects.exclude(suspended_at=None).exists() and teams.suspended_at is None
