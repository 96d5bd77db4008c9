"""An operator's stop: what a suspended app or team turns down, and what comes back."""

import pytest

from apps import actions as apps
from apps import one_offs, suspension
from apps.models import App
from core.errors import Forbidden, Refusal
from core.models import Event
from pipelines import actions as pipelines
from pipelines.models import Coupling
from releases import actions as releases
from releases.models import Release
from tests.api.conftest import api as api
from tests.factories import make_app, make_source


@pytest.fixture
def app(shop):
    return App.objects.get(name="shop-staging")


REFUSED = {
    "build": lambda app, by: releases.create_build(app, make_source(app), by=by),
    "rollback": lambda app, by: releases.rollback(app, Release.objects.filter(app=app).first(), by=by),
    "scale": lambda app, by: apps.scale(app, {"web": {"quantity": 2}}, by=by),
    "restart": lambda app, by: apps.restart(app, by=by),
    "run": lambda app, by: one_offs.run_detached(app, "true", release_version=1, by=by),
    "promote": lambda app, by: pipelines.promote(
        Coupling.objects.get(app=app), Coupling.objects.filter(app__name="shop-production"), by=by
    ),
    "hand over": lambda app, by: apps.transfer_app(app, by, by=by),
    "hand over with its pipeline": lambda app, by: pipelines.transfer_pipeline(
        app.coupling.pipeline, by, by=by
    ),
}


@pytest.mark.parametrize("verb", REFUSED)
def test_a_suspended_app_turns_it_down(app, alice, verb):
    suspension.suspend_app(app, True, by=alice)
    with pytest.raises(Forbidden, match=r"shop-staging is suspended by an operator\. Ask an operator") as no:
        REFUSED[verb](app, alice)
    assert (no.value.id, no.value.status) == ("suspended", 403)
    suspension.suspend_app(app, False, by=alice)
    REFUSED[verb](app, alice)


def test_nothing_is_promoted_to_a_suspended_app(app, alice):
    suspension.suspend_app(App.objects.get(name="shop-production"), True, by=alice)
    with pytest.raises(Forbidden, match="shop-production is suspended"):
        REFUSED["promote"](app, alice)


def test_config_can_be_put_right_meanwhile(app, alice):
    suspension.suspend_app(app, True, by=alice)
    assert releases.set_config(app, {"LEAKED": None, "FRESH": "1"}, by=alice)


def test_a_page_says_so_with_403(app, alice, client):
    client.force_login(alice)
    suspension.suspend_app(app, True, by=None)
    answer = client.post("/apps/shop-staging/restarts/", {})
    assert answer.status_code == 403
    assert "suspended by an operator" in answer.text


def test_the_api_says_so_with_403(app, alice, api):
    suspension.suspend_app(app, True, by=None)
    answer = api.patch("/apps/shop-staging/formation/web", {"quantity": 2})
    assert (answer.status_code, answer.json()["id"]) == (403, "suspended")


def test_a_team_s_apps_stand_still_and_come_back_but_for_those_suspended_by_themselves(team, shop, alice):
    production = App.objects.get(name="shop-production")
    suspension.suspend_app(production, True, by=alice)
    suspension.suspend_team(team, by=alice)
    assert not App.objects.filter(team=team, suspended_at=None).exists()
    suspension.reinstate_team(team, by=alice)
    assert list(App.objects.exclude(suspended_at=None)) == [production]
    verbs = Event.objects.filter(kind="team", object_id=str(team.pk)).values_list("verb", flat=True)
    assert {"suspended", "reinstated"} <= set(verbs)


def test_a_suspended_team_makes_and_takes_no_apps(team, alice):
    mine = make_app("mine", owner=alice)
    suspension.suspend_team(team, by=alice)
    with pytest.raises(Forbidden, match="acme is suspended"):
        make_app("another", owner=team)
    with pytest.raises(Forbidden, match="acme is suspended"):
        apps.transfer_app(mine, team, by=alice)
    with pytest.raises(Refusal, match="already"):
        suspension.suspend_team(team, by=alice)


def test_an_app_of_a_suspended_team_is_not_reinstated_alone(team, app, alice):
    suspension.suspend_team(team, by=alice)
    app.refresh_from_db()
    with pytest.raises(Refusal, match="Reinstate acme instead"):
        suspension.suspend_app(app, False, by=alice)
    suspension.reinstate_team(team, by=alice)
    with pytest.raises(Refusal, match="not suspended"):
        suspension.reinstate_team(team, by=alice)
