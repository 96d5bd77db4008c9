"""Invitations as pages: made, sent, accepted, and what is said when they no longer work."""

import re

import pytest
from django.test import Client
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions, invitations
from accounts.models import Invitation, Membership, User

OVER = "This invitation no longer works"
PASSWORD = "a fine long password"


@pytest.fixture
def admin(alice, team):
    client = Client()
    client.force_login(alice)
    return client


def invited(admin, email="dana@example.com", role="member"):
    """The path of the link that Alice is shown."""
    answer = admin.post("/teams/acme/invitations/", {"email": email, "role": role})
    assert answer.status_code == 200
    return re.search(r"<code>http://localhost:8000(/invitations/[^<]+/)</code>", answer.text)[1]


def role(team, email):
    return Membership.objects.filter(team=team, user__email=email).values_list("role", flat=True).first()


# --- made ---------------------------------------------------------------------------------------------------------


def test_an_admin_gets_a_link_to_hand_over_once(admin, team):
    link = invited(admin)
    page = admin.get("/teams/acme/members/")
    assertContains(page, "dana@example.com")
    assertNotContains(page, link)


def test_it_is_mailed_where_mail_is_set_up(admin, team, settings, mailoutbox):
    settings.MAIL = True
    assertContains(
        admin.post("/teams/acme/invitations/", {"email": "dana@example.com", "role": "viewer"}),
        "on its way to dana@example.com",
    )
    assert mailoutbox[0].to == ["dana@example.com"]


@pytest.mark.parametrize(
    ("email", "role", "said"),
    [
        ("nobody", "member", "This is not an e-mail address."),
        ("bob@example.com", "member", "They are in already."),
        ("dana@example.com", "boss", "Choose a role."),
        ("dana@example.com", "", "Choose a role."),
    ],
)
def test_what_is_wrong_stands_beside_the_field(admin, team, email, role, said):
    answer = admin.post("/teams/acme/invitations/", {"email": email, "role": role})
    assertContains(answer, said, status_code=422)
    assertContains(answer, f'value="{email}"', status_code=422)


def test_known_and_unknown_addresses_are_answered_alike(admin, team, charlie):
    texts = []
    for email in ("charlie@example.com", "no-one@example.com"):
        answer = admin.post("/teams/acme/invitations/", {"email": email, "role": "viewer"})
        texts.append(re.sub(r"invite-[\w-]+|[\w-]+@example.com|[0-9a-f-]{36}|csrf.*?>", "", answer.text))
    assert texts[0].count("No mail was sent") == texts[1].count("No mail was sent") == 1


def test_a_new_link_voids_the_old(admin, team):
    first = invited(admin)
    made = Invitation.objects.get()
    answer = admin.post(f"/teams/acme/invitations/{made.pk}/renewal/")
    second = re.search(r"<code>http://localhost:8000(/invitations/[^<]+/)</code>", answer.text)[1]
    assertContains(Client().get(first), OVER, status_code=404)
    assertContains(Client().get(second), "Join acme")
    answer = admin.post(f"/teams/acme/invitations/{made.pk}/withdrawal/")
    assertRedirects(answer, "/teams/acme/members/", 303)
    assertContains(Client().get(second), OVER, status_code=404)


@pytest.mark.promise("I-35")
def test_only_admins_see_and_make_them(admin, team, bob, vera, charlie, client):
    invited(admin)
    made = Invitation.objects.get()
    nouns = ["", f"{made.pk}/renewal/", f"{made.pk}/withdrawal/"]
    form = {"email": "eve@example.com", "role": "viewer"}
    for user, status in ((bob, 403), (vera, 403), (charlie, 404)):
        client.force_login(user)
        answers = [client.post(f"/teams/acme/invitations/{noun}", form).status_code for noun in nouns]
        assert answers == [status] * 3
    client.force_login(bob)
    for page in ("members/", "activity/"):
        assertNotContains(client.get(f"/teams/acme/{page}"), "dana@example.com")
    assert Invitation.objects.get().withdrawn_at is None
    actions.create_team("crew", by=charlie)
    client.force_login(charlie)
    assert client.post(f"/teams/crew/invitations/{made.pk}/withdrawal/").status_code == 404
    assert [admin.get(f"/teams/acme/invitations/{noun}").status_code for noun in nouns] == [405] * 3


# --- accepted -----------------------------------------------------------------------------------------------------


def test_a_newcomer_makes_an_account_and_is_in(admin, team, client):
    link = invited(admin)
    page = client.get(link)
    assertContains(page, "Alice Liddell invites you")
    assertContains(page, "dana@example.com")
    assert "no-store" in page["Cache-Control"]
    refused = client.post(f"{link}account/", {"name": "Dana", "password": "short"})
    assertContains(refused, 'value="Dana"', status_code=422)
    assertNotContains(refused, "short<", status_code=422)
    answer = client.post(f"{link}account/", {"name": "Dana Scully", "password": PASSWORD, "email": "x@y.z"})
    assertRedirects(answer, "/teams/acme/", 303)
    dana = User.objects.get(email="dana@example.com")
    assert (dana.name, role(team, dana.email)) == ("Dana Scully", "member")
    assertContains(client.get("/teams/acme/members/"), "Dana Scully")
    for again in (
        Client().get(link),
        client.get(link),
        client.post(f"{link}account/", {}),
        client.post(link),
    ):
        assertContains(again, OVER, status_code=404)


def test_whoever_has_an_account_signs_in_first(admin, team, charlie, client):
    link = invited(admin, "charlie@example.com", "viewer")
    page = client.get(link)
    assertContains(page, f"/sign-in/?next={link}")
    assertNotContains(page, "Choose a password")
    assert client.post(link).status_code == 200
    assert role(team, charlie.email) is None
    client.post(f"/sign-in/?next={link}", {"email": charlie.email, "password": "a fine password"})
    assertContains(client.get(link), "Join acme</button>")
    assertRedirects(client.post(link), "/teams/acme/", 303)
    assert role(team, charlie.email) == "viewer"


def test_nobody_takes_over_an_account_by_signing_up(admin, team, charlie, client):
    link = invited(admin, "charlie@example.com")
    answer = client.post(f"{link}account/", {"name": "Eve", "password": PASSWORD})
    assert answer.status_code == 422
    charlie.refresh_from_db()
    assert charlie.check_password("a fine password")
    assert role(team, charlie.email) is None


@pytest.mark.promise("I-35")
def test_with_another_address_one_is_told_so(admin, team, charlie, client):
    link = invited(admin)
    client.force_login(charlie)
    assertContains(client.get(link), "You are signed in as charlie@example.com")
    assert client.post(link).status_code == 403
    assertRedirects(client.post(f"{link}account/", {"password": PASSWORD}), link, 303)
    assert role(team, charlie.email) is None
    assert not User.objects.filter(email="dana@example.com").exists()


def test_what_never_was_looks_like_what_is_over(admin, team, client):
    link = invited(admin)
    invitations.withdraw(Invitation.objects.get(), by=User.objects.get(email="alice@example.com"))
    never, over = (client.get(path) for path in ("/invitations/invite-x/", link))
    assert never.status_code == over.status_code == 404
    assert re.sub(r'"[^"]*"', "", never.text) == re.sub(r'"[^"]*"', "", over.text)
    assertContains(never, "Ask whoever invited you for a new one", status_code=404)
