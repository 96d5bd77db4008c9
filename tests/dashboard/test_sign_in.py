"""Signing in and out, the first account, and the patience that guessing costs."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.asserts import assertContains, assertRedirects

from accounts import actions
from accounts.models import FailedSignIn, SignInLink, User
from accounts.sign_in import FREE_TRIES, WRONG

GOOD = {"email": "alice@example.com", "password": "a fine password"}


def test_it_signs_in_and_goes_on(alice, client):
    assertContains(client.get("/sign-in/?next=/teams/"), 'name="next" value="/teams/"')
    answer = client.post("/sign-in/", {**GOOD, "email": " Alice@Example.com ", "next": "/teams/"})
    assertRedirects(answer, "/teams/", 303)
    assertRedirects(client.get("/sign-in/"), "/")


def test_the_session_changes_hands_when_somebody_signs_in(alice, client):
    client.get("/sign-in/")
    session = client.session
    session["mark"] = "planted"
    session.save()
    before = session.session_key
    client.post("/sign-in/", GOOD)
    assert client.session.session_key != before


@pytest.mark.parametrize(
    "away",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "\0",
    ],
)
@pytest.mark.promise("I-45")
def test_it_never_sends_people_elsewhere(alice, client, away):
    answer = client.post("/sign-in/", {**GOOD, "next": away})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_wrong_password_is_said_beside_the_field(alice, client):
    answer = client.post("/sign-in/", {**GOOD, "password": "wrong"})
    assertContains(answer, WRONG, status_code=422)
    assertContains(answer, 'value="alice@example.com"', status_code=422)
    assert "_auth_user_id" not in client.session


def test_suspended_people_stay_out(alice, client):
    actions.suspend(alice, by=None)
    assertContains(client.post("/sign-in/", GOOD), WRONG, status_code=422)


@pytest.mark.promise("I-36")
def test_guessing_is_slowed_alike_for_known_and_unknown_accounts(alice, client):
    answers = {}
    for email in ("alice@example.com", "nobody@example.com"):
        tries = [client.post("/sign-in/", {"email": email, "password": f"guess {n}"}) for n in range(8)]
        answers[email] = [
            (answer.status_code, "Too many tries" in answer.content.decode()) for answer in tries
        ]
    assert answers["alice@example.com"] == answers["nobody@example.com"]
    assert answers["alice@example.com"][FREE_TRIES["account"]] == (429, True)
    assert client.post("/sign-in/", GOOD).status_code == 429


@pytest.mark.promise("I-36")
def test_patience_is_rewarded_and_a_try_too_soon_costs_nothing(alice, client):
    for n in range(FREE_TRIES["account"] + 3):
        client.post("/sign-in/", {**GOOD, "password": f"guess {n}"})
    assert FailedSignIn.objects.count() == FREE_TRIES["account"]
    FailedSignIn.objects.update(at=timezone.now() - timedelta(seconds=70))
    assert client.post("/sign-in/", GOOD).status_code == 303
    assert not FailedSignIn.objects.exists()


@pytest.mark.promise("I-36")
def test_one_address_can_not_try_many_accounts(alice, client):
    for n in range(FREE_TRIES["address"] + 1):
        answer = client.post("/sign-in/", {"email": f"user{n}@example.com", "password": "guess"})
    assert answer.status_code == 429
    elsewhere = client.post("/sign-in/", GOOD, REMOTE_ADDR="203.0.113.9")
    assert elsewhere.status_code == 303


def test_hostile_input_is_only_wrong(client, db):
    for email, password in (("\0", "\0"), ("a" * 5000, "b" * 5000), ("ä@ö", "\ud83d\ude00" * 3)):
        data = {"email": email, "password": password.encode("utf-16", "surrogatepass").decode("utf-16")}
        assert client.post("/sign-in/", data).status_code == 422


def test_signing_out_takes_a_post(alice, client):
    client.force_login(alice)
    assert client.get("/sign-out/").status_code == 405
    assert "_auth_user_id" in client.session
    assertRedirects(client.post("/sign-out/"), "/sign-in/", 303)
    assertRedirects(client.get("/"), "/sign-in/?next=/")


class TestSetup:
    NEW = {"email": "First@example.com", "name": "First Person", "password": "long enough to do"}

    def test_the_link_makes_the_first_operator_once(self, client, db):
        url = f"/setup/{actions.create_sign_in_link()}/"
        assertContains(client.get(url), "Create account")
        assertContains(client.get(url), "Create account")
        assertRedirects(client.post(url, self.NEW), "/", 303)
        user = User.objects.get()
        assert (user.email, user.name, user.is_staff) == ("first@example.com", "First Person", True)
        client.logout()
        for answer in (client.get(url), client.post(url, {**self.NEW, "email": "second@example.com"})):
            assertContains(answer, "no longer works", status_code=404)
        assert User.objects.count() == 1

    def test_a_refused_form_does_not_spend_it(self, client, db):
        url = f"/setup/{actions.create_sign_in_link()}/"
        assertContains(client.post(url, {**self.NEW, "password": "short"}), "too short", status_code=422)
        assertContains(client.post(url, {**self.NEW, "email": "nonsense"}), "not an e-mail", status_code=422)
        assert not User.objects.exists()
        assert client.post(url, self.NEW).status_code == 303

    @pytest.mark.parametrize(
        ("typed", "focused"),
        [
            ({"password": "short"}, "pw"),
            ({"email": "x"}, "email"),
            ({"email": "x", "password": "y"}, "email"),
        ],
    )
    def test_the_first_field_that_is_wrong_has_the_focus(self, client, db, typed, focused):
        url = f"/setup/{actions.create_sign_in_link()}/"
        fields = re.findall(r"<input [^>]*autofocus[^>]*>", client.post(url, {**self.NEW, **typed}).text)
        assert [re.search(r'id="(\w+)"', field)[1] for field in fields] == [focused]
        (first,) = re.findall(r"<input [^>]*autofocus[^>]*>", client.get(url).text)
        assert 'id="email"' in first

    def test_an_old_link_is_no_link(self, client, db):
        url = f"/setup/{actions.create_sign_in_link()}/"
        SignInLink.objects.update(expires_at=timezone.now())
        assert client.get(url).status_code == client.post(url, self.NEW).status_code == 404
        assert not User.objects.exists()

    def test_a_link_for_somebody_signs_them_in_on_a_click(self, alice, client):
        url = f"/setup/{actions.create_sign_in_link(alice)}/"
        assertContains(client.get(url), "Sign in as Alice Liddell")
        assert "_auth_user_id" not in client.session
        assert client.post(url).status_code == 303
        assert client.session["_auth_user_id"] == str(alice.pk)
        assert User.objects.count() == 1


def test_who_is_led_back_to_what_is_only_done_finds_a_page(client, alice):
    address = "/pipelines/shop/review-apps/"
    client.force_login(alice)
    found = client.get(address, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (found.status_code, found.headers["Allow"]) == (405, "POST")
    assert "press the button again" in found.content.decode()
    assert client.get(address, headers={"Accept": "*/*"}).content == b""
