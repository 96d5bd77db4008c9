"""Settings of a pipeline: stages, name, owner, and its end."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions as account_actions
from accounts.models import User
from apps.models import App
from core.models import Event
from pipelines import actions, stages
from pipelines.models import Pipeline, PipelineTransfer, Stage

URL = "/pipelines/shop"


def names(pipeline):
    return list(Stage.objects.filter(pipeline=pipeline).values_list("name", flat=True))


def test_managers_edit_and_others_read(shop, alice, bob, charlie, client):
    client.force_login(alice)
    assertContains(client.get(f"{URL}/settings/"), "Add stage")
    client.force_login(bob)
    page = client.get(f"{URL}/settings/")
    assertContains(page, "Staging")
    assertContains(page, "alice@example.com")
    assertNotContains(page, "Add stage")
    assertNotContains(page, "Destroy pipeline")
    client.force_login(charlie)
    assert client.get(f"{URL}/settings/").status_code == 404


def test_stages_are_added_changed_moved_and_removed(shop, alice, client):
    client.force_login(alice)
    data = {"stage": "Security Review", "word": "staging", "after": "staging"}
    answer = client.post(f"{URL}/stages/", data)
    assertRedirects(answer, f"{URL}/settings/#stage-security-review", 303)
    assert names(shop) == ["review", "development", "staging", "security-review", "production"]
    client.post(f"{URL}/stages/security-review/place/", {"move": "up"})
    assert names(shop)[2:4] == ["security-review", "staging"]
    client.post(f"{URL}/stages/security-review/place/", {"move": "down"})
    client.post(f"{URL}/stages/security-review/", {"stage": "canary", "word": "production"})
    assert Stage.objects.get(pipeline=shop, name="canary").word == "production"
    client.post(f"{URL}/stages/canary/removal/")
    assert names(shop) == ["review", "development", "staging", "production"]


def test_refusals_say_why(shop, alice, client):
    client.force_login(alice)
    answer = client.post(f"{URL}/stages/", {"stage": "staging", "word": "staging"})
    assertContains(answer, "There is a stage staging already.", status_code=422)
    answer = client.post(f"{URL}/stages/staging/removal/", headers={"HX-Request": "true"})
    assertContains(answer, "still holds apps", status_code=422)
    answer = client.post(
        f"{URL}/stages/staging/removal/", headers={"Referer": f"http://testserver{URL}/settings/"}
    )
    assertContains(client.get(answer.headers["Location"]), "still holds apps")
    assert client.post(f"{URL}/stages/nowhere/removal/").status_code == 404
    assert client.post(f"{URL}/stages/staging/", {"stage": "\0", "word": "x"}).status_code in (302, 422)


def test_it_is_renamed(shop, alice, client):
    client.force_login(alice)
    assertContains(client.post(f"{URL}/name/", {"name": "No!"}), "3 to 30 in all", status_code=422)
    assertRedirects(client.post(f"{URL}/name/", {"name": "boutique"}), "/pipelines/boutique/settings/", 303)


def test_it_is_offered_to_a_person_and_goes_with_its_apps(shop, team, alice, bob, client):
    client.force_login(alice)
    answer = client.post(f"{URL}/owner/", {"owner": "nobody@example.com"})
    assertContains(answer, "Nobody has this address.", status_code=422)
    answer = client.post(f"{URL}/owner/", {"owner": "bob@example.com"})
    assertRedirects(answer, f"{URL}/settings/#owner", 303)
    assert Pipeline.objects.get().team == team
    client.force_login(bob)
    client.post(f"/transfers/{PipelineTransfer.objects.get().pk}/acceptance/")
    assert Pipeline.objects.get().user == bob
    assert set(App.objects.values_list("user", flat=True)) == {bob.pk}


def test_it_goes_to_a_team_of_ones_own_at_once(shop, alice, bob, client):
    others = account_actions.create_team("others", by=alice)
    client.force_login(alice)
    assertRedirects(client.post(f"{URL}/owner/", {"owner": "others"}), f"{URL}/settings/#owner", 303)
    assert Pipeline.objects.get().team == others
    account_actions.create_team("foreign", by=bob)
    assert client.post(f"{URL}/owner/", {"owner": "foreign"}).status_code == 404


def test_it_is_destroyed_by_name_and_its_apps_stay(shop, alice, client):
    client.force_login(alice)
    assertContains(client.get(f"{URL}/removal/"), "Type shop to confirm")
    answer = client.post(f"{URL}/removal/", {"confirm": "shap"}, headers={"HX-Request": "true"})
    assertContains(answer, "Type shop to confirm.", status_code=422)
    assertRedirects(client.post(f"{URL}/removal/", {"confirm": "shop"}), "/", 303)
    assert not Pipeline.objects.exists()
    assert App.objects.alive().count() == 2


@pytest.mark.parametrize(
    "noun",
    [
        "name",
        "owner",
        "removal",
        "stages",
        "stages/staging",
        "stages/staging/place",
        "stages/staging/removal",
        "stages/staging/config",
        "stages/staging/config/KEPT/value",
        "stages/staging/config/KEPT/removal",
        "stage-order",
    ],
)
def test_only_managers_change_anything(noun, shop, bob, vera, charlie, client):
    alice = User.objects.get(email="alice@example.com")
    stages.set_vars(Stage.objects.get(pipeline=shop, name="staging"), {"KEPT": "hunter2"}, by=alice)
    before, events = names(shop), Event.objects.count()
    data = {
        "key": "KEPT",
        "value": "mine",
        "name": "x-name",
        "owner": "bob@example.com",
        "confirm": "shop",
        "stage": "canary",
        "word": "staging",
    }
    for user, status in ((bob, 403), (vera, 403), (charlie, 404)):
        client.force_login(user)
        answer = client.post(f"{URL}/{noun}/", data)
        assert answer.status_code == status
        assert "hunter2" not in answer.text
    client.logout()
    assert client.post(f"{URL}/{noun}/", data).status_code == 302
    assert names(shop) == before
    assert Event.objects.count() == events
    if noun not in ("removal", "stages/staging"):
        client.force_login(bob)
        assert client.get(f"{URL}/{noun}/").status_code == 405


def test_a_stage_is_unfolded_by_itself_or_on_its_page(shop, alice, bob, client):
    client.force_login(alice)
    part = client.get(f"{URL}/stages/staging/", headers={"HX-Request": "true"})
    assertContains(part, "Save stage")
    assertNotContains(part, "<html")
    page = client.get(f"{URL}/settings/?open=staging")
    assertContains(page, "Save stage", 1)
    assertContains(client.get(f"{URL}/stages/staging/"), "Save stage", 1)
    client.force_login(bob)
    assert client.get(f"{URL}/stages/staging/").status_code == 403
    assertNotContains(client.get(f"{URL}/settings/?open=staging"), "Save stage")


def test_a_stage_that_nothing_comes_into_has_no_rules_and_no_defaults(shop, alice, client):
    client.force_login(alice)
    part = client.get(f"{URL}/stages/review/", headers={"HX-Request": "true"})
    assertContains(part, "Save stage")
    assertNotContains(part, "May see config here")
    assertNotContains(part, "Set default")
    client.post(f"{URL}/stages/review/", {"stage": "pull-requests", "word": "review"})
    assert "pull-requests" in names(shop)


def whole(**changed):
    """A stage's form as a browser sends it."""
    return {
        "stage": "staging",
        "word": "staging",
        "promoters": "deployers",
        "readers": "deployers",
        "buildpacks": "python\nnode",
        "health_path": "/up",
        "f-type": ["web", ""],
        "f-quantity": ["2", ""],
        "f-size": ["standard-2x", "standard-1x"],
        **changed,
    }


