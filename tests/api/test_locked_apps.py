"""Locked apps: who had joined goes on, everybody else of the team looks on."""

from apps.models import App, Collaborator
from tests.factories import make_app


def test_who_has_joined_keeps_their_rights_in_a_locked_app(api, as_bob, as_vera, team, bob):
    make_app("till", owner=team, released=True)
    joined = as_bob.post("/teams/apps/till/collaborators", {"user": "bob@example.com"}).json()
    assert {row["name"] for row in joined["permissions"]} == {"view", "deploy", "operate"}
    assert api.patch("/teams/apps/till", {"locked": True}).json()["locked"] is True
    assert as_bob.patch("/apps/till", {"maintenance": True}).status_code == 200
    assert as_bob.patch("/teams/apps/till", {"locked": False}).status_code == 403
    left = as_bob.delete("/apps/till/collaborators/bob@example.com")
    assert left.json()["role"] == "member"
    assert as_bob.patch("/apps/till", {"maintenance": False}).status_code == 403
    again = as_bob.post("/teams/apps/till/collaborators", {"user": "bob@example.com"})
    assert again.status_code == 403 and "Ask someone who manages it" in again.json()["message"]
    assert as_bob.get("/apps/till").status_code == 200
    assert api.patch("/teams/apps/till", {"locked": False}).json()["locked"] is False
    assert as_bob.patch("/apps/till", {"maintenance": False}).status_code == 200


def test_who_joins_is_given_nothing_that_their_role_does_not_give(api, as_vera, as_charlie, team, vera):
    make_app("till", owner=team, released=True)
    assert as_vera.post("/teams/apps/till/collaborators", {"user": "vera@example.com"}).status_code == 201
    assert as_vera.patch("/apps/till", {"maintenance": True}).status_code == 403
    assert (
        as_charlie.post("/teams/apps/till/collaborators", {"user": "charlie@example.com"}).status_code == 404
    )
    assert Collaborator.objects.get().user == vera
    api.delete("/teams/acme/members/vera@example.com")
    assert as_vera.get("/apps/till").status_code == 404
    assert as_vera.get("/apps").json() == []


def test_who_a_locked_app_is_shared_with_has_what_they_were_given(api, as_bob, team):
    make_app("till", owner=team, released=True)
    api.patch("/teams/apps/till", {"locked": True})
    assert as_bob.get("/apps/till/config-vars").status_code == 403
    api.post("/apps/till/collaborators", {"user": "bob@example.com", "permissions": ["deploy"]})
    assert as_bob.get("/apps/till/config-vars").status_code == 200
    assert as_bob.patch("/apps/till", {"maintenance": True}).status_code == 403  # that is to operate


def test_only_a_teams_app_is_locked(api, alice):
    make_app("mine", owner=alice)
    assert "only a team's app" in api.patch("/teams/apps/mine", {"locked": True}).json()["message"]
    assert App.objects.get().locked is False


def test_the_page_locks_and_tells(team, alice, client):
    make_app("till", owner=team)
    client.force_login(alice)
    assert "not joined" in client.get("/apps/till/access/").text
    client.post("/apps/till/lock/")
    page = client.get("/apps/till/access/").text
    assert "Locked: members of acme" in page and ">Unlock<" in page
    client.post("/apps/till/lock/removal/")
    assert App.objects.get().locked is False
