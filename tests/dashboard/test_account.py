"""One's own name and password."""

import pytest
from django.test import Client
from pytest_django.asserts import assertRedirects

OLD, NEW = "a fine password", "an even finer one"
HTMX = {"HX-Request": "true"}


def test_it_changes_the_name(alice, client):
    client.force_login(alice)
    answer = client.post("/account/name/", {"name": "Alice P."})
    assertRedirects(answer, "/account/", status_code=303)
    assert "Alice P." in client.get("/account/").text


def test_it_changes_the_password_and_signs_others_out(alice, client):
    elsewhere = Client()
    for browser in (client, elsewhere):
        browser.force_login(alice)
    answer = client.post("/account/password/", {"old": OLD, "new": NEW, "again": NEW})
    assertRedirects(answer, "/account/", status_code=303)
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert elsewhere.get("/account/").status_code == 302


@pytest.mark.parametrize(
    "form",
    [
        {"old": "wrong", "new": NEW, "again": NEW},
        {"old": OLD, "new": NEW, "again": "another one"},
        {"old": OLD, "new": "short", "again": "short"},
        {"old": OLD, "new": "password123", "again": "password123"},
        {},
    ],
)
def test_a_wrong_one_changes_nothing(alice, client, form):
    client.force_login(alice)
    answer = client.post("/account/password/", form, headers=HTMX)
    assert answer.status_code == 422
    assert NEW not in answer.text
    alice.refresh_from_db()
    assert alice.check_password(OLD)


@pytest.mark.promise("I-36")
def test_guessing_the_old_password_costs_patience(alice, client):
    client.force_login(alice)
    form = {"old": "wrong", "new": NEW, "again": NEW}
    told = [client.post("/account/password/", form, headers=HTMX).status_code for _ in range(6)]
    assert told == [422] * 5 + [429]
    assert client.post("/account/password/", {**form, "old": OLD}, headers=HTMX).status_code == 429


def test_strangers_are_asked_to_sign_in_and_verbs_refuse_get(alice, client):
    assert client.get("/account/").status_code == 302
    assert client.post("/account/name/", {"name": "x"}).url.startswith("/sign-in/")
    client.force_login(alice)
    assert client.get("/account/name/").status_code == 405
