"""Promotions: the same bytes, the target's own config, each target by itself."""

import pytest

from accounts import actions as account_actions
from pipelines import actions as pipeline_actions
from pipelines import stages
from pipelines.models import Promotion
from releases import actions
from releases.models import Release
from tests.conductor.conftest import SERVER, ended
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline
from tests.factories import stage as stage_of


@pytest.fixture
def shop(platform, team, alice):
    """Staging runs v1; production has config of its own."""
    pipeline = make_pipeline("shop", owner=team)
    staging = make_app("shop-staging", owner=team, stage=stage_of(pipeline, "staging"))
    for name in ("shop-production", "shop-eu"):
        make_app(name, owner=team, stage=stage_of(pipeline, "production"))
    platform.deployed(staging, alice)
    return pipeline


def promote(shop, by):
    source = shop.couplings.get(app__name="shop-staging")
    return pipeline_actions.promote(source, source.downstream(), by=by)


def completed(promotion):
    def check():
        promotion.refresh_from_db()
        return promotion.status == Promotion.Status.COMPLETED

    eventually(check, 20)
    return {t.app.name: t for t in promotion.targets.select_related("app", "release__slug")}


@pytest.mark.promise("I-07")
def test_every_target_gets_the_very_slug_with_its_own_config(platform, shop, alice):
    production = shop.couplings.get(app__name="shop-production").app
    ended(actions.set_config(production, {"GREETING": "live"}, by=alice))
    targets = completed(promote(shop, alice))
    source = Release.objects.get(app__name="shop-staging")
    assert {t.status for t in targets.values()} == {"succeeded"}
    assert {t.release.slug_id for t in targets.values()} == {source.slug_id}
    release = targets["shop-production"].release
    assert (release.kind, release.version, release.from_release) == ("promote", 2, source)
    assert release.description == f"Promote shop-staging v1 {source.slug.short}"
    assert platform.get(production)[:2] == ("v2", "live")


@pytest.mark.promise("I-07")
def test_one_bad_target_harms_no_other(platform, shop, alice, settings):
    settings.BOOT_SECONDS = 2
    bad = shop.couplings.get(app__name="shop-eu").app
    ended(actions.set_config(bad, {"PATH": "/nowhere"}, by=alice))
    targets = completed(promote(shop, alice))
    assert targets["shop-production"].status == "succeeded"
    assert targets["shop-eu"].status == "failed"
    assert targets["shop-eu"].reason == targets["shop-eu"].release.reason != ""


@pytest.mark.promise("I-08")
def test_it_promotes_what_was_current_when_it_was_accepted(platform, shop, alice):
    staging = shop.couplings.get(app__name="shop-staging").app
    before = Release.objects.current_for(staging)
    platform.conductor.stop()
    platform.conductor = None
    promotion = promote(shop, alice)
    later = platform.deploy(staging, alice)
    platform.start()
    targets = completed(promotion)
    assert {t.release.slug_id for t in targets.values()} == {before.slug_id}
    assert ended(later).status == "succeeded"


def test_the_rules_of_the_stage_are_judged_when_its_turn_comes(stage, team, alice, bob):
    pipeline = make_pipeline("shop", owner=team)
    make_app("shop-staging", owner=team, stage=stage_of(pipeline, "staging"), released=True)
    make_app("shop-production", owner=team, stage=stage_of(pipeline, "production"))
    promotion = promote(pipeline, bob)
    production = stage_of(pipeline, "production")
    stages.set_rules(production, promoters="admins", readers="deployers", by=alice)
    stage.start()
    target = completed(promotion)["shop-production"]
    assert (target.status, target.release) == ("failed", None)
    assert target.reason == "You may not promote into Production any more."


def test_the_right_to_deploy_is_judged_when_its_turn_comes(stage, team, alice, bob):
    pipeline = make_pipeline("shop", owner=team)
    make_app("shop-staging", owner=team, stage=stage_of(pipeline, "staging"), released=True)
    make_app("shop-production", owner=team, stage=stage_of(pipeline, "production"))
    promotion = promote(pipeline, bob)
    account_actions.set_role(team, bob, "viewer", by=alice)
    stage.start()
    target = completed(promotion)["shop-production"]
    assert target.status == "failed"
    assert target.reason == "You do not have the right to deploy to shop-production."
    assert target.release is None


@pytest.fixture
def chain(platform, team, alice):
    """Staging runs v1, whose release command fails where BREAK is set; three apps of production are next."""
    pipeline = make_pipeline("shop", owner=team)
    staging = make_app("shop-staging", owner=team, stage=stage_of(pipeline, "staging"))
    for name in ("shop-a", "shop-b", "shop-c"):
        make_app(name, owner=team, stage=stage_of(pipeline, "production"))
    platform.deployed(staging, alice, web=SERVER, release='test -z "$BREAK"')
    return pipeline


def in_turn(pipeline, by, *names):
    source = pipeline.couplings.get(app__name="shop-staging")
    targets = [pipeline.couplings.get(app__name=name) for name in names]
    return pipeline_actions.promote(source, targets, by=by, one_by_one=True)


def test_in_turn_each_waits_for_the_one_before(chain, alice):
    targets = completed(in_turn(chain, alice, "shop-c", "shop-a", "shop-b"))
    assert {target.status for target in targets.values()} == {"succeeded"}
    turns = [targets[name].release for name in ("shop-c", "shop-a", "shop-b")]
    assert turns[0].finished_at <= turns[1].created_at
    assert turns[1].finished_at <= turns[2].created_at


@pytest.mark.promise("I-07")
def test_in_turn_it_stops_at_the_first_failure(chain, alice):
    bad = chain.couplings.get(app__name="shop-b").app
    ended(actions.set_config(bad, {"BREAK": "1"}, by=alice))
    targets = completed(in_turn(chain, alice, "shop-a", "shop-b", "shop-c"))
    assert [targets[name].status for name in sorted(targets)] == ["succeeded", "failed", "failed"]
    assert [targets[name].skipped for name in sorted(targets)] == [False, False, True]
    assert targets["shop-c"].reason == "Not started, since the promotion failed on shop-b."
    assert not Release.objects.filter(app__name="shop-c").exists()


def test_in_turn_a_target_that_may_not_be_deployed_to_stops_the_rest(stage, team, alice, bob):
    pipeline = make_pipeline("shop", owner=team)
    make_app("shop-staging", owner=team, stage=stage_of(pipeline, "staging"), released=True)
    for name in ("shop-a", "shop-b"):
        make_app(name, owner=team, stage=stage_of(pipeline, "production"))
    promotion = in_turn(pipeline, bob, "shop-a", "shop-b")
    account_actions.set_role(team, bob, "viewer", by=alice)
    stage.start()
    targets = completed(promotion)
    assert targets["shop-a"].reason == "You do not have the right to deploy to shop-a."
    assert targets["shop-b"].skipped
