"""Who may do what, and changing it."""

import pytest
from pytest_django.asserts import assertRedirects

from accounts.models import Membership
from apps import actions
from apps.models import App, Collaborator
from pipelines.models import Stage
from tests.factories import make_user

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


def test_it_says_by_what_people_have_their_rights_and_what_the_stage_takes_away(app, client):
    page = client.get("/apps/shop-staging/access/").text
    assert "Admin of acme" in page and "Viewer of acme" in page
    assert "run one-off dynos" in page and "Only admins" not in page
    Stage.objects.filter(name="staging").update(readers="admins", promoters="people")
    page = client.get("/apps/shop-staging/access/").text
    assert "Only admins read and set config vars in Staging" in page
    assert "Only people who are named there promote into Staging" in page


def test_what_was_typed_stays_beside_what_is_wrong(app, client):
    form = {"email": "nobody@example.com", "rights": ["operate"]}
    answer = client.post("/apps/shop-staging/collaborators/", form)
    assert answer.status_code == 422
    assert 'value="nobody@example.com"' in answer.text and "Invite them into a team first" in answer.text
    assert 'value="operate" checked' in answer.text and 'value="deploy" checked' not in answer.text


def test_many_people_come_in_pages(app, team, client, django_assert_max_num_queries):
    for n in range(60):
        Membership.objects.create(team=team, user=make_user(f"m{n}@example.com"), role="viewer")
    client.get("/apps/shop-staging/access/")
    with django_assert_max_num_queries(12):
        page = client.get("/apps/shop-staging/access/").text
    assert page.count('<p class="list__sub">') == 50 and "1 to 50 of 63" in page
    assert client.get("/apps/shop-staging/access/?page=2").text.count('<p class="list__sub">') == 13


def test_who_takes_their_own_rights_away_is_led_out(app, alice, charlie, client):
    mine = actions.share(app, charlie, ["manage"], by=alice)
    client.force_login(charlie)
    answer = client.post(f"/apps/shop-staging/collaborators/{mine.pk}/removal/")
    assertRedirects(answer, "/apps/", status_code=303)
