"""Load balancers: one address for the apps of a stage, their weights, and what the router is told of them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from addons import actions, catalog
from addons.models import Addon
from apps.models import App
from conductor import addons as job
from conductor import routes, wishes
from conductor.work import Held, Kind, run
from core import names
from core.errors import NotFound, Refusal
from core.models import Event
from pipelines import actions as pipeline_actions
from pipelines import balancing, default_addons
from pipelines.models import Balancer, Coupling
from releases.models import Release
from tests.factories import make_app, make_shared_addon, stage

KIND = Kind("addon", Addon, 1, job.advance, job.fail)


def work():
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def order(shop, name, by):
    """A load balancer of a stage, at rest."""
    made = default_addons.share(
        shop, catalog.plan_called("loadbalancer"), stage=stage(shop, name) if name else None, by=by
    )
    work()
    return Addon.objects.whole().get(pk=made.addon_id)


@pytest.fixture
def twins(shop, team):
    """Two apps of production, by name."""
    other = make_app("shop-eu", owner=team, stage=stage(shop, "production"))
    return [App.objects.get(name="shop-production"), other]


def weights_of(addon):
    return {App.objects.get(pk=app).name: stake.weight for app, stake in balancing.stakes()}


def test_apps_of_the_stage_get_the_address_and_those_that_join_too(shop, team, twins, alice):
    addon = order(shop, "production", alice)
    balancer = Balancer.objects.get()
    assert addon.state == "provisioned" and addon.config == {"": {"URL": balancer.url}}
    assert f"//{balancer.host}" in balancer.url
    for app in twins:
        release = Release.objects.filter(app=app).first()
        assert release.config["LOADBALANCER_URL"] == balancer.url
    joined = make_app("joined", owner=team, stage=stage(shop, "production"))
    assert joined.attachments.get().addon_id == addon.pk
    assert weights_of(addon) == {"joined": 100, "shop-eu": 100, "shop-production": 100}
    pipeline_actions.uncouple(Coupling.objects.get(app=joined), by=alice)
    assert weights_of(addon) == {"shop-eu": 100, "shop-production": 100}


def test_no_app_can_have_the_name_of_an_address(shop, alice):
    order(shop, "production", alice)
    order(shop, "staging", alice)
    labels = list(Balancer.objects.values_list("label", flat=True))
    assert len(set(labels)) == 2 and all(label.startswith("shop-lb-") and len(label) < 64 for label in labels)
    for label in labels:
        with pytest.raises(Refusal):
            names.check_app(label)


def test_it_is_of_one_stage_and_of_a_pipeline_only(shop, twins, alice):
    with pytest.raises(Refusal, match="one stage") as refused:
        order(shop, "", alice)
    assert refused.value.fields == {"stage": "Choose a stage."}
    assert not Addon.objects.exists() and not Balancer.objects.exists()
    with pytest.raises(Refusal, match="It belongs to a pipeline"):
        actions.provision(twins[0], catalog.plan_called("loadbalancer"), by=alice)
    addon = order(shop, "production", alice)
    with pytest.raises(Refusal, match="Choose a stage"):
        default_addons.share_with(addon, stage=None, by=alice)


def test_weights_and_who_stays_reach_the_router(shop, twins, alice):
    addon = order(shop, "production", alice)
    balancing.adjust(addon, {"shop-eu": "0", "elsewhere": "7"}, sticky=True, by=alice)
    found = {app.name: wishes.view(app.pk) for app in twins}
    told = {name: routes.route(view, [], []).stakes for name, view in found.items()}
    eu, main = told["shop-eu"][0], told["shop-production"][0]
    assert (eu.weight, main.weight, eu.sticky, main.sticky) == (0, 100, True, True)
    assert eu.host == main.host == Balancer.objects.get().host
    assert eu.key != main.key and "shop" not in eu.key and str(twins[1].pk)[:8] not in eu.key
    event = Event.objects.get(verb="balanced the apps of")
    assert event.details["what"] == "shop-eu 0, visitors stay" and event.pipeline_id == shop.pk
    balancing.adjust(addon, {"shop-production": "40"}, sticky=False, by=alice)
    assert weights_of(addon) == {"shop-eu": 0, "shop-production": 40}
    balancing.adjust(addon, {"shop-eu": "100"}, sticky=False, by=alice)
    assert Balancer.objects.get().weights == {str(twins[0].pk): 40}


@pytest.mark.parametrize("weight", ["", "-1", "101", "1.5", "many", "²"])
def test_what_is_no_weight_is_refused_beside_its_field(shop, twins, alice, weight):
    addon = order(shop, "production", alice)
    with pytest.raises(Refusal) as refused:
        balancing.adjust(addon, {"shop-eu": weight, "shop-production": "5"}, sticky=True, by=alice)
    assert refused.value.fields == {"weight-shop-eu": "From 0 to 100."}
    assert Balancer.objects.get().weights == {} and not Balancer.objects.get().sticky


def test_one_app_has_to_have_weight(shop, twins, alice):
    addon = order(shop, "production", alice)
    with pytest.raises(Refusal, match="visitors would find nobody"):
        balancing.adjust(addon, {"shop-eu": "0", "shop-production": "0"}, sticky=False, by=alice)


def test_strangers_code_other_stages_and_what_is_given_up_have_no_stake(shop, team, twins, alice):
    addon = order(shop, "production", alice)
    make_app("beside", owner=team, stage=stage(shop, "staging"))
    Coupling.objects.filter(app=twins[1]).update(inherits=False)
    assert weights_of(addon) == {"shop-production": 100}
    default_addons.share_with(addon, stage=stage(shop, "staging"), by=alice)
    assert set(weights_of(addon)) == {"beside", "shop-staging"}
    default_addons.stop_sharing(addon, by=alice)
    assert weights_of(addon) == {} and balancing.members(addon) == []
    default_addons.share_with(addon, stage=stage(shop, "production"), by=alice)
    assert weights_of(addon) == {"shop-production": 100}
    actions.destroy(addon, confirm=addon.name, force=True, by=alice)
    assert weights_of(addon) == {}
    work()
    assert not Balancer.objects.exists()


def test_an_add_on_of_another_kind_balances_nothing(shop, alice):
    with pytest.raises(NotFound):
        balancing.adjust(make_shared_addon(shop), {}, sticky=False, by=alice)


def test_a_pass_asks_one_question_whatever_there_is(shop, team, twins, alice):
    def questions():
        with CaptureQueriesContext(connection) as asked:
            wishes.views()
        return len(asked)

    before = questions()
    order(shop, "production", alice)
    order(shop, "staging", alice)
    for number in range(3):
        make_app(f"more-{number}", owner=team, stage=stage(shop, "production"))
    assert questions() == before
    with CaptureQueriesContext(connection) as asked:
        assert len(list(balancing.stakes())) == 6
    assert len(asked) == 1


def test_percents_follow_from_the_weights():
    assert balancing.parts({"a": 100, "b": 50}) == {"a": pytest.approx(200 / 3), "b": pytest.approx(100 / 3)}
    assert balancing.parts({"a": 0, "b": 10}) == {"b": 100} and balancing.parts({}) == {}
