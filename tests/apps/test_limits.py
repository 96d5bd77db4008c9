"""What a team, or a person on their own, may have at most."""

import pytest

from accounts import actions as accounts
from accounts.models import Team
from apps import actions as apps
from apps import one_offs
from apps.models import App, Formation
from core.errors import Forbidden, Refusal
from core.models import Event
from pipelines import actions as pipelines
from releases import actions as releases
from releases.models import Build
from tests.factories import make_app, make_source


def limit(team, by, **limits):
    """The team with these limits and no others."""
    accounts.set_limits(team, by=by, **{"max_apps": None, "max_dynos": None, "max_builds": None, **limits})
    return Team.objects.get(pk=team.pk)


def scaled(app, **quantities):
    for type, quantity in quantities.items():
        Formation.objects.create(app=app, type=type, quantity=quantity)
    return app


def test_one_app_too_many(team, alice, settings):
    settings.CONTACT = "ops@example.com"
    team = limit(team, alice, max_apps=1)
    make_app("first", owner=team)
    with pytest.raises(Forbidden) as no:
        make_app("second", owner=team)
    assert no.value.id == "limit_reached"
    assert no.value.message == (
        "acme may have 1 app and has 1; this would make 2. "
        "Ask an operator of this Slipway (ops@example.com) for more."
    )


def test_an_app_destroyed_makes_room(team, alice):
    team = limit(team, alice, max_apps=1)
    apps.destroy_app(make_app("first", owner=team), confirm="first", by=alice)
    assert make_app("second", owner=team)


def test_an_app_handed_over_counts_with_its_dynos(team, alice):
    app = scaled(make_app("mine", owner=alice), web=3)
    with pytest.raises(Forbidden, match="0 apps"):
        apps.transfer_app(app, limit(team, alice, max_apps=0), by=alice)
    with pytest.raises(Forbidden, match="2 dynos and has 0; this would make 3"):
        apps.transfer_app(app, limit(team, alice, max_dynos=2), by=alice)
    assert apps.transfer_app(app, limit(team, alice, max_dynos=3, max_apps=1), by=alice).team == team


def test_a_pipeline_handed_over_counts_with_all_its_apps(shop, team, alice, settings):
    settings.MAX_APPS = 1
    with pytest.raises(Forbidden, match="1 app and has 0; this would make 2"):
        pipelines.transfer_pipeline(shop, alice, by=alice)
    assert App.objects.filter(team=team).count() == 2


def test_dynos_of_all_apps_count_together(team, alice):
    team = limit(team, alice, max_dynos=4)
    first, second = (
        scaled(make_app(owner=team), web=2, release=1),
        scaled(make_app(owner=team), web=1, worker=0),
    )
    with pytest.raises(Forbidden, match="4 dynos and has 3; this would make 5"):
        apps.scale(second, {"web": {"quantity": 3}}, by=alice)
    apps.scale(second, {"worker": {"quantity": 1}}, by=alice)
    with pytest.raises(Forbidden, match="has 4"):
        one_offs.run_detached(first, "true", release_version=1, by=alice)
    apps.scale(first, {"web": {"quantity": 1}}, by=alice)
    assert one_offs.run_detached(first, "true", release_version=1, by=alice)


def test_less_is_always_allowed(team, alice):
    app = scaled(make_app(owner=team), web=9)
    limit(team, alice, max_dynos=2)
    app = App.objects.get(pk=app.pk)
    apps.scale(app, {"web": {"quantity": 8}}, by=alice)
    assert app.formation.get().quantity == 8


def test_a_person_has_the_limits_of_the_settings(alice, settings):
    settings.MAX_APPS, settings.MAX_DYNOS = 1, 1
    app = scaled(make_app("mine", owner=alice), web=1)
    with pytest.raises(Forbidden, match=r"alice@example\.com may have 1 app"):
        make_app("more", owner=alice)
    with pytest.raises(Forbidden, match="1 dyno and has 1"):
        apps.scale(app, {"web": {"quantity": 2}}, by=alice)


def builds(owner, count):
    made = [make_app(owner=owner) for _ in range(count)]
    return [releases.create_build(app, make_source(app), by=owner_of(app)) for app in made]


def owner_of(app):
    return app.user or app.team.members.first()


def test_builds_beyond_the_limit_wait_while_others_go_ahead(team, alice, charlie):
    theirs = builds(limit(team, alice, max_builds=1), 3)
    (other,) = builds(charlie, 1)
    claimed = [Build.objects.claim(), Build.objects.claim(), Build.objects.claim()]
    assert claimed == [theirs[0], other, None]
    claimed[0].end("failed")
    assert Build.objects.claim() == theirs[1]


def test_a_person_s_builds_have_a_limit_too(alice, team, settings):
    settings.MAX_BUILDS = 1
    mine, of_team = builds(alice, 2), builds(team, 2)
    claimed = [Build.objects.claim() for _ in range(4)]
    assert claimed[3] is None
    assert set(claimed[:3]) == {mine[0], *of_team}


def test_no_builds_at_all_is_said_at_once(team, alice):
    app = make_app(owner=limit(team, alice, max_builds=0))
    with pytest.raises(Forbidden, match="may run no builds"):
        releases.create_build(app, make_source(app), by=alice)


def test_limits_are_noted_with_what_they_were(team, alice):
    limit(team, alice, max_apps=3)
    limit(team, alice, max_apps=5)
    event = Event.objects.filter(verb="set the limits of").latest("at")
    assert event.details["before"]["max_apps"] == 3
    assert event.details["after"]["max_apps"] == 5
    with pytest.raises(Refusal, match="0 or more"):
        accounts.set_limits(team, max_apps=-1, max_dynos=None, max_builds=None, by=alice)
