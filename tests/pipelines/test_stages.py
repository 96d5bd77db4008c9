"""What apps start with in a stage; stages changed by several people at once."""

import threading

import pytest
from django.db import connection

from accounts.models import Team
from apps import actions as app_actions
from apps.models import App, ConfigVar, Formation
from conductor.releases import _make_formation
from core import secrets
from core.errors import Conflict, NotFound, Refusal
from core.models import Event
from core.secrets import Tampered
from pipelines import actions, stages
from pipelines.models import Coupling, Stage, StageVar
from releases import rotation
from releases.actions import set_config
from releases.models import Release
from tests.factories import couple, make_app, make_pipeline, make_release, make_slug, stage


@pytest.fixture
def staging(shop, alice):
    """A stage that gives a config var, a buildpack, a health path and a formation."""
    found = stage(shop, "staging")
    stages.set_vars(found, {"LOG_LEVEL": "debug", "TOKEN": "hunter2"}, by=alice)
    formation = {
        "web": {"quantity": 2, "size": "standard-2x"},
        "worker": {"quantity": 1, "size": "standard-1x"},
    }
    return stages.set_defaults(found, buildpacks=["python"], health_path="/up", formation=formation, by=alice)


def config(app):
    return {var.key: var.value for var in ConfigVar.objects.filter(app=app)}


def test_an_app_starts_with_the_defaults(staging, shop, alice):
    app = make_app("fresh", owner=shop.team, stage=staging)
    app.refresh_from_db()
    assert config(app) == {"LOG_LEVEL": "debug", "TOKEN": "hunter2"}
    assert (app.buildpacks, app.health_path) == (["python"], "/up")
    release = Release.objects.get(app=app)
    assert (release.version, release.description) == (1, "Config vars of Staging")
    assert {var.layer for var in app.config_vars.all()} == {"stage"}


def test_an_app_that_comes_later_keeps_what_it_has(staging, shop, alice):
    app = make_app("older", owner=shop.team, released=True)
    set_config(app, {"LOG_LEVEL": "error"}, by=alice)
    app_actions.set_health_path(app, "/healthz", by=alice)
    couple(app, shop, "staging", by=alice)
    app.refresh_from_db()
    assert config(app) == {"LOG_LEVEL": "error", "TOKEN": "hunter2"}
    assert app.health_path == "/healthz"


def test_defaults_are_for_apps_that_come_anew(staging, shop, alice):
    here = App.objects.get(name="shop-staging")
    moved = Coupling.objects.get(app__name="shop-production")
    actions.move(moved, staging, by=alice)
    for app in (here, moved.app):
        app.refresh_from_db()
        assert (app.buildpacks, app.health_path, app.build_command) == ([], "", "")


def test_an_app_starts_with_the_build_command_and_the_stack(staging, shop, alice, settings):
    settings.ENGINE_URL = "swarm+unix:///nowhere"
    given = {"buildpacks": [], "health_path": "", "formation": {}}
    stages.set_defaults(staging, **given, build_command=" make assets ", stack="container", by=alice)
    app = make_app("fresh", owner=shop.team, stage=staging)
    app.refresh_from_db()
    assert (app.build_command, app.stack) == ("make assets", "container")
    for bad in ({"build_command": "a\nb"}, {"build_command": "x" * 501}, {"stack": "heroku-18"}):
        with pytest.raises(Refusal) as refused:
            stages.set_defaults(staging, **given, **bad, by=alice)
        assert refused.value.fields


def test_process_types_start_with_the_quantities_and_sizes_of_the_stage(staging, shop, alice):
    app = make_app("fresh", owner=shop.team, stage=staging)
    types = {"web": "serve", "worker": "work", "clock": "tick", "release": "migrate"}
    release = make_release(app, slug=make_slug(app, process_types=types), by=alice, current=False)
    _make_formation(release)
    rows = {row.type: (row.quantity, row.size) for row in Formation.objects.filter(app=app)}
    assert rows == {"web": (2, "standard-2x"), "worker": (1, "standard-1x"), "clock": (0, "standard-1x")}
    app_actions.scale(app, {"web": {"quantity": 5}}, by=alice)
    _make_formation(release)
    assert Formation.objects.get(app=app, type="web").quantity == 5


def test_the_owners_limit_holds_for_defaults_too(staging, shop, team, alice):
    app = make_app("fresh", owner=team, stage=staging)
    has = sum(Formation.objects.filter(app__team=team).values_list("quantity", flat=True))
    Team.objects.filter(pk=team.pk).update(max_dynos=has + 1)
    release = make_release(app, slug=make_slug(app, process_types={"web": "x"}), by=alice, current=False)
    _make_formation(Release.objects.get(pk=release.pk))
    assert Formation.objects.get(app=app).quantity == 1


@pytest.mark.promise("I-38")
def test_default_values_are_sealed_to_their_stage_and_moved_to_new_keys(staging, shop, settings):
    token, level = StageVar.objects.get(key="TOKEN"), StageVar.objects.get(key="LOG_LEVEL")
    assert "hunter2" not in str(StageVar.objects.values()) + repr(token)
    token.sealed = level.sealed
    with pytest.raises(Tampered):
        _ = token.value
    settings.SLIPWAY_KEYS = [secrets.new_key("k2"), *settings.SLIPWAY_KEYS]
    rotation.rotate()
    settings.SLIPWAY_KEYS = settings.SLIPWAY_KEYS[:1]
    assert StageVar.objects.get(key="TOKEN").value == "hunter2"


