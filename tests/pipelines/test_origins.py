"""Where releases of a stage's apps come from: what is turned down, and what is said to do instead."""

import pytest

from apps.models import App
from core.errors import Conflict, Refusal
from pipelines import actions, stages
from pipelines.models import Coupling
from releases.actions import create_build, rollback, set_config
from releases.models import Build, Release
from tests.factories import make_app, make_source, stage


@pytest.fixture
def production(shop, alice):
    """The app of a stage that takes promotions only."""
    stages.set_origin(stage(shop, "production"), "promotion", by=alice)
    return App.objects.get(name="shop-production")


def test_a_build_is_refused_with_where_to_push_instead(production, alice):
    with pytest.raises(Refusal) as refused:
        create_build(production, make_source(production), by=alice)
    assert refused.value.id == "promotion_only"
    assert refused.value.message == (
        "shop-production takes releases by promotion only, as Production says. Push to shop-staging instead, and "
        "promote it."
    )
    assert not Build.objects.exists()


def test_it_names_no_app_that_one_may_not_see(production, shop, alice, charlie):
    staged = Coupling.objects.get(app__name="shop-staging")
    App.objects.filter(pk=staged.app_id).update(user=charlie, team=None)
    App.objects.filter(coupling__stage__word="development").update(user=charlie, team=None)
    with pytest.raises(Refusal) as refused:
        create_build(production, make_source(production), by=alice)
    assert "Put an app into an earlier stage" in refused.value.message
    assert "shop-staging" not in refused.value.message


def test_promotion_rollback_and_config_go_on(production, alice):
    source = Coupling.objects.get(app__name="shop-staging")
    target = Coupling.objects.select_related("app", "stage", "pipeline").get(app=production)
    assert actions.promote(source, [target], by=alice).targets.count() == 1
    assert set_config(production, {"A": "1"}, by=alice) is not None
    first = Release.objects.get(app=production, current=True)
    assert rollback(production, first, by=alice).slug == first.slug


def test_nothing_is_promoted_to_apps_that_build_their_own(shop, alice):
    stages.set_origin(stage(shop, "production"), "own", by=alice)
    source = Coupling.objects.get(app__name="shop-staging")
    target = Coupling.objects.select_related("app", "stage", "pipeline").get(app__name="shop-production")
    with pytest.raises(Conflict, match="build their own releases: nothing is promoted to shop-production"):
        actions.promote(source, [target], by=alice)
    with pytest.raises(Conflict):
        actions.promote(source, [target], by=alice, override="I insist")
    assert create_build(target.app, make_source(target.app), by=alice).pk


def test_apps_elsewhere_are_not_concerned(production, alice):
    alone = make_app("alone", owner=alice)
    for app in (alone, App.objects.get(name="shop-staging")):
        assert create_build(app, make_source(app), by=alice).pk


def test_review_apps_are_always_built(shop, alice):
    with pytest.raises(Refusal) as refused:
        stages.set_origin(stage(shop, "review"), "promotion", by=alice)
    assert refused.value.fields["source"]
    with pytest.raises(Refusal):
        stages.set_origin(stage(shop, "staging"), "anything", by=alice)
