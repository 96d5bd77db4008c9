"""Config vars that apps inherit from their stage and their pipeline: which value is in effect, and what it takes."""

import threading

import pytest
from django.db import connection

from addons import actions as addons
from addons import attachments, catalog
from apps import config_vars
from apps.models import App, ConfigVar
from core import secrets
from core.errors import Forbidden, Refusal
from core.models import Event
from pipelines import actions, layers, stages
from pipelines.models import Coupling, PipelineVar, Stage
from releases import rotation
from releases.actions import replace_config, rollback, set_config
from releases.models import Release
from tests.factories import couple, make_app, make_pipeline, make_user, stage


@pytest.fixture
def staging(shop):
    return stage(shop, "staging")


@pytest.fixture
def app(shop):
    return App.objects.get(name="shop-staging")


def rows(app):
    return {var.key: (var.value, var.layer) for var in ConfigVar.objects.filter(app=app)}


def versions(app):
    return Release.objects.filter(app=app).count()


def newest(app):
    return Release.objects.filter(app=app).order_by("-version").first()


def test_a_change_makes_one_release_on_each_app_that_inherits_it(staging, shop, app, alice):
    other = make_app("shop-staging-eu", owner=shop.team, stage=staging, released=True)
    set_config(other, {"LOG_LEVEL": "error"}, by=alice)
    before = {one: versions(one) for one in (app, other)}
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    assert rows(app) == {"LOG_LEVEL": ("debug", "stage")}
    assert rows(other) == {"LOG_LEVEL": ("error", "")}
    assert {one: versions(one) - before[one] for one in (app, other)} == {app: 1, other: 0}
    release = newest(app)
    assert (release.description, release.config) == (
        "Staging: Set LOG_LEVEL config var",
        {"LOG_LEVEL": "debug"},
    )
    assert release.inherited_keys == ["LOG_LEVEL"]
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    assert versions(app) - before[app] == 1


def test_the_stage_is_stronger_than_the_pipeline_and_the_app_than_both(staging, shop, app, alice):
    layers.set_vars(shop, {"A": "pipeline", "B": "pipeline", "C": "pipeline"}, by=alice)
    layers.set_vars(staging, {"B": "stage", "C": "stage"}, by=alice)
    set_config(app, {"C": "app"}, by=alice)
    assert rows(app) == {"A": ("pipeline", "pipeline"), "B": ("stage", "stage"), "C": ("app", "")}
    assert newest(app).config == {"A": "pipeline", "B": "stage", "C": "app"}
    layers.set_vars(staging, {"B": None}, by=alice)
    assert rows(app)["B"] == ("pipeline", "pipeline")
    production = App.objects.get(name="shop-production")
    assert rows(production) == {key: ("pipeline", "pipeline") for key in "ABC"}


def test_unsetting_a_value_of_its_own_brings_the_inherited_one_back(staging, app, alice):
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    own = set_config(app, {"LOG_LEVEL": "error"}, by=alice)
    assert own.config == {"LOG_LEVEL": "error"}
    back = set_config(app, {"LOG_LEVEL": None}, by=alice)
    assert back.config == {"LOG_LEVEL": "debug"}
    assert back.version == own.version + 1
    assert back.description == "Inherit LOG_LEVEL config var"
    assert rows(app) == {"LOG_LEVEL": ("debug", "stage")}


def test_an_inherited_value_is_not_unset_on_the_app(staging, app, alice):
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    before = versions(app)
    with pytest.raises(Refusal, match="it comes from Staging"):
        set_config(app, {"LOG_LEVEL": None, "OTHER": "1"}, by=alice)
    assert rows(app) == {"LOG_LEVEL": ("debug", "stage")}
    assert versions(app) == before


def test_the_same_value_is_no_override_and_no_release(staging, app, alice):
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    assert set_config(app, {"LOG_LEVEL": "debug"}, by=alice) is None
    assert rows(app) == {"LOG_LEVEL": ("debug", "stage")}


def test_an_own_value_that_has_become_the_same_can_be_given_up_without_a_release(staging, app, alice):
    set_config(app, {"LOG_LEVEL": "debug"}, by=alice)
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    before = versions(app)
    assert rows(app) == {"LOG_LEVEL": ("debug", "")}
    assert set_config(app, {"LOG_LEVEL": None}, by=alice) is None
    assert rows(app) == {"LOG_LEVEL": ("debug", "stage")}
    assert versions(app) == before


