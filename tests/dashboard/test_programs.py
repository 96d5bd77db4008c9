"""Programs of others: the whole way from the link to a call of the API, and taking it back."""

import base64
import hashlib
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.utils import timezone
from pytest_django.asserts import assertContains

from accounts import oauth
from accounts.models import ApiToken, OAuthClient, OAuthCode
from tests.afresh import sign_in_afresh
from tests.factories import make_app

BACK = "https://bot.example.com/back"
VERIFIER = "a-verifier-that-is-long-enough-for-anybody-to-like-it"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def bot(charlie):
    client, secret = oauth.create_client("Bot", BACK, by=charlie)
    client.secret = secret
    return client


@pytest.fixture
def signed_in(alice, client):
    sign_in_afresh(client, alice)
    return client


def link(bot, **extra):
    return {"client_id": str(bot.pk), "response_type": "code", "scope": "read", "state": "x&y", **extra}


def code_from(client, bot, **extra):
    answer = client.post("/oauth/authorize/approval/", link(bot, **extra))
    assert answer.status_code == 303 and answer.url.startswith(f"{BACK}?"), answer.text
    query = parse_qs(urlsplit(answer.url).query)
    assert query["state"] == ["x&y"]
    return query["code"][0]


def fetch(client, bot, code, **extra):
    form = {"grant_type": "authorization_code", "code": code, "client_secret": bot.secret, **extra}
    return client.post("/oauth/token", form)


