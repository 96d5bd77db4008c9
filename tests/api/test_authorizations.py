"""Tokens, and how a program gets its first one."""

import base64

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client

from accounts import two_factor
from accounts.models import ApiToken
from core.models import Event
from tests.api.conftest import ACCEPT, ApiClient

PASSWORD = "a fine password"  # as tests.factories.make_user gives
SECRET = "JBSWY3DPEHPK3PXP"


def log_in(email="alice@example.com", password=PASSWORD, **headers):
    basic = base64.b64encode(f"{email}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Accept": ACCEPT, **headers}
    body = '{"description": "cli", "expires_in": 2592000, "scope": ["global"]}'
    return Client().post("/oauth/authorizations", body, content_type="application/json", headers=headers)


def test_a_password_makes_a_token_that_works(alice):
    answer = log_in()
    assert answer.status_code == 201
    made = answer.json()
    assert (made["user"]["email"], made["description"]) == ("alice@example.com", "cli")
    assert 2591000 < made["access_token"]["expires_in"] <= 2592000
    used = Client().get(
        "/account", headers={"Authorization": f"Bearer {made['access_token']['token']}", "Accept": ACCEPT}
    )
    assert used.json()["id"] == str(alice.pk)


@pytest.mark.promise("I-36")
def test_wrong_passwords_look_alike_and_cost_patience(alice):
    answers = [log_in(password="wrong"), log_in("nobody@example.com")]
    assert [(a.status_code, a.json()["id"]) for a in answers] == [(401, "unauthorized")] * 2
    assert answers[0].json()["message"] == answers[1].json()["message"]
    assert [log_in(password="wrong").status_code for _ in range(6)][-1] == 429
    assert log_in().status_code == 429  # the right one has to wait too
    assert not ApiToken.objects.exists()


def test_a_second_factor_is_asked_for(alice):
    Authenticator.objects.create(
        user=alice, type=Authenticator.Type.TOTP, data={"secret": two_factor.seal(SECRET)}
    )
    answer = log_in()
    assert (answer.status_code, answer.json()["id"]) == (403, "two_factor")
    assert log_in(**{"Heroku-Two-Factor-Code": "000000"}).json()["id"] == "two_factor"
    code = format_hotp_value(hotp_value(SECRET, next(yield_hotp_counters_from_time())))
    assert log_in(**{"Heroku-Two-Factor-Code": code}).status_code == 201


@pytest.mark.promise("I-36")
def test_codes_can_not_all_be_tried_here_or_at_the_door(alice, client):
    Authenticator.objects.create(
        user=alice, type=Authenticator.Type.TOTP, data={"secret": two_factor.seal(SECRET)}
    )
    tries = [log_in(**{"Heroku-Two-Factor-Code": f"00000{n}"}).status_code for n in range(6)]
    assert tries == [403] * 5 + [429]
    code = format_hotp_value(hotp_value(SECRET, next(yield_hotp_counters_from_time())))
    assert log_in(**{"Heroku-Two-Factor-Code": code}).status_code == 429
    client.post("/sign-in/", {"email": "alice@example.com", "password": PASSWORD})
    assert "Too many tries" in client.post("/sign-in/two-factor/", {"code": code}).text
    assert Event.objects.filter(verb="refused a second factor of").count() == 5
    assert not ApiToken.objects.exists()


def test_who_must_have_a_second_factor_sets_it_up_first(alice, settings):
    settings.REQUIRE_TWO_FACTOR = "everyone"
    answer = log_in()
    assert answer.status_code == 403
    assert "set one up first" in answer.json()["message"]


def test_tokens_are_listed_with_only_the_presented_one_in_full(api, alice):
    other = api.post("/oauth/authorizations", {"description": "other"}).json()
    tokens = {
        row["description"]: row["access_token"]["token"] for row in api.get("/oauth/authorizations").json()
    }
    assert tokens[""] == api.token
    assert tokens["other"] == f"SLWY-{'*' * 10}{other['access_token']['token'][-4:]}"


def test_a_token_is_described_regenerated_and_revoked(api, alice):
    made = api.post("/oauth/authorizations", {"description": "ci", "expires_in": "60"}).json()
    path = f"/oauth/authorizations/{made['id']}"
    assert api.patch(path, {"description": "build server"}).json()["description"] == "build server"
    fresh = api.post(f"{path}/actions/regenerate-tokens").json()["access_token"]["token"]
    assert ApiToken.objects.presented(made["access_token"]["token"]) is None
    assert str(ApiToken.objects.presented(fresh).pk) == made["id"]
    assert api.delete(path).status_code == 200
    assert ApiToken.objects.presented(fresh) is None
    assert api.get(path).json()["resource"] == "authorization"


def test_tokens_of_others_are_not_there(api, bob):
    theirs = ApiClient(bob).get("/oauth/authorizations").json()[0]["id"]
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/actions/regenerate-tokens")]:
        assert api(method, f"/oauth/authorizations/{theirs}{path}", {}).status_code == 404


def test_bad_scopes_and_ends_are_refused(api):
    for body in ({"scope": ["all"]}, {"expires_in": -1}, {"expires_in": 10**12}, {"description": "x" * 300}):
        assert api.post("/oauth/authorizations", body).status_code == 422, body


def test_what_logging_out_asks_for(api):
    assert api.delete("/oauth/sessions/~").json()["resource"] == "session"
    assert api.get("/oauth/authorizations/~").json()["resource"] == "authorization"
