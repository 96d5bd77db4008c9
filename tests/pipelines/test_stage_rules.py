"""Who may promote into a stage and who may see config there: at every door, whoever may deploy."""

import pytest

from accounts import actions as account_actions
from apps import actions as app_actions
from apps.models import App
from core.errors import Forbidden, NotFound
from pipelines import access, actions
from pipelines.models import Coupling, Promotion, Stage
from releases.actions import set_config
from tests.factories import couple, make_app, make_user, stage


def rule(pipeline, name, *people, **fields):
    """Set the rules of a stage, as its settings would."""
    Stage.objects.filter(pipeline=pipeline, name=name).update(**fields)
    found = stage(pipeline, name)
    found.people.set(people)
    return found


def coupling(name):
    return Coupling.objects.select_related("app", "stage__pipeline", "pipeline").get(app__name=name)


@pytest.fixture
def guarded(shop):
    """Production takes promotions from admins only, and shows its config to them only."""
    rule(shop, "production", promoters="admins", readers="admins")
    return shop


def test_without_a_rule_everybody_who_may_deploy_may(shop, bob):
    assert access.may_promote_into(bob, stage(shop, "production"))
    assert access.may_see_config(bob, App.objects.get(name="shop-production"))
    assert access.protected_from(bob, shop) == frozenset()


def test_a_protected_stage_takes_promotions_from_admins_only(guarded, alice, bob):
    source, target = coupling("shop-staging"), coupling("shop-production")
    with pytest.raises(Forbidden, match=r"may not promote into Production\. Ask Alice Liddell\."):
        actions.promote(source, [target], by=bob)
    assert not Promotion.objects.exists()
    assert actions.promote(source, [target], by=alice).targets.count() == 1
    assert actions.promote(target, [source], by=bob).targets.count() == 1


def test_named_people_may_and_nobody_else(shop, alice, bob):
    production = rule(shop, "production", bob, promoters="people")
    assert access.may_promote_into(bob, production)
    assert not access.may_promote_into(alice, production)
    assert access.protected_from(alice, shop) == {production.pk}
    with pytest.raises(Forbidden, match="Ask Bob Sawyer"):
        access.demand_promotion(alice, coupling("shop-production"))


def test_a_name_gives_no_right_to_deploy(shop, vera, charlie, client):
    rule(shop, "production", vera, charlie, promoters="people")
    data = {"from": "shop-staging", "to": "shop-production"}
    for user, status in ((vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.post("/pipelines/shop/promotions/", data).status_code == status


def test_it_cannot_be_gone_around_by_moving_apps(guarded, bob):
    """Out of the stage, promote, and back again; or in with the app that holds the code."""
    with pytest.raises(Forbidden, match="which is protected"):
        actions.move(coupling("shop-production"), stage(guarded, "development"), by=bob)
    with pytest.raises(Forbidden, match="which is protected"):
        actions.uncouple(coupling("shop-production"), by=bob)
    with pytest.raises(Forbidden, match="may not put apps into Production"):
        actions.move(coupling("shop-staging"), stage(guarded, "production"), by=bob)
    mine = make_app("bobs-own", owner=bob)
    with pytest.raises(Forbidden, match="may not put apps into Production"):
        actions.couple(mine, stage(guarded, "production"), by=bob)
    assert coupling("shop-production").stage.name == "production"


def test_who_manages_an_app_may_always_take_it_out(guarded, alice, bob):
    theirs = make_app("bobs-own", owner=bob)
    couple(theirs, guarded, "production", by=alice)
    assert access.may_see_config(bob, theirs)
    actions.uncouple(coupling("bobs-own"), by=bob)
    assert not Coupling.objects.filter(app=theirs).exists()


def test_a_stage_that_is_gone_takes_no_app(shop, alice):
    canary = actions.add_stage(shop, "canary", word="production", after=None, by=alice)
    gone = stage(shop, "canary")
    actions.remove_stage(canary, by=alice)
    with pytest.raises(NotFound, match="Couldn't find that stage"):
        actions.couple(make_app("late", owner=alice), gone, by=alice)


def test_the_api_says_the_same_as_the_page(guarded, alice, bob, client):
    token = account_actions.create_token(bob, by=bob)[1]
    headers = {"Authorization": f"Bearer {token}"}
    body = {
        "pipeline": {"id": str(guarded.pk)},
        "source": {"app": {"name": "shop-staging"}},
        "targets": [{"app": {"name": "shop-production"}}],
    }
    ask = {"content_type": "application/json", "headers": headers}
    answer = client.post("/pipeline-promotions", body, **ask)
    assert (answer.status_code, answer.json()["id"]) == (403, "forbidden")
    assert "Ask Alice Liddell." in answer.json()["message"]
    body = {"app": "fresh", "pipeline": "shop", "stage": "production"}
    make_app("fresh", owner=guarded.team)
    assert client.post("/pipeline-couplings", body, **ask).status_code == 403
    held = coupling("shop-production")
    assert client.delete(f"/pipeline-couplings/{held.pk}", **ask).status_code == 403
    answer = client.patch(f"/pipeline-couplings/{held.pk}", {"stage": "staging"}, **ask)
    assert answer.status_code == 403


DOORS = [
    ("get", "/apps/shop-production/config-vars", None),
    ("patch", "/apps/shop-production/config-vars", {"TOKEN": "mine"}),
    ("get", "/apps/shop-production/releases/v2/config-vars", None),
    ("post", "/apps/shop-production/dynos", {"command": "env"}),
]


@pytest.mark.parametrize(("method", "path", "body"), DOORS, ids=[f"{m} {p}" for m, p, _ in DOORS])
def test_hidden_config_is_hidden_at_every_door_of_the_api(guarded, alice, bob, client, method, path, body):
    app = App.objects.get(name="shop-production")
    set_config(app, {"TOKEN": "hunter2"}, by=alice)
    for user, allowed in ((bob, False), (alice, True)):
        token = account_actions.create_token(user, by=user)[1]
        answer = getattr(client, method)(
            path, body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
        )
        assert (answer.status_code < 300) == allowed, answer.text
        assert ("hunter2" in answer.text) == (allowed and method == "get")
    if method == "patch":
        assert app.config_vars.get().value == "mine"


def test_no_one_off_dyno_for_who_may_not_see_config(guarded, alice, bob, client):
    client.force_login(bob)
    answer = client.post("/apps/shop-production/dynos/", {"command": "env", "size": "basic"})
    assert answer.status_code == 403
    assert "one-off dynos" in answer.text and "Alice Liddell" in answer.text
    assert client.post("/apps/shop-staging/dynos/", {"command": "env", "size": "basic"}).status_code == 303


def test_hiding_is_told_of_many_apps_at_once(guarded, bob, alice, django_assert_max_num_queries):
    apps = [make_app(f"more-{n}", owner=guarded.team) for n in range(5)]
    for app in apps:
        couple(app, guarded, "production", by=alice)
    app_actions.share(apps[0], bob, ["manage"], by=alice)
    with django_assert_max_num_queries(3):
        hidden = access.hiding_from(bob, apps)
    assert hidden == {app.pk for app in apps[1:]}
    assert access.hiding_from(alice, apps) == frozenset()


def test_a_refusal_names_a_few_people(shop, team, alice, bob):
    for n in range(8):
        account_actions.set_role(team, make_user(name=f"Admin {n}"), "admin", by=alice)
    rule(shop, "production", promoters="admins")
    with pytest.raises(Forbidden, match=r"Ask Alice Liddell, Admin 0, Admin 1, Admin 2 or Admin 3\."):
        access.demand_promotion(bob, coupling("shop-production"))