def call(client, path, token, method="get"):
    return getattr(client, method)(path, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.promise("I-32")
def test_a_program_is_let_in_and_does_what_was_agreed(signed_in, bot, alice):
    make_app("shop", owner=alice)
    page = signed_in.get(f"/oauth/authorize?{urlencode(link(bot))}")
    assertContains(page, "without their config vars")
    assertContains(page, "charlie@example.com")
    assert "https://bot.example.com" in page.headers["Content-Security-Policy"]
    answer = fetch(signed_in, bot, code_from(signed_in, bot))
    assert answer.headers["Cache-Control"].endswith("no-store")
    granted = answer.json()
    assert (granted["token_type"], granted["scope"], granted["user_id"]) == ("Bearer", "read", str(alice.pk))
    token = granted["access_token"]
    assert [row["name"] for row in call(signed_in, "/apps", token).json()] == ["shop"]
    for path, method in (
        ("/apps/shop/config-vars", "get"),
        ("/apps/shop", "delete"),
        ("/oauth/clients", "get"),
    ):
        assert call(signed_in, path, token, method).json()["id"] == "forbidden", path


@pytest.mark.promise("I-32")
def test_a_code_works_once_and_a_second_try_ends_what_it_gave(signed_in, bot):
    code = code_from(signed_in, bot)
    token = fetch(signed_in, bot, code).json()["access_token"]
    again = fetch(signed_in, bot, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert call(signed_in, "/account", token).status_code == 401


def test_a_token_is_renewed_and_the_old_one_ends(signed_in, bot):
    first = fetch(signed_in, bot, code_from(signed_in, bot)).json()
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert call(signed_in, "/account", first["access_token"]).status_code == 401
    form = {
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
        "client_secret": bot.secret,
    }
    second = signed_in.post("/oauth/token", form).json()
    assert call(signed_in, "/account", second["access_token"]).status_code == 200
    assert ApiToken.objects.count() == 1
    ApiToken.objects.update(revoked_at=timezone.now())
    assert signed_in.post("/oauth/token", form).json()["error"] == "invalid_grant"


def test_who_is_not_the_program_gets_nothing(signed_in, bot, alice):
    other, secret = oauth.create_client("Other", BACK, by=alice)
    for extra, error in (
        ({"client_secret": secret}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"client_id": str(other.pk)}, "invalid_client"),
        ({"code": "code-wrong"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ):
        assert fetch(signed_in, bot, **{"code": code_from(signed_in, bot), **extra}).json()["error"] == error
    basic = base64.b64encode(f"{bot.pk}:{bot.secret}".encode()).decode()
    form = {"grant_type": "authorization_code", "code": code_from(signed_in, bot)}
    assert (
        signed_in.post("/oauth/token", form, headers={"Authorization": f"Basic {basic}"}).status_code == 200
    )


def test_proof_keys_are_demanded_where_they_were_announced(signed_in, bot):
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    assert fetch(signed_in, bot, code_from(signed_in, bot, **pkce)).json()["error"] == "invalid_grant"
    right = fetch(signed_in, bot, code_from(signed_in, bot, **pkce), code_verifier=VERIFIER)
    assert right.status_code == 200


def test_a_code_gets_old(signed_in, bot):
    code = code_from(signed_in, bot)
    OAuthCode.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    assert "expired" in fetch(signed_in, bot, code).json()["error_description"]


def test_wrong_links_send_nobody_anywhere(signed_in, bot):
    for wrong, status in (
        ({"client_id": "x"}, 404),
        ({"response_type": "token"}, 422),
        ({"redirect_uri": "https://evil.example.com/"}, 422),
        ({"scope": "everything"}, 422),
        ({"code_challenge": "x"}, 422),
    ):
        for answer in (
            signed_in.get("/oauth/authorize", link(bot, **wrong)),
            signed_in.post("/oauth/authorize/approval/", link(bot, **wrong)),
        ):
            assert "evil" not in answer.get("Location", "") and answer.status_code in (status, 302)
    assert not OAuthCode.objects.exists()
    no = signed_in.post("/oauth/authorize/refusal/", link(bot))
    assert no.url == f"{BACK}?error=access_denied&state=x%26y"


def test_consent_asks_for_a_fresh_proof(alice, client, bot):
    client.force_login(alice)
    assert "/account/confirm/" in client.post("/oauth/authorize/approval/", link(bot)).url
    assert not OAuthCode.objects.exists()
    after = client.post(
        f"/account/confirm/?next={urlencode({'': '/oauth/authorize/approval/'})[1:]}",
        {"password": "a fine password"},
    )
    assert after.url.startswith(BACK)  # what was asked for goes on from where it stopped


def test_what_was_granted_is_listed_and_taken_back(signed_in, bot, charlie, client):
    token = fetch(signed_in, bot, code_from(signed_in, bot)).json()["access_token"]
    page = signed_in.get("/account/programs/")
    assertContains(page, "Bot")
    assertContains(page, "See your apps and pipelines, without their config vars")
    assert "Bot" not in signed_in.get("/account/tokens/").text
    row = ApiToken.objects.get()
    client.force_login(charlie)
    assert client.post(f"/account/programs/{row.pk}/removal/").status_code == 404
    assert call(client, "/account", token).status_code == 200
    client.force_login(row.user)
    client.post(f"/account/programs/{row.pk}/removal/")
    assert call(client, "/account", token).status_code == 401


def test_programs_are_registered_renewed_and_removed(signed_in, alice):
    refused = signed_in.post(
        "/account/programs/own/new/", {"name": "Bot", "redirect_uri": "http://example.com"}
    )
    assertContains(refused, "Give an https address", status_code=422)
    assertContains(refused, 'value="Bot"', status_code=422)
    made = signed_in.post("/account/programs/own/new/", {"name": "Bot", "redirect_uri": BACK})
    row = OAuthClient.objects.get(user=alice)
    secret = made.text.partition("<code>client-")[2].partition("</code>")[0]
    assert len(secret) > 40 and secret not in signed_in.get("/account/programs/").text
    again = signed_in.post(f"/account/programs/own/{row.pk}/secret/").text
    assert "<code>client-" in again and secret not in again
    signed_in.post(f"/account/programs/own/{row.pk}/removal/")
    assert not OAuthClient.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com", "javascript:alert(1)", "https://x.example/#f", "https://a b", "ftp://x", "",
        "https://user@x.example/", "https://x;script-src/", "https://x.example:99999/", "https://[", "https:///x",
    ],
)  # fmt: skip
def test_addresses_that_nobody_is_sent_to(alice, address):
    with pytest.raises(oauth.Refusal):
        oauth.create_client("Bot", address, by=alice)
