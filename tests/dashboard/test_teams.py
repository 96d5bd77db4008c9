"""Teams: made, joined, left."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts.models import Membership, Team


def role(team, user):
    return Membership.objects.filter(team=team, user=user).values_list("role", flat=True).first()


def test_it_lists_and_makes_teams(team, alice, client):
    client.force_login(alice)
    assertContains(client.get("/teams/"), "3 people, you are an admin")
    assertRedirects(client.post("/teams/", {"name": "crew"}), "/teams/crew/", 303)
    assert role(Team.objects.get(name="crew"), alice) == "admin"
    assertContains(client.post("/teams/", {"name": "acme"}), "already taken", status_code=422)


def test_members_see_the_team_and_strangers_do_not(shop, team, bob, charlie, client):
    client.force_login(bob)
    page = client.get("/teams/acme/")
    assertContains(page, "Vera Claythorne")
    assertContains(page, "/pipelines/shop/")
    assertNotContains(page, "Add a person")
    client.force_login(charlie)
    assert client.get("/teams/acme/").status_code == client.get("/teams/nothing/").status_code == 404
    assertNotContains(client.get("/teams/"), "acme")


def test_admins_add_people_with_accounts(team, alice, charlie, client):
    client.force_login(alice)
    answer = client.post("/teams/acme/members/", {"email": "Charlie@example.com", "role": "viewer"})
    assertRedirects(answer, "/teams/acme/", 303)
    assert role(team, charlie) == "viewer"
    for data, said in (
        ({"email": "nobody@example.com", "role": "member"}, "Nobody here has this address."),
        ({"email": "charlie@example.com", "role": "admin"}, "They are in already."),
        ({"email": "charlie@example.com", "role": "king"}, "They are in already."),
    ):
        assertContains(client.post("/teams/acme/members/", data), said, status_code=422)
    assert role(team, charlie) == "viewer"


def test_roles_change_and_people_leave(team, alice, bob, vera, client):
    client.force_login(alice)
    client.post(f"/teams/acme/members/{vera.pk}/role/", {"role": "member"})
    assert role(team, vera) == "member"
    client.post(f"/teams/acme/members/{vera.pk}/removal/")
    assert role(team, vera) is None
    client.force_login(bob)
    assertRedirects(client.post(f"/teams/acme/members/{bob.pk}/removal/"), "/teams/", 303)
    assert role(team, bob) is None


@pytest.mark.promise("I-35")
def test_the_last_admin_stays(team, alice, client):
    client.force_login(alice)
    for noun in ("role", "removal"):
        url = f"/teams/acme/members/{alice.pk}/{noun}/"
        answer = client.post(url, {"role": "viewer"}, headers={"HX-Request": "true"})
        assertContains(answer, "last admin", status_code=422)
    assert role(team, alice) == "admin"


def test_only_admins_change_who_is_in(team, alice, bob, vera, charlie, client):
    urls = [
        "/teams/acme/members/",
        *(f"/teams/acme/members/{vera.pk}/{noun}/" for noun in ("role", "removal")),
    ]
    for user, status in ((bob, 403), (charlie, 404)):
        client.force_login(user)
        for url in urls:
            assert client.post(url, {"email": "charlie@example.com", "role": "admin"}).status_code == status
    assert role(team, vera) == "viewer"
    client.force_login(alice)
    assert all(client.get(url).status_code == 405 for url in urls)
    assert client.post(f"/teams/acme/members/{charlie.pk}/role/", {"role": "admin"}).status_code == 404
