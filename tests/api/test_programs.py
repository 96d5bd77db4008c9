"""OAuth clients and sessions, as the API serves them."""

import pytest

from accounts.models import OAuthClient

BACK = "https://bot.example.com/back"


def test_a_program_is_registered_changed_and_forgotten(api, as_charlie):
    made = api.post("/oauth/clients", {"name": "Bot", "redirect_uri": BACK}).json()
    path = f"/oauth/clients/{made['id']}"
    assert made["secret"].startswith("client-") and "*" not in made["secret"]
    assert "*" in api.get(path).json()["secret"]
    assert [row["name"] for row in api.get("/oauth/clients").json()] == ["Bot"]
    changed = api.patch(path, {"name": "Robot"}).json()
    assert (changed["name"], changed["redirect_uri"]) == ("Robot", BACK)
    assert api.patch(path, {"redirect_uri": "http://example.com"}).status_code == 422
    fresh = api.post(f"{path}/actions/rotate-credentials").json()["secret"]
    assert fresh not in ("", made["secret"])
    for answer in (as_charlie.get(path), as_charlie.patch(path, {}), as_charlie.delete(path)):
        assert answer.json()["resource"] == "oauth_client"
    assert api.delete(path).status_code == 200
    assert not OAuthClient.objects.exists()


@pytest.mark.promise("I-37")
def test_secrets_are_kept_as_digests(api):
    made = api.post("/oauth/clients", {"name": "Bot", "redirect_uri": BACK}).json()
    assert made["secret"] not in str(OAuthClient.objects.values().get())


def test_sessions_are_the_browsers_that_one_is_signed_in_with(api, alice, client):
    client.force_login(alice)
    client.get("/account/", headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
    (row,) = api.get("/oauth/sessions").json()
    assert row["description"].startswith("Firefox on Linux")
    assert api.delete(f"/oauth/sessions/{row['id']}").json()["id"] == row["id"]
    assert client.get("/account/").status_code == 302
    assert api.delete("/oauth/sessions/~").json()["resource"] == "session"
