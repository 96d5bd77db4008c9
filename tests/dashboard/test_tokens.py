"""API tokens: shown once, revoked at once."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.asserts import assertContains, assertRedirects

from accounts import actions
from accounts.models import ApiToken
from tests.afresh import sign_in_afresh


@pytest.mark.promise("I-32")
def test_a_token_is_shown_once(alice, client):
    sign_in_afresh(client, alice)
    answer = client.post("/account/tokens/new/", {"description": "My laptop", "days": "90"})
    token = ApiToken.objects.get()
    secret = answer.text.partition("<code>SLWY-")[2].partition("</code>")[0]
    assert ApiToken.objects.presented(f"SLWY-{secret}") == token
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert timedelta(days=89) < token.expires_at - timezone.now() < timedelta(days=91)
    again = client.get("/account/tokens/").text
    assert "My laptop" in again and token.hint in again and secret not in again


def test_a_token_may_have_no_end_but_no_odd_one(alice, client):
    sign_in_afresh(client, alice)
    client.post("/account/tokens/new/", {"days": ""})
    assert ApiToken.objects.get().expires_at is None
    for days in ("0", "-1", "x", "99999"):
        refused = client.post("/account/tokens/new/", {"days": days, "description": "My laptop"})
        assertContains(refused, "1 to 3650 days", status_code=422)
        assertContains(refused, 'value="My laptop"', status_code=422)
    assert ApiToken.objects.count() == 1


def test_it_is_revoked_at_once(alice, client):
    token, secret = actions.create_token(alice, by=alice)
    client.force_login(alice)
    answer = client.post(f"/account/tokens/{token.pk}/removal/")
    assertRedirects(answer, "/account/tokens/", status_code=303, fetch_redirect_response=False)
    assert ApiToken.objects.presented(secret) is None
    page = client.get("/account/tokens/")
    assertContains(page, f"(…{token.hint}) is revoked")
    assertContains(page, "No tokens yet")


def test_it_says_where_to_use_one(shop, alice, client):
    sign_in_afresh(client, alice)
    assertContains(client.get("/account/tokens/"), "git remote add slipway http://localhost:8000/shop-")
    made = client.post("/account/tokens/new/", {"days": ""})
    secret = made.text.partition("<code>SLWY-")[2].partition("</code>")[0]
    assertContains(made, f"Authorization: Bearer SLWY-{secret}")


def test_it_leads_back_to_the_app_it_was_made_for(shop, alice, charlie, client):
    asked = {"description": "git push", "days": "90", "app": "shop-staging"}
    sign_in_afresh(client, alice)
    page = client.post("/account/tokens/new/", asked).text
    assert 'href="/apps/shop-staging/"' in page and "/shop-staging.git" in page
    sign_in_afresh(client, charlie)
    assert "shop-staging" not in client.post("/account/tokens/new/", asked).text


def test_making_one_asks_for_a_fresh_proof(alice, client):
    client.force_login(alice)
    asked = client.post("/account/tokens/new/", {"description": "My laptop", "days": "90"})
    assert (
        asked.url == "/account/confirm/?next=%2Faccount%2Ftokens%2Fnew%2F" and not ApiToken.objects.exists()
    )
    wrong = client.post(asked.url, {"password": "guess"})
    assert wrong.status_code == 200 and not ApiToken.objects.exists()
    assertContains(client.post(asked.url, {"password": "a fine password"}), "<code>SLWY-")
    assert ApiToken.objects.get().description == "My laptop"


@pytest.mark.promise("I-28")
def test_tokens_of_others_are_absent(alice, charlie, client):
    token, secret = actions.create_token(alice, by=alice)
    client.force_login(charlie)
    assert token.hint not in client.get("/account/tokens/").text
    assert client.post(f"/account/tokens/{token.pk}/removal/").status_code == 404
    assert ApiToken.objects.presented(secret) == token


def test_get_makes_and_revokes_nothing(alice, client):
    token, secret = actions.create_token(alice, by=alice)
    client.force_login(alice)
    assert client.get("/account/tokens/new/").status_code == 405
    assert client.get(f"/account/tokens/{token.pk}/removal/").status_code == 405
    assert ApiToken.objects.presented(secret)
