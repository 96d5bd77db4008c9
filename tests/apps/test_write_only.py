"""Write-only config vars reach dynos, releases and rollbacks, and are never shown again."""

import pytest

from apps import config_vars
from apps.models import ConfigVar
from core.errors import Conflict, Forbidden
from core.models import Event
from pipelines.models import Stage
from releases import actions
from releases.models import Release
from tests.api.conftest import ApiClient
from tests.factories import make_app, make_release

SECRET = "not-for-eyes"


@pytest.fixture
def app(alice):
    app = make_app("shop", owner=alice, released=True)
    actions.set_config(app, {"KEY": SECRET}, by=alice, write_only=True)
    actions.set_config(app, {"OTHER": "plain"}, by=alice)
    return app


def var(key="KEY"):
    return ConfigVar.objects.get(key=key)


def test_it_is_in_the_release_as_before(app):
    assert Release.objects.latest("version").config == {"KEY": SECRET, "OTHER": "plain"}
    assert config_vars.readable(app) == {"OTHER": "plain"}


def test_it_is_not_revealed_and_no_reveal_is_noted(app, alice):
    with pytest.raises(Forbidden, match="write-only"):
        config_vars.reveal(var(), by=alice)
    assert config_vars.reveal_all(app, by=alice) == {"OTHER": "plain"}
    assert [event.details for event in Event.objects.filter(verb="revealed config of")] == [
        {"keys": ["OTHER"]}
    ]


def test_a_new_value_stays_write_only(app, alice):
    actions.set_config(app, {"KEY": "another"}, by=alice)
    assert var().write_only and var().value == "another"


def test_marking_makes_no_release_and_is_noted_once(app, alice):
    versions = app.releases.count()
    config_vars.make_write_only(app, ["OTHER", "KEY", "NOPE"], by=alice)
    config_vars.make_write_only(app, ["OTHER"], by=alice)
    assert app.releases.count() == versions
    marked = Event.objects.filter(verb="made write-only config of").order_by("at")
    assert [event.details["keys"] for event in marked] == [["KEY"], ["OTHER"]]


def test_an_unset_one_stays_hidden_in_old_releases_and_comes_back_write_only(app, alice):
    old = Release.objects.get(version=2)
    Release.objects.filter(pk=old.pk).update(status="succeeded", slug=Release.objects.get(version=1).slug)
    actions.set_config(app, {"KEY": None}, by=alice)
    actions.set_config(app, {"KEY": "readable now"}, by=alice)
    app.refresh_from_db()
    assert config_vars.readable(app)["KEY"] == "readable now"
    assert config_vars.readable_of(app, old.config) == {}
    old.refresh_from_db()
    actions.rollback(app, old, by=alice)
    assert var().write_only and var().value == SECRET


def test_a_rollback_leaves_whose_and_since_when_where_nothing_changes(app, alice, bob):
    make_release(app, by=alice)
    before = var("OTHER").set_at
    actions.set_config(app, {"MORE": "1"}, by=bob)
    actions.rollback(app, app.releases.get(current=True), by=bob)
    assert (var("OTHER").set_by, var("OTHER").set_at) == (alice, before)
    assert not ConfigVar.objects.filter(key="MORE").exists()


def test_changing_a_value_says_who_and_when(app, bob):
    before = var("OTHER").set_at
    actions.set_config(app, {"OTHER": "x"}, by=bob)
    assert var("OTHER").set_by == bob and var("OTHER").set_at > before


def test_replacing_all_keeps_it_and_notices_what_others_did(app, alice, bob):
    seen = config_vars.stamp(app)
    actions.replace_config(app, {"A": "1"}, by=alice, seen=seen)
    assert {v.key: v.value for v in ConfigVar.objects.all()} == {"A": "1", "KEY": SECRET}
    with pytest.raises(Conflict, match="Load them again"):
        actions.replace_config(app, {"B": "1"}, by=bob, seen=seen)
    assert {v.key for v in ConfigVar.objects.all()} == {"A", "KEY"}


def test_the_api_leaves_it_out_and_names_it_and_sending_back_what_came_keeps_it(app, alice):
    api = ApiClient(alice)
    answer = api.get("/apps/shop/config-vars")
    assert answer.json() == {"OTHER": "plain"}
    assert answer.headers["Slipway-Write-Only"] == "KEY"
    assert api.patch("/apps/shop/config-vars", answer.json()).json() == {"OTHER": "plain"}
    assert var().value == SECRET
    assert SECRET not in api.get("/apps/shop/releases/2/config-vars").text


def test_a_stage_that_hides_config_hides_it_from_the_api_too(shop, alice, bob):
    Stage.objects.filter(name="production").update(readers="admins")
    api = ApiClient(bob)
    assert api.get("/apps/shop-production/config-vars").status_code == 403
    assert api.patch("/apps/shop-production/config-vars", {"A": "1"}).status_code == 403
    assert api.get("/apps/shop-production/releases/1/config-vars").status_code == 403
    assert api.get("/apps/shop-staging/config-vars").json() == {}
    assert ApiClient(alice).get("/apps/shop-production/config-vars").json() == {}
