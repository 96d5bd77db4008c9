"""Add-ons that come with a stage, and those of a pipeline's own."""

import pytest

from addons import actions, catalog
from addons.models import Addon
from conductor import addons as job
from conductor.work import Held, Kind, run
from core.errors import Refusal
from core.models import Event
from pipelines import actions as pipeline_actions
from pipelines import default_addons, stages
from pipelines.models import Coupling
from releases.models import Release
from tests.factories import make_addon, make_app, stage
from tests.mailing import no_mailer  # noqa: F401

KIND = Kind("addon", Addon, 1, job.advance, job.fail)
MINI = "heroku-postgresql:mini"


@pytest.fixture(autouse=True)
def provider(shelf):
    return shelf


def work():
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def defaults(shop, name, by, *plans):
    return stages.set_defaults(
        stage(shop, name), buildpacks=[], health_path="", formation={}, addons=plans, by=by
    )


def app_of(shop, name):
    return shop.couplings.get(app__name=name).app


def test_apps_get_the_add_ons_of_their_stage(shop, team, alice, no_mailer):  # noqa: F811
    defaults(shop, "staging", alice, "heroku-postgresql:mini", "mailer")
    fresh = make_app("fresh", owner=team, stage=stage(shop, "staging"))
    assert [str(addon.plan) for addon in fresh.addons.all()] == [MINI]
    told = Event.objects.get(verb="could not add an add-on to")
    assert "Mailer is unavailable" in told.details["what"] and told.app_id == fresh.pk
    work()
    assert Release.objects.filter(app=fresh).first().config_keys == ["DATABASE_URL"]


def test_an_app_that_is_moved_gets_what_it_lacks(shop, team, alice):
    defaults(shop, "production", alice, MINI)
    has = make_app("has", owner=team, stage=stage(shop, "staging"))
    make_addon(has, "heroku-postgresql:basic")
    lacks = make_app("lacks", owner=team, stage=stage(shop, "staging"))
    for app in (has, lacks):
        pipeline_actions.move(Coupling.objects.get(app=app), stage(shop, "production"), by=alice)
    assert (has.addons.count(), lacks.addons.count()) == (1, 1)


def test_what_is_no_plan_is_refused(shop, alice):
    for plans in (["nothing"], ["heroku-redis:none"], [f"x:{n}" for n in range(11)]):
        with pytest.raises(Refusal) as refused:
            defaults(shop, "staging", alice, *plans)
        assert "addons" in refused.value.fields
    assert defaults(shop, "staging", alice, "heroku-redis").addons == ["heroku-redis:mini"]


def test_a_pipeline_shares_its_add_on_with_all_its_apps_and_those_that_join(shop, team, alice):
    shared = default_addons.share(shop, catalog.plan_called(MINI), as_="shared", by=alice)
    work()
    joined = make_app("joined", owner=team, stage=stage(shop, "development"))
    for app in (app_of(shop, "shop-staging"), app_of(shop, "shop-production"), joined):
        assert Release.objects.filter(app=app).first().config_keys == ["SHARED_URL"]
    pipeline_actions.uncouple(Coupling.objects.get(app=joined), by=alice)
    assert Release.objects.filter(app=joined).first().config_keys == []
    with pytest.raises(Refusal, match=shared.addon.name):
        pipeline_actions.destroy_pipeline(shop, confirm="shop", by=alice)
    actions.destroy(shared.addon, confirm=shared.addon.name, force=True, by=alice)
    work()
    pipeline_actions.destroy_pipeline(shop, confirm="shop", by=alice)


def test_who_joins_gets_all_that_is_shared_with_one_release(shop, team, alice):
    made = [
        default_addons.share(shop, catalog.plan_called(MINI), name=f"db-{name}", as_=name, by=alice)
        for name in ("one", "two")
    ]
    work()
    under_way = default_addons.share(shop, catalog.plan_called(MINI), as_="later", by=alice)
    joined = make_app("joined", owner=team, stage=stage(shop, "development"))
    release = Release.objects.get(app=joined)
    assert release.config_keys == ["ONE_URL", "TWO_URL"]
    assert release.description == "Attach ONE (@ref:db-one), TWO (@ref:db-two)"
    assert joined.attachments.count() == len([*made, under_way])


def test_one_stage_s_add_on_stays_in_it(shop, team, alice):
    default_addons.share(shop, catalog.plan_called(MINI), stage=stage(shop, "staging"), by=alice)
    work()
    staging = app_of(shop, "shop-staging")
    assert not app_of(shop, "shop-production").attachments.exists()
    assert staging.attachments.get().name == "DATABASE"
    pipeline_actions.move(Coupling.objects.get(app=staging), stage(shop, "development"), by=alice)
    assert not staging.attachments.exists()
    assert Release.objects.filter(app=staging).first().description.startswith("Detach DATABASE")


def test_an_app_that_uses_the_name_is_left_out(shop, alice):
    staging = app_of(shop, "shop-staging")
    own = make_addon(staging)
    default_addons.share(shop, catalog.plan_called(MINI), by=alice)
    assert staging.attachments.get().addon == own
    assert "is taken by" in Event.objects.get(verb="could not add an add-on to").details["what"]
