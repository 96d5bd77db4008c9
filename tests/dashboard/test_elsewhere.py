"""Signing in with an account elsewhere: a small GitHub of our own says who somebody is."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts.invitations import invite, withdraw
from accounts.models import Invitation, Membership, User
from core.models import Event


class GitHub(BaseHTTPRequestHandler):
    """As much of it as a sign-in needs."""

    who = {"id": 4711, "login": "octo", "name": "Dana Newcomer", "html_url": "https://github.example/octo"}
    emails = []

    def answer(self):
        told = {
            "/login/oauth/access_token": {
                "access_token": "gho_secret",
                "token_type": "bearer",
                "scope": "user:email",
            },
            "/user": self.who,
            "/user/emails": self.emails,
        }[urlsplit(self.path).path]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def github(monkeypatch):
    """`github.emails` is what it vouches for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(GitHubOAuth2Adapter, "access_token_url", f"{here}/login/oauth/access_token")
    monkeypatch.setattr(GitHubOAuth2Adapter, "profile_url", f"{here}/user")
    monkeypatch.setattr(GitHubOAuth2Adapter, "emails_url", f"{here}/user/emails")
    monkeypatch.setattr(GitHub, "emails", [])
    yield GitHub
    server.shutdown()
    server.server_close()


def vouch(github, email, *, verified=True):
    github.emails = [{"email": email, "primary": True, "verified": verified}]


def come_back(client, path="/sign-in/with/github/", **form):
    """Go there, let it say who we are, and come back."""
    away = urlsplit(client.post(path, form).url)
    assert away.netloc == "github.com"
    state = parse_qs(away.query)["state"][0]
    return client.get("/sign-in/with/github/callback/", {"code": "of-the-day", "state": state})


def connect(client, alice):
    client.force_login(alice)
    client.post("/account/confirm/", {"password": "a fine password"})
    return come_back(client, "/sign-in/with/github/?process=connect")


def test_what_is_connected_signs_in(alice, client, github):
    assertRedirects(connect(client, alice), "/account/connections/")
    assertContains(client.get("/account/connections/"), "octo")
    client.post("/sign-out/")
    assertRedirects(come_back(client, next="/teams/"), "/teams/")
    assert client.session["_auth_user_id"] == str(alice.pk)
    assert ("signed in", {"ways": ["github"]}) in Event.objects.values_list("verb", "details")
    assert "gho_secret" not in str(list(SocialAccount.objects.values()))


def test_what_no_row_can_hold_is_left_out_of_what_it_tells(alice, client, github, monkeypatch):
    monkeypatch.setattr(github, "who", {**github.who, "name": "a\0b\ud800", "bio": "\0"})
    assertRedirects(connect(client, alice), "/account/connections/")
    told = SocialAccount.objects.get().extra_data
    assert (told["name"], told["bio"]) == ("ab?", "")


def test_connecting_asks_who_it_is_first(alice, client, github):
    client.force_login(alice)
    assert come_back(client, "/sign-in/with/github/?process=connect").url == "/account/confirm/"
    assert not SocialAccount.objects.exists()


def test_an_address_alone_opens_no_account(alice, client, github):
    vouch(github, "alice@example.com")
    assertContains(come_back(client), "Not connected with anyone here")
    assert "_auth_user_id" not in client.session
    assert User.objects.count() == 1


def test_who_is_invited_gets_an_account_and_is_in_the_team(team, alice, client, github):
    invite(team, "dana@example.com", "member", by=alice)
    vouch(github, "Dana@example.com")
    assertRedirects(come_back(client), "/", fetch_redirect_response=False)
    dana = User.objects.get(email="dana@example.com")
    assert (dana.name, dana.has_usable_password()) == ("Dana Newcomer", False)
    assert Membership.objects.get(user=dana).role == "member"
    assert not Invitation.objects.open().exists()
    assertContains(client.get("/account/password/"), "You have none yet")


@pytest.mark.promise("I-35")
def test_an_address_that_is_not_verified_accepts_nothing(team, alice, client, github):
    invite(team, "dana@example.com", "member", by=alice)
    vouch(github, "dana@example.com", verified=False)
    assertContains(come_back(client), "Not connected with anyone here")
    assert not User.objects.filter(email="dana@example.com").exists()


@pytest.mark.promise("I-35")
def test_a_withdrawn_invitation_lets_nobody_in(team, alice, client, github):
    invitation, _ = invite(team, "dana@example.com", "admin", by=alice)
    withdraw(invitation, by=alice)
    vouch(github, "dana@example.com")
    assertContains(come_back(client), "Not connected with anyone here")
    assert not User.objects.filter(email="dana@example.com").exists()


def test_an_answer_that_nobody_asked_for_is_refused(alice, client, github):
    connect(client, alice)
    client.post("/sign-out/")
    answer = client.get("/sign-in/with/github/callback/", {"code": "of-the-day", "state": "made-up"})
    assertContains(answer, "That did not work", status_code=401)
    assert "_auth_user_id" not in client.session


def test_what_belongs_to_somebody_else_can_not_be_connected(alice, bob, client, github):
    connect(client, alice)
    client.post("/sign-out/")
    connect(client, bob)
    assert SocialAccount.objects.get().user == alice


def test_suspended_people_stay_out(alice, client, github):
    from accounts.actions import suspend

    connect(client, alice)
    client.post("/sign-out/")
    suspend(alice, by=None)
    assertRedirects(come_back(client), "/sign-in/")
    assert "_auth_user_id" not in client.session


def test_it_is_disconnected_again_unless_nothing_else_signs_in(alice, client, github):
    connect(client, alice)
    account = SocialAccount.objects.get()
    client.post("/account/connections/", {"account": account.pk})
    assert not SocialAccount.objects.exists()
    connect(client, alice)
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    answer = client.post("/account/connections/", {"account": SocialAccount.objects.get().pk})
    assertContains(answer, "no other way")
    assert SocialAccount.objects.exists()


def test_who_has_no_password_to_confirm_with_sets_one_and_goes_on(alice, client, github):
    connect(client, alice)
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    sent = client.get("/account/two-factor/app/")
    assertRedirects(sent, "/account/password/?next=%2Faccount%2Ftwo-factor%2Fapp%2F")
    page = client.get(sent.url)
    assertContains(page, "goes on then")
    new = "correct horse battery"
    done = client.post("/account/password/", {"new": new, "again": new, "next": "/account/two-factor/app/"})
    assert done.url == "/account/two-factor/app/"
    client.post("/sign-out/")
    alice.refresh_from_db()
    client.force_login(alice)
    assertRedirects(
        client.get("/account/two-factor/app/"), "/account/confirm/?next=%2Faccount%2Ftwo-factor%2Fapp%2F"
    )


def test_it_goes_on_to_no_page_of_others(alice, client, github):
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    new = "correct horse battery"
    away = {"new": new, "again": new, "next": "https://evil.example/"}
    assert client.post("/account/password/", away).url == "/account/"


def test_the_button_is_there_when_the_setting_is(db, client, settings):
    assertContains(client.get("/sign-in/"), "Continue with GitHub")
    settings.GITHUB_CLIENT_ID = ""
    assertNotContains(client.get("/sign-in/"), "Continue with")
