"""Forgotten passwords and new addresses: links by mail, and honesty where there is none."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from pytest_django.asserts import assertContains, assertRedirects

from accounts.actions import create_sign_in_link
from core.models import Event
from tests.waiting import eventually

NEW = "an even finer one"


@pytest.fixture
def post_office(settings):
    settings.MAIL = settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    return mail


def link_in(letter):
    return re.search(r"http://localhost:8000(/\S+)", letter.body)[1]


def ask(client, email):
    return client.post("/sign-in/forgotten/", {"email": email})


def letter(number=0):
    eventually(lambda: len(mail.outbox) > number)
    return mail.outbox[number]


def forgotten(client):
    ask(client, "alice@example.com")
    return client.get(link_in(letter())).url


def test_a_link_sets_a_new_password(alice, client, post_office):
    elsewhere = Client()
    elsewhere.force_login(alice)
    assertRedirects(ask(client, "Alice@example.com"), "/sign-in/forgotten/sent/")
    path = link_in(letter())
    assert letter().to == ["alice@example.com"]
    form = client.get(path).url
    assert path not in client.get(form).text
    assertRedirects(client.post(form, {"password1": NEW, "password2": NEW}), "/sign-in/forgotten/done/")
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert elsewhere.get("/teams/").status_code == 302
    assert Event.objects.filter(verb="changed the password of").count() == 1
    assertContains(client.get(path), "This link no longer works")


def test_nothing_tells_whether_an_address_has_an_account(alice, client, post_office):
    told = [ask(client, email) for email in ("alice@example.com", "nobody@example.com")]
    assert told[0].url == told[1].url
    letter()
    assert [one.to for one in mail.outbox] == [["alice@example.com"]]


def test_the_link_is_ours_whatever_host_was_named(alice, client, post_office):
    client.post("/sign-in/forgotten/", {"email": "alice@example.com"}, headers={"host": "127.0.0.1"})
    assert "http://localhost:8000/sign-in/forgotten/" in letter().body


def test_a_weak_password_is_refused_beside_the_field(alice, client, post_office):
    form = forgotten(client)
    assertContains(client.post(form, {"password1": "short", "password2": "short"}), "too short")
    assertContains(client.post(form, {"password1": NEW, "password2": "different"}), "same password")
    alice.refresh_from_db()
    assert alice.check_password("a fine password")


@pytest.mark.promise("I-36")
def test_links_can_not_be_asked_for_without_end(alice, client, post_office):
    told = [ask(client, "alice@example.com").status_code for _ in range(6)]
    assert told == [302] * 5 + [429]


def test_suspended_people_get_no_link(alice, client, post_office):
    from accounts.actions import suspend

    suspend(alice, by=None)
    ask(client, "alice@example.com")
    assert not mail.outbox


def test_without_a_mail_server_the_page_says_so(alice, client, settings):
    settings.CONTACT = "ops@example.com"
    for answer in (client.get("/sign-in/forgotten/"), ask(client, "alice@example.com")):
        assertContains(answer, "can’t send mail")
        assertContains(answer, "ops@example.com")
    client.force_login(alice)
    assertContains(client.get("/account/email/"), "can’t send mail")
    assert not mail.outbox


def test_an_operator_s_link_sets_a_new_password_too(alice, client):
    url = f"/setup/{create_sign_in_link(alice)}/"
    assertContains(client.get(url), "New password")
    assertContains(client.post(url, {"password": "short"}), "too short", status_code=422)
    assertRedirects(client.post(url, {"password": NEW}), "/", 303)
    alice.refresh_from_db()
    assert alice.check_password(NEW)


def confirmed(client):
    client.post("/account/confirm/", {"password": "a fine password"})


def test_a_new_address_counts_once_its_link_is_followed(alice, client, post_office):
    client.force_login(alice)
    confirmed(client)
    answer = client.post("/account/email/", {"email": "Alice@new.example", "action_add": "1"})
    assertRedirects(answer, "/account/email/")
    assertContains(client.get("/account/email/"), "Waiting for alice@new.example")
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    path = link_in(letter())
    assertContains(client.get(path), "Use alice@new.example?")
    client.post(path)
    alice.refresh_from_db()
    assert alice.email == "alice@new.example"
    assert [row.email for row in EmailAddress.objects.filter(user=alice)] == ["alice@new.example"]
    event = Event.objects.get(verb="changed the address of")
    assert event.details == {"before": "alice@example.com", "after": "alice@new.example"}
    eventually(lambda: ["alice@example.com"] in [one.to for one in mail.outbox])
    assert (
        Client().post("/sign-in/", {"email": "alice@new.example", "password": "a fine password"}).status_code
        == 303
    )


def test_a_new_address_takes_a_password_first(alice, client, post_office):
    client.force_login(alice)
    answer = client.post("/account/email/", {"email": "alice@new.example", "action_add": "1"})
    assert answer.url.startswith("/account/confirm/")
    assert not mail.outbox
    assert not EmailAddress.objects.filter(email="alice@new.example").exists()


def test_the_address_of_another_person_can_not_be_taken(alice, bob, client, post_office):
    client.force_login(alice)
    confirmed(client)
    client.post("/account/email/", {"email": "bob@example.com", "action_add": "1"})
    path = link_in(letter())
    assertContains(client.get(path), "This link no longer works")
    client.post(path)
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"


def test_old_links_are_void(alice, client, post_office, settings):
    ask(client, "alice@example.com")
    path = link_in(letter())
    settings.PASSWORD_RESET_TIMEOUT = -timedelta(seconds=1).total_seconds()
    assertContains(client.get(path), "This link no longer works")


def test_a_changed_password_is_told_by_mail(alice, client, post_office):
    client.force_login(alice)
    client.post("/account/password/", {"old": "a fine password", "new": NEW, "again": NEW})
    assert "The password of your account was changed." in letter().body
    assert NEW not in letter().body


def test_a_mail_server_that_is_away_is_owned_up_to(alice, client, post_office, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    client.force_login(alice)
    confirmed(client)
    answer = client.post("/account/email/", {"email": "alice@new.example", "action_add": "1"}, follow=True)
    assertContains(answer, "The mail server did not take the mail")