@pytest.mark.promise("I-37")
def test_the_activity_names_defaults_and_tells_no_value(staging, alice):
    stages.set_vars(staging, {"TOKEN": None, "LOG_LEVEL": "info"}, by=alice)
    assert stages.reveal(staging, "LOG_LEVEL", by=alice) == "info"
    event = Event.objects.filter(verb="changed config of", kind="stage").first()
    assert event.details["keys"] == {"TOKEN": "removed", "LOG_LEVEL": "changed"}
    assert Event.objects.filter(verb="revealed config of").get().details["keys"] == ["LOG_LEVEL"]
    assert "hunter2" not in str(list(Event.objects.values()))


def test_bad_defaults_are_refused(staging, alice, settings):
    settings.CONFIG_BYTES = 100
    for changes in ({"1": "x"}, {"PORT": "1"}, {"BIG": "x" * 100}, {"NUL": "\0"}):
        with pytest.raises(Refusal):
            stages.set_vars(staging, changes, by=alice)
    good = {"buildpacks": [], "health_path": "", "formation": {}}
    line = {"quantity": 1, "size": "standard-1x"}
    for bad in (
        {"health_path": "no slash"},
        {"buildpacks": ["x" * 501]},
        {"formation": {"web": {**line, "quantity": -1}}},
        {"formation": {"web": {**line, "size": "huge"}}},
        {"formation": {"release": line}},
        {"formation": {"not a type": line}},
        {"formation": {"a": {**line, "quantity": 60}, "b": {**line, "quantity": 60}}},
    ):
        with pytest.raises(Refusal):
            stages.set_defaults(staging, **{**good, **bad}, by=alice)
    staging.refresh_from_db()
    assert staging.health_path == "/up"


def test_rules_name_people_who_may_deploy_something_here(shop, alice, bob, vera, charlie):
    production = stage(shop, "production")
    assert set(stages.candidates(shop)) == {alice, bob}
    app_actions.share(App.objects.get(name="shop-production"), charlie, ["deploy"], by=alice)
    assert set(stages.candidates(shop)) == {alice, bob, charlie}
    people = [str(bob.pk), str(vera.pk)]
    stages.set_rules(production, promoters="people", people=people, readers="admins", by=alice)
    production.refresh_from_db()
    assert (list(production.people.all()), production.readers) == ([bob], "admins")
    for promoters, readers, people in (
        ("people", "admins", [str(vera.pk)]),
        ("nobody", "admins", []),
        ("admins", "nobody", []),
    ):
        with pytest.raises(Refusal):
            stages.set_rules(production, promoters=promoters, people=people, readers=readers, by=alice)
    stages.set_rules(production, promoters="deployers", readers="deployers", by=alice)
    assert not production.people.exists()
    event = Event.objects.filter(verb="set the rules of").first()
    assert event.details["before"] == {"promote": "bob@example.com", "see config": "admins"}


def test_stages_are_put_into_any_order_of_what_is_there(shop, alice):
    wanted = ["production", "review", "staging", "development"]
    actions.order_stages(shop, wanted, by=alice)
    assert list(shop.stages.values_list("name", flat=True)) == wanted
    for bad in (wanted[1:], [*wanted, "canary"], [*wanted[1:], "review"]):
        with pytest.raises(Conflict):
            actions.order_stages(shop, bad, by=alice)
    before = Event.objects.count()
    actions.order_stages(shop, wanted, by=alice)
    assert Event.objects.count() == before


def test_a_stage_that_was_removed_meanwhile_is_not_found(shop, alice):
    canary = actions.add_stage(shop, "canary", word="staging", after=None, by=alice)
    actions.remove_stage(Stage.objects.get(pk=canary.pk), by=alice)
    for act in (
        lambda: actions.remove_stage(canary, by=alice),
        lambda: actions.change_stage(canary, name="x-ray", by=alice),
        lambda: actions.move_stage(canary, by_places=1, by=alice),
        lambda: stages.set_vars(canary, {"A": "1"}, by=alice),
    ):
        with pytest.raises(NotFound):
            act()


def test_renaming_reordering_and_removing_leave_promotions_under_way_alone(shop, alice):
    source = Coupling.objects.get(app__name="shop-staging")
    promotion = actions.promote(source, source.downstream(), by=alice)
    actions.change_stage(stage(shop, "production"), name="live", by=alice)
    actions.order_stages(shop, ["live", "review", "development", "staging"], by=alice)
    actions.move(Coupling.objects.get(app__name="shop-production"), stage(shop, "staging"), by=alice)
    actions.remove_stage(stage(shop, "live"), by=alice)
    promotion.refresh_from_db()
    assert promotion.status == "pending"
    assert promotion.targets.get().app.name == "shop-production"


@pytest.mark.django_db(transaction=True)
def test_an_app_never_gets_into_a_stage_that_is_being_removed(alice):
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("web", owner=alice)
    for n in range(5):
        canary = actions.add_stage(pipeline, f"canary-{n}", word="staging", after=None, by=alice)
        begin, said = threading.Barrier(2), []

        def do(act, begin=begin, said=said):
            begin.wait()
            try:
                act()
                said.append("done")
            except Refusal as refusal:
                said.append(refusal.message)
            finally:
                connection.close()

        acts = [
            lambda canary=canary: actions.couple(app, canary, by=alice),
            lambda canary=canary: actions.remove_stage(canary, by=alice),
        ]
        threads = [threading.Thread(target=do, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said.count("done") == 1, said
        coupled = Coupling.objects.filter(app=app).first()
        assert (coupled is not None) == Stage.objects.filter(pk=canary.pk).exists()
        if coupled:
            actions.uncouple(coupled, by=alice)