def test_all_of_a_stage_is_saved_at_once(shop, alice, bob, client):
    client.force_login(alice)
    sent = whole(stage="Pre Production", promoters="people", people=[str(bob.pk)], readers="admins")
    answer = client.post(f"{URL}/stages/staging/", sent)
    assertRedirects(answer, f"{URL}/settings/#stage-pre-production", 303)
    found = Stage.objects.get(pipeline=shop, name="pre-production")
    assert (found.buildpacks, found.health_path) == (["python", "node"], "/up")
    assert found.formation == {"web": {"quantity": 2, "size": "standard-2x"}}
    assert (found.promoters, list(found.people.all()), found.readers) == ("people", [bob], "admins")
    page = client.get(f"{URL}/settings/?open=pre-production")
    assertContains(page, "Bob promotes")
    assertContains(page, "Config hidden")
    assertContains(page, 'value="/up"')


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stage": "production"}, "There is a stage production already."),
        ({"promoters": "people"}, "Name at least one person"),
        ({"health_path": "up"}, "Start with /."),
        ({"f-quantity": ["many", ""]}, "How many web dynos? Give a number."),
        ({"f-type": ["web", "web"], "f-quantity": ["1", "2"]}, "web is there twice."),
        ({"f-size": ["huge", "basic"]}, "There is no size huge."),
    ],
)
def test_what_is_wrong_with_a_stage_is_said_beside_it_and_nothing_is_saved(
    shop, alice, client, changed, said
):
    client.force_login(alice)
    events = Event.objects.count()
    answer = client.post(f"{URL}/stages/staging/", whole(**{"buildpacks": "typed-by-hand", **changed}))
    assertContains(answer, said, status_code=422)
    assertContains(answer, "typed-by-hand", status_code=422)
    found = Stage.objects.get(pipeline=shop, name="staging")
    assert (found.buildpacks, found.formation, Event.objects.count()) == ([], {}, events)


