"""One's own name, preferences, and the end of an account."""

import pytest
from django.test import Client
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions
from accounts.models import User
from tests.factories import make_app

PASSWORD, NEW = "a fine password", "an even finer one"


@pytest.fixture
def typed(charlie):
    """Charlie's browser, in which the password was typed a moment ago."""
    client = Client()
    client.post("/sign-in/", {"email": charlie.email, "password": PASSWORD})
    return client


def test_it_changes_the_name(alice, client):
    client.force_login(alice)
    answer = client.post("/account/name/", {"name": "Alice P."})
    assertRedirects(answer, "/account/", status_code=303)
    assertContains(client.get("/account/"), 'value="Alice P."')


def test_it_changes_the_password_and_signs_others_out(alice, client):
    elsewhere = Client()
    for browser in (client, elsewhere):
        browser.force_login(alice)
    answer = client.post("/account/password/", {"old": PASSWORD, "new": NEW, "again": NEW})
    assertRedirects(answer, "/account/", status_code=303)
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert elsewhere.get("/account/").status_code == 302


@pytest.mark.parametrize(
    "form",
    [
        {"old": "wrong", "new": NEW, "again": NEW},
        {"old": PASSWORD, "new": NEW, "again": "another one"},
        {"old": PASSWORD, "new": "short", "again": "short"},
        {"old": PASSWORD, "new": "password123", "again": "password123"},
        {},
    ],
)
def test_a_wrong_one_changes_nothing(alice, client, form):
    client.force_login(alice)
    answer = client.post("/account/password/", form)
    assert answer.status_code == 422
    assert NEW not in answer.text
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


@pytest.mark.promise("I-36")
def test_guessing_the_old_password_costs_patience(alice, client):
    client.force_login(alice)
    form = {"old": "wrong", "new": NEW, "again": NEW}
    told = [client.post("/account/password/", form).status_code for _ in range(6)]
    assert told == [422] * 5 + [429]
    assert client.post("/account/password/", {**form, "old": PASSWORD}).status_code == 429


def test_single_keys_are_switched_off_and_on(alice, client):
    client.force_login(alice)
    off = '<body data-single-keys="off"'
    assertNotContains(client.get("/account/"), off)
    assertRedirects(client.post("/account/shortcuts/"), "/account/", 303)
    for page in ("/account/", "/", "/teams/"):
        assertContains(client.get(page), off)
    client.post("/account/shortcuts/", {"on": "on"})
    assertNotContains(client.get("/account/"), off)


def test_it_lists_the_teams(team, vera, client):
    client.force_login(vera)
    assertContains(client.get("/account/"), "/teams/acme/")


def test_deleting_asks_who_it_is_first(charlie, client):
    client.force_login(charlie)  # days ago, for all we know
    answer = client.post("/account/removal/", {"confirm": charlie.email})
    assert answer.status_code == 302
    assert answer.url.startswith("/account/confirm/")
    assert User.objects.filter(pk=charlie.pk).exists()


def test_an_account_that_owns_nothing_is_deleted(charlie, typed):
    elsewhere = Client()
    elsewhere.force_login(charlie)
    _, secret = actions.create_token(charlie, by=charlie)
    refused = typed.post("/account/removal/", {"confirm": "charlie"})
    assertContains(refused, "Type charlie@example.com to confirm.", status_code=422)
    assertRedirects(typed.post("/account/removal/", {"confirm": charlie.email}), "/sign-in/", 303)
    assert not User.objects.filter(email=charlie.email).exists()
    assert elsewhere.get("/account/").status_code == typed.get("/account/").status_code == 302
    assert Client().get("/apps", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_what_is_owned_has_to_be_handed_over_first(charlie, typed):
    make_app("mine", owner=charlie)
    actions.create_team("crew", by=charlie)
    page = typed.get("/account/removal/")
    assertContains(page, "/apps/mine/settings/")
    assertContains(page, "/teams/crew/members/")
    assertNotContains(page, "Delete account</button>")
    answer = typed.post("/account/removal/", {"confirm": charlie.email})
    assertContains(answer, "crew has no other admin", status_code=422)
    assert User.objects.filter(email=charlie.email).exists()


def test_strangers_are_asked_to_sign_in_and_verbs_refuse_get(alice, client):
    pages = ["/account/", "/account/removal/", "/account/tokens/"]
    assert [client.get(page).status_code for page in pages] == [302] * 3
    assert client.post("/account/name/", {"name": "x"}).url.startswith("/sign-in/")
    client.force_login(alice)
    assert [client.get(f"/account/{noun}/").status_code for noun in ("name", "shortcuts")] == [405] * 2
