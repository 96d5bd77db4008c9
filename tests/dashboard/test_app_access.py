"""Who may do what, and changing it."""

import pytest
from pytest_django.asserts import assertRedirects

from apps import actions
from apps.models import App, Collaborator

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(shop, alice, client):
    client.force_login(alice)
    return App.objects.get(name="shop-staging")


def test_it_lists_the_team_and_collaborators(app, alice, charlie, client):
    actions.share(app, charlie, ["deploy"], by=alice)
    page = client.get("/apps/shop-staging/access/").text
    for address in ("alice@example.com", "bob@example.com", "vera@example.com", "charlie@example.com"):
        assert address in page


def test_it_shares(app, charlie, client):
    form = {"email": "Charlie@Example.com", "rights": ["deploy", "operate"]}
    answer = client.post("/apps/shop-staging/collaborators/", form)
    assertRedirects(answer, "/apps/shop-staging/access/", status_code=303)
    assert Collaborator.objects.get().rights == ["view", "deploy", "operate"]
    client.force_login(charlie)
    assert client.get("/apps/shop-staging/").status_code == 200


@pytest.mark.parametrize(
    "form",
    [{"email": "nobody@example.com"}, {"email": ""}, {"email": "charlie@example.com", "rights": ["root"]}],
)
def test_nobody_and_no_such_right_are_refused(app, charlie, client, form):
    assert client.post("/apps/shop-staging/collaborators/", form, headers=HTMX).status_code == 422
    assert not Collaborator.objects.exists()


def test_it_changes_and_takes_away(app, alice, charlie, client):
    collaborator = actions.share(app, charlie, ["deploy"], by=alice)
    url = f"/apps/shop-staging/collaborators/{collaborator.pk}"
    client.post(f"{url}/rights/", {"rights": ["operate"]})
    assert Collaborator.objects.get().rights == ["view", "operate"]
    assertRedirects(client.post(f"{url}/removal/"), "/apps/shop-staging/access/", status_code=303)
    assert not Collaborator.objects.exists()


@pytest.mark.promise("I-30")
def test_a_collaborator_of_another_app_is_absent(app, alice, charlie, client):
    other = actions.share(App.objects.get(name="shop-production"), charlie, ["deploy"], by=alice)
    assert client.post(f"/apps/shop-staging/collaborators/{other.pk}/removal/").status_code == 404
    assert Collaborator.objects.exists()