def test_default_config_vars_are_set_revealed_and_removed(shop, alice, client):
    client.force_login(alice)
    url = f"{URL}/stages/staging/config/"
    client.post(url, {"key": "TOKEN", "value": "hunter2\r\nline two"})
    page = client.get(f"{URL}/settings/?open=staging")
    assertContains(page, "TOKEN")
    assertNotContains(page, "hunter2")
    assertContains(client.post(f"{url}TOKEN/value/"), "hunter2\nline two")
    assert Event.objects.filter(verb="revealed config of", kind="stage").count() == 1
    answer = client.post(url, {"key": "1-BAD", "value": "hunter3"})
    assertContains(answer, "can&#x27;t be a config var", status_code=422)
    assertNotContains(answer, "hunter3", status_code=422)
    client.post(f"{url}TOKEN/removal/")
    assertNotContains(client.get(f"{URL}/settings/?open=staging"), "Reveal TOKEN")
    assert client.post(f"{url}TOKEN/removal/").status_code == 404
    assert client.post(f"{url}TOKEN/value/").status_code == 404


def test_stages_are_dragged_into_another_order(shop, alice, client):
    client.force_login(alice)
    wanted = ["production", "review", "staging", "development"]
    assertRedirects(client.post(f"{URL}/stage-order/", {"stage": wanted}), f"{URL}/settings/#stages", 303)
    assert names(shop) == wanted
    answer = client.post(f"{URL}/stage-order/", {"stage": wanted[1:]})
    assertContains(answer, "The stages have changed meanwhile.", status_code=409)


def test_what_people_may_is_told_per_person(shop, team, alice, bob, vera, client):
    stages.set_rules(
        Stage.objects.get(pipeline=shop, name="production"), promoters="admins", readers="deployers", by=alice
    )
    client.force_login(vera)
    page = client.get(f"{URL}/settings/")
    assertContains(page, "Every stage", 1)
    assertContains(page, "Development, staging", 1)
    assertContains(page, "Nothing</td>", 1)
    assertContains(page, "A git push, a config change and a rollback are no promotions")


def test_an_open_offer_stands_where_it_was_made(shop, alice, charlie, client):
    client.force_login(alice)
    client.post(f"{URL}/owner/", {"owner": "charlie@example.com"})
    page = client.get(f"{URL}/settings/")
    assertContains(page, "Offered to Charlie Bucket")
    assertContains(page, "Withdraw offer")
    assertNotContains(page, "New owner")


@pytest.mark.parametrize("stages_more", [0, 15])
def test_it_costs_the_same_however_many_stages(shop, team, alice, client, stages_more):
    for n in range(stages_more):
        added = actions.add_stage(shop, f"stage-{n}", word="staging", after=None, by=alice)
        stages.set_vars(added, {f"KEY_{m}": "x" for m in range(10)}, by=alice)
    client.force_login(alice)
    client.get("/transfers/")  # the first page of a session notes that it is in use
    for url in (f"{URL}/settings/", f"{URL}/settings/?open=staging"):
        with CaptureQueriesContext(connection) as queries:
            page = client.get(url)
        assert len(queries) <= 12
        assert len(page.content) < 150_000
