"""The door as a whole: what is not there, what hostile hands send, and where nobody is sent."""

import json

import pytest
from django.urls import NoReverseMatch, reverse
from pytest_django.asserts import assertRedirects

from accounts.models import User

EVIL = ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
NOISE = ["", "null", "[]", "{}", "7", '"x"', "{", '{"id": 1}', "\0", "🚢" * 3000, "9" * 100, "[" * 2000]
ODD = [
    {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}},
    {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": None},
    {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": "x"},
    {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {
            "clientDataJSON": "e30",
            "authenticatorData": "AAAA",
            "signature": "AAAA",
            "userHandle": "AAAA",
        },
    },
    {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {"clientDataJSON": "e30", "attestationObject": "AAAA"},
    },
]


@pytest.fixture
def confirmed(alice, client):
    client.force_login(alice)
    client.post("/account/confirm/", {"password": "a fine password"})
    return client


def hostile():
    return [*NOISE, *map(json.dumps, ODD)]


@pytest.mark.parametrize(
    "name", ["account_signup", "socialaccount_signup", "mfa_signup_webauthn", "account_logout"]
)
def test_nobody_can_sign_up(name):
    with pytest.raises(NoReverseMatch):
        reverse(name)


@pytest.mark.parametrize("credential", hostile())
def test_noise_is_no_passkey(db, client, credential):
    client.get("/sign-in/passkey/", headers={"accept": "application/json"})
    assertRedirects(client.post("/sign-in/passkey/", {"credential": credential}), "/sign-in/")
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("credential", hostile())
def test_noise_makes_no_passkey(confirmed, credential):
    confirmed.get("/account/two-factor/passkeys/new/")
    answer = confirmed.post("/account/two-factor/passkeys/new/", {"credential": credential, "name": "x"})
    assert answer.status_code == 200
    assert "Turn on" not in answer.text


@pytest.mark.parametrize("code", NOISE)
def test_noise_is_no_code(confirmed, code):
    confirmed.get("/account/two-factor/app/")
    assert confirmed.post("/account/two-factor/app/", {"code": code}).status_code == 200


@pytest.mark.promise("I-45")
@pytest.mark.parametrize("away", EVIL)
def test_confirming_sends_nobody_elsewhere(alice, client, away):
    client.force_login(alice)
    answer = client.post("/account/confirm/", {"password": "a fine password", "next": away})
    assert answer.status_code == 302
    assert "evil" not in answer.url
    assert "javascript" not in answer.url


def test_links_that_nobody_made_are_answered_alike(client, db):
    for path in (
        "/sign-in/forgotten/x-y/",
        f"/sign-in/forgotten/{'z' * 300}-{'y' * 300}/",
        "/account/email/no:such:key/",
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "This link no longer works" in answer.text
        assert (
            "no longer works" in client.post(path, {"password1": "x"}).text
            or client.post(path).status_code == 404
        )
    assert not User.objects.exists()