def test_what_is_inherited_moves_with_the_app_in_one_release(staging, shop, alice):
    layers.set_vars(shop, {"SHARED": "1"}, by=alice)
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    layers.set_vars(stage(shop, "production"), {"LOG_LEVEL": "warn", "CDN": "on"}, by=alice)
    fresh = make_app("fresh", owner=shop.team, released=True)
    coupling = couple(fresh, shop, "staging", by=alice)
    assert rows(fresh) == {"SHARED": ("1", "pipeline"), "LOG_LEVEL": ("debug", "stage")}
    assert versions(fresh) == 2
    actions.move(coupling, stage(shop, "production"), by=alice)
    assert rows(fresh) == {
        "SHARED": ("1", "pipeline"),
        "LOG_LEVEL": ("warn", "stage"),
        "CDN": ("on", "stage"),
    }
    assert versions(fresh) == 3
    set_config(fresh, {"CDN": "off"}, by=alice)
    actions.uncouple(Coupling.objects.get(app=fresh), by=alice)
    assert rows(fresh) == {"CDN": ("off", "")}
    assert versions(fresh) == 5
    assert newest(fresh).config == {"CDN": "off"}


def test_apps_keep_what_they_inherited_when_their_pipeline_is_destroyed(staging, shop, app, alice):
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    before = versions(app)
    actions.destroy_pipeline(shop, confirm="shop", by=alice)
    assert rows(app) == {"LOG_LEVEL": ("debug", "")}
    assert versions(app) == before


def test_an_add_on_is_stronger_than_what_is_inherited(staging, app, alice):
    layers.set_vars(staging, {"DATABASE_URL": "postgres://elsewhere"}, by=alice)
    addon = addons.provision(app, catalog.plan_called("heroku-postgresql:mini"), by=alice)
    row = addon.attachments.get()
    assert row.name == "DATABASE"
    addon.config = {"": {"URL": "postgres://here"}}
    addon.save()
    attachments.settle(app, "Attach", by=alice)
    assert rows(app)["DATABASE_URL"] == ("postgres://here", "")
    row.delete()
    attachments.settle(app, "Detach", by=alice)
    assert rows(app)["DATABASE_URL"] == ("postgres://elsewhere", "stage")


@pytest.mark.promise("I-02")
def test_a_rollback_is_to_the_very_values_though_the_stage_has_others_now(staging, app, alice):
    layers.set_vars(staging, {"LOG_LEVEL": "debug", "KEPT": "1"}, by=alice)
    former = newest(app)
    Release.objects.filter(pk=former.pk).update(
        status="succeeded", slug=Release.objects.filter(app=app).exclude(slug=None).first().slug
    )
    layers.set_vars(staging, {"LOG_LEVEL": "trace", "NEW": "1"}, by=alice)
    again = rollback(app, Release.objects.get(pk=former.pk), by=alice)
    assert again.config == {"LOG_LEVEL": "debug", "KEPT": "1", "NEW": "1"}
    assert rows(app) == {"LOG_LEVEL": ("debug", ""), "KEPT": ("1", "stage"), "NEW": ("1", "stage")}


def test_the_editor_of_all_leaves_alone_what_is_inherited(staging, app, alice):
    layers.set_vars(staging, {"LOG_LEVEL": "debug", "A": "1"}, by=alice)
    set_config(app, {"OWN": "1"}, by=alice)
    assert config_vars.reveal_all(app, by=alice) == {"OWN": "1"}
    release = replace_config(app, {"A": "2"}, by=alice, seen=config_vars.stamp(app))
    assert release.config == {"A": "2", "LOG_LEVEL": "debug"}
    replace_config(app, {}, by=alice, seen=config_vars.stamp(app))
    assert rows(app) == {"A": ("1", "stage"), "LOG_LEVEL": ("debug", "stage")}


def test_who_may_not_deploy_an_app_gives_it_no_values(staging, shop, alice):
    outside = make_user("olga@example.com")
    theirs = make_app("elsewhere", owner=outside, released=True)
    Coupling.objects.create(app=theirs, stage=staging, pipeline=shop)
    with pytest.raises(Forbidden, match="may not see"):
        layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    assert not ConfigVar.objects.filter(app=theirs).exists()
    assert not staging.config_vars.exists()
    set_config(theirs, {"LOG_LEVEL": "error"}, by=outside)
    layers.set_vars(staging, {"LOG_LEVEL": "debug"}, by=alice)
    assert staging.config_vars.count() == 1


