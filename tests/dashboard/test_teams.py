"""Teams: made, looked at, renamed, left, deleted."""

import pytest
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions, invitations
from accounts.models import Membership, Team
from tests.factories import make_app, make_user

HTMX = {"HX-Request": "true"}


def role(team, user):
    return Membership.objects.filter(team=team, user=user).values_list("role", flat=True).first()


def test_it_lists_and_makes_teams(team, alice, client):
    client.force_login(alice)
    assertContains(client.get("/teams/"), "3 people, you are an admin")
    assertRedirects(client.post("/teams/", {"name": "crew"}), "/teams/crew/", 303)
    assert role(Team.objects.get(name="crew"), alice) == "admin"
    answer = client.post("/teams/", {"name": "acme"})
    assertContains(answer, "already taken", status_code=422)
    assertContains(answer, 'value="acme"', status_code=422)


def test_members_see_the_team_and_strangers_do_not(shop, team, bob, charlie, client):
    client.force_login(bob)
    page = client.get("/teams/acme/")
    assertContains(page, "/pipelines/shop/")
    assertContains(page, "/apps/shop-staging/")
    assertNotContains(page, "Invite people")
    assertContains(client.get("/teams/acme/members/"), "Vera Claythorne")
    assertContains(client.get("/teams/acme/settings/"), "Leave this team")
    client.force_login(charlie)
    for page in ("", "members/", "activity/", "settings/"):
        absent, foreign = (client.get(f"/teams/{name}/{page}") for name in ("nothing", "acme"))
        assert absent.status_code == foreign.status_code == 404
    assertNotContains(client.get("/teams/"), "acme")


def test_limits_are_shown_where_an_operator_set_some(shop, team, alice, client):
    client.force_login(alice)
    assertNotContains(client.get("/teams/acme/"), "Limits")
    Team.objects.update(max_apps=2, max_dynos=10)
    page = client.get("/teams/acme/")
    assertContains(page, "2 of 2")
    assertContains(page, "No more apps can be added")
    assertContains(page, "2 of 10")


def test_a_suspended_team_says_so(team, alice, client):
    Team.objects.update(suspended_at=timezone.now())
    client.force_login(alice)
    assertContains(client.get("/teams/acme/"), "suspended by an operator")


def test_no_page_asks_more_of_the_database_for_more_rows(
    shop, team, alice, client, django_assert_max_num_queries
):
    Team.objects.update(max_apps=100, max_dynos=100)
    for _ in range(8):
        make_app(owner=team, released=True)
    client.force_login(alice)
    client.get("/teams/")  # the first page of a session notes where it is from
    for page in ("", "members/", "activity/", "settings/"):
        with django_assert_max_num_queries(12):
            assert client.get(f"/teams/acme/{page}").status_code == 200


def test_the_longest_lists_are_still_light(team, alice, client):
    for number in range(60):
        actions.set_role(team, make_user(f"somebody-{number}@example.com"), "member", by=alice)
    for number in range(invitations.MOST):
        invitations.invite(team, f"guest-{number}@example.com", "member", by=alice)
    client.force_login(alice)
    page = client.get("/teams/acme/members/")
    assertContains(page, "1 to 25 of 63")
    assert len(page.content) < 150_000
    assertContains(client.get("/teams/acme/members/?page=3"), "51 to 63 of 63")
    refused = client.post("/teams/acme/invitations/", {"email": "x@example.com", "role": "viewer"})
    assertContains(refused, 'href="/teams/acme/members/?page=2"', status_code=422)


def test_roles_change_and_people_leave(team, alice, bob, vera, client):
    client.force_login(alice)
    answer = client.post(f"/teams/acme/members/{vera.pk}/role/", {"role": "member"})
    assertRedirects(answer, "/teams/acme/members/", 303)
    assert role(team, vera) == "member"
    asked = client.get(f"/teams/acme/members/{vera.pk}/removal/", headers=HTMX)
    assertContains(asked, "Remove Vera Claythorne from acme?")
    assertNotContains(asked, "<html")
    answer = client.post(f"/teams/acme/members/{vera.pk}/removal/")
    assertRedirects(answer, "/teams/acme/members/", 303)
    assert role(team, vera) is None
    client.force_login(bob)
    assertRedirects(client.post(f"/teams/acme/members/{bob.pk}/removal/"), "/teams/", 303)
    assert role(team, bob) is None


@pytest.mark.promise("I-35")
def test_the_last_admin_stays(team, alice, client):
    client.force_login(alice)
    for noun in ("role", "removal"):
        url = f"/teams/acme/members/{alice.pk}/{noun}/"
        answer = client.post(url, {"role": "viewer"}, headers=HTMX)
        assertContains(answer, "last admin", status_code=422)
    assert role(team, alice) == "admin"


def test_only_admins_change_who_is_in(team, alice, bob, vera, charlie, client):
    urls = [f"/teams/acme/members/{vera.pk}/{noun}/" for noun in ("role", "removal")]
    for user, status in ((bob, 403), (charlie, 404)):
        client.force_login(user)
        assert [client.post(url, {"role": "admin"}).status_code for url in urls] == [status] * 2
    assert role(team, vera) == "viewer"
    client.force_login(bob)
    assertContains(client.post(urls[0], {"role": "admin"}), "Ask Alice Liddell.", status_code=403)
    client.force_login(alice)
    assert client.get(urls[0]).status_code == 405
    assert client.post(f"/teams/acme/members/{charlie.pk}/role/", {"role": "admin"}).status_code == 404


def test_it_is_renamed_by_admins(shop, team, alice, bob, client):
    client.force_login(bob)
    assert client.post("/teams/acme/name/", {"name": "crew"}).status_code == 403
    client.force_login(alice)
    refused = client.post("/teams/acme/name/", {"name": "No!"})
    assertContains(refused, "Use lower case letters", status_code=422)
    assertContains(refused, 'value="No!"', status_code=422)
    assertRedirects(client.post("/teams/acme/name/", {"name": "crew"}), "/teams/crew/settings/", 303)
    assertContains(client.get("/teams/crew/"), "/pipelines/shop/")
    assertContains(client.get("/teams/crew/activity/"), "acme → crew")


def test_only_an_empty_team_is_deleted(shop, team, alice, bob, client):
    client.force_login(bob)
    assert client.post("/teams/acme/removal/", {"confirm": "acme"}).status_code == 403
    client.force_login(alice)
    assertContains(client.post("/teams/acme/removal/", {"confirm": "amce"}), "Type acme", status_code=422)
    answer = client.post("/teams/acme/removal/", {"confirm": "acme"})
    assertContains(answer, "acme owns shop", status_code=422)
    client.post("/teams/", {"name": "crew"})
    assertRedirects(client.post("/teams/crew/removal/", {"confirm": "crew"}), "/teams/", 303)
    assert list(Team.objects.all()) == [team]


def test_the_activity_is_of_the_team_alone(shop, team, alice, bob, charlie, client):
    make_app("elsewhere", owner=charlie)
    client.force_login(alice)
    client.post(f"/teams/acme/members/{bob.pk}/role/", {"role": "viewer"})
    everything = client.get("/teams/acme/activity/")
    assertContains(everything, "member → viewer")
    assertContains(everything, "shop-staging")
    assertNotContains(everything, "elsewhere")
    people = client.get("/teams/acme/activity/?about=people")
    assertContains(people, "member → viewer")
    assertNotContains(people, "shop-staging")
