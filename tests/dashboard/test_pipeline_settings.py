"""Settings of a pipeline: stages, name, owner, and its end."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions as account_actions
from apps.models import App
from core.models import Event
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
    ],
)
def test_only_managers_change_anything(noun, shop, bob, vera, charlie, client):
    before, events = names(shop), Event.objects.count()
    data = {
        "name": "x-name",
        "owner": "bob@example.com",
        "confirm": "shop",
        "stage": "canary",
        "word": "staging",
    }
    for user, status in ((bob, 403), (vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.post(f"{URL}/{noun}/", data).status_code == status
    client.logout()
    assert client.post(f"{URL}/{noun}/", data).status_code == 302
    assert names(shop) == before
    assert Event.objects.count() == events
    if noun != "removal":
        client.force_login(bob)
        assert client.get(f"{URL}/{noun}/").status_code == 405