@pytest.mark.promise("I-40")
def test_where_a_strangers_code_runs_nothing_is_inherited(shop, alice):
    review = stage(shop, "review")
    layers.set_vars(review, {"TOKEN": "hunter2"}, by=alice)
    layers.set_vars(shop, {"SHARED": "1"}, by=alice)
    forked = make_app("forked", owner=shop.team)
    Coupling.objects.create(app=forked, stage=review, pipeline=shop, inherits=False)
    assert stages.inherited(forked) == {}
    assert {key: one.layer for key, one in stages.inherited(review).items()} == {
        "TOKEN": "stage",
        "SHARED": "pipeline",
    }
    layers.set_vars(review, {"TOKEN": "hunter3"}, by=alice)
    set_config(forked, {"OWN": "1"}, by=alice)
    assert rows(forked) == {"OWN": ("1", "")}


def test_too_much_for_an_app_together_is_refused_and_changes_nothing(staging, app, alice, settings):
    settings.CONFIG_BYTES = 100
    set_config(app, {"OWN": "x" * 60}, by=alice)
    with pytest.raises(Refusal, match="shop-staging: Config vars would take"):
        layers.set_vars(staging, {"BIG": "y" * 60}, by=alice)
    assert rows(app) == {"OWN": ("x" * 60, "")}
    assert not staging.config_vars.exists()


@pytest.mark.promise("I-38")
def test_values_of_a_pipeline_are_sealed_to_it_and_moved_to_new_keys(shop, alice, settings):
    layers.set_vars(shop, {"TOKEN": "hunter2", "LEVEL": "low"}, by=alice)
    token, level = PipelineVar.objects.get(key="TOKEN"), PipelineVar.objects.get(key="LEVEL")
    assert "hunter2" not in str(PipelineVar.objects.values()) + repr(token) + str(
        stages.inherited(stage(shop, "staging"))
    )
    token.sealed = level.sealed
    with pytest.raises(secrets.Tampered):
        _ = token.value
    settings.SLIPWAY_KEYS = [secrets.new_key("k2"), *settings.SLIPWAY_KEYS]
    rotation.rotate()
    settings.SLIPWAY_KEYS = settings.SLIPWAY_KEYS[:1]
    assert PipelineVar.objects.get(key="TOKEN").value == "hunter2"


@pytest.mark.promise("I-37")
def test_the_activity_names_them_and_tells_no_value(shop, alice):
    layers.set_vars(shop, {"TOKEN": "hunter2"}, by=alice)
    assert layers.reveal(shop, "TOKEN", by=alice) == "hunter2"
    told = Event.objects.filter(kind="pipeline", verb__contains="config").order_by("at")
    assert [(event.verb, event.details["keys"]) for event in told] == [
        ("changed config of", {"TOKEN": "added"}),
        ("revealed config of", ["TOKEN"]),
    ]
    assert "hunter2" not in str(list(Event.objects.values()))


@pytest.mark.promise("I-09")
@pytest.mark.django_db(transaction=True)
def test_parallel_changes_of_stage_pipeline_and_app_lose_none(alice):
    pipeline = make_pipeline("race", owner=alice)
    place = stage(pipeline, "staging")
    app = make_app("racer", owner=alice, released=True)
    couple(app, pipeline, "staging", by=alice)
    start = threading.Barrier(3)
    failed = []

    def work(change):
        try:
            start.wait(10)
            for number in range(4):
                change(number)
        except Exception as fault:
            failed.append(fault)
        finally:
            connection.close()

    changes = (
        lambda n: layers.set_vars(place, {f"STAGE_{n}": "s", "BOTH": f"s{n}"}, by=alice),
        lambda n: layers.set_vars(pipeline, {f"PIPELINE_{n}": "p", "BOTH": f"p{n}"}, by=alice),
        lambda n: set_config(app, {f"APP_{n}": "a", **({"BOTH": "mine"} if n == 2 else {})}, by=alice),
    )
    threads = [threading.Thread(target=work, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    due = {f"{layer}_{n}": layer[0].lower() for layer in ("STAGE", "PIPELINE", "APP") for n in range(4)}
    assert newest(app).config == {**due, "BOTH": "mine"}
    assert sorted(Release.objects.filter(app=app).values_list("version", flat=True)) == list(
        range(1, newest(app).version + 1)
    )
    set_config(app, {"BOTH": None}, by=alice)
    assert newest(app).config["BOTH"] == "s3"
    assert Stage.objects.get(pk=place.pk).config_vars.count() == 5
