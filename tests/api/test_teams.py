"""Teams, their members and invitations, and rights in their apps."""

import pytest

from accounts.models import Invitation, Membership, Team
from apps.models import App
from tests.factories import make_app


@pytest.fixture(autouse=True)
def app(team, alice):
    return make_app("shop", owner=team)


def roles(api):
    return {row["email"]: row["role"] for row in api.get("/teams/acme/members").json()}


def test_a_team_by_name_and_id(api, team):
    found = api.get("/teams/acme").json()
    assert (found["name"], found["role"], found["type"]) == ("acme", "admin", "team")
    assert api.get(f"/teams/{team.pk}").json() == found
    assert {row["name"] for row in api.get("/teams/acme/features").json()} == {
        "team-invite-acceptance", "org-access-controls",
    }  # fmt: skip


def test_strangers_find_no_team(as_charlie):
    for path in ("", "/members", "/invitations", "/features", "/addons", "/apps"):
        assert as_charlie.get(f"/teams/acme{path}").status_code == 404, path


def test_roles_are_changed_by_admins_only(api, as_bob):
    assert roles(api)["bob@example.com"] == "member"
    assert (
        api.patch("/teams/acme/members", {"email": "bob@example.com", "role": "viewer"}).json()["role"]
        == "collaborator"
    )
    assert (
        as_bob.patch("/teams/acme/members", {"email": "bob@example.com", "role": "admin"}).status_code == 403
    )
    assert api.patch("/teams/acme/members", {"email": "bob@example.com", "role": "king"}).status_code == 422
    assert api.patch("/teams/acme/members", {"email": "no@example.com", "role": "admin"}).status_code == 404
    assert (
        api.patch("/teams/acme/members", {"email": "alice@example.com", "role": "member"}).status_code == 422
    )


def test_anyone_may_leave_and_admins_remove(api, as_bob, as_vera):
    assert as_vera.delete("/teams/acme/members/bob@example.com").status_code == 403
    assert as_bob.delete("/teams/acme/members/bob@example.com").status_code == 200
    assert api.delete("/teams/acme/members/vera@example.com").status_code == 200
    assert set(roles(api)) == {"alice@example.com"}


def test_invitations(api, as_bob, team):
    body = {"email": "New@example.com", "role": "member"}
    assert as_bob.put("/teams/acme/invitations", body).status_code == 403
    answer = api.put("/teams/acme/invitations", body)
    assert answer.json()["user"]["email"] == "new@example.com"
    assert "/invitations/" in answer.headers["Warning-Message"]  # no mail is sent here, so this is the link
    assert api.put("/teams/acme/invitations", body).status_code == 200  # asked twice, made once
    other = api.put("/teams/acme/invitations", {**body, "role": "admin"})
    assert (other.status_code, "invited as member already" in other.json()["message"]) == (409, True)
    assert api.put("/teams/acme/invitations", {**body, "role": "king"}).status_code == 422
    assert [row["role"] for row in api.get("/teams/acme/invitations").json()] == ["member"]
    assert as_bob.get("/teams/acme/invitations").status_code == 403
    assert api.delete("/teams/acme/invitations/new@example.com").status_code == 200
    assert Invitation.objects.open().count() == 0
    assert api.delete("/teams/acme/invitations/new@example.com").status_code == 404


def test_rights_in_a_teams_app(api, as_bob, as_charlie, charlie, team):
    path = "/teams/apps/shop/collaborators"
    assert as_bob.post(path, {"user": "charlie@example.com"}).status_code == 403
    assert api.post(path, {"user": "nobody"}).status_code == 404
    made = api.post(path, {"user": str(charlie.pk), "permissions": ["view"]})
    assert made.status_code == 201
    assert as_charlie.get("/apps/shop").status_code == 200
    assert as_charlie.get("/apps/shop/config-vars").status_code == 403
    changed = api.patch(f"{path}/charlie@example.com", {"permissions": ["view", "deploy"]}).json()
    assert {row["name"] for row in changed["permissions"]} == {"view", "deploy"}
    assert as_charlie.get("/apps/shop/config-vars").status_code == 200
    assert api.patch(f"{path}/charlie@example.com", {"permissions": ["fly"]}).status_code == 422
    assert as_bob.delete(f"{path}/charlie@example.com").status_code == 403
    assert api.get(f"{path}/charlie@example.com").json()["user"]["email"] == "charlie@example.com"
    assert [row["role"] for row in api.get(path).json()] == ["collaborator"]
    assert api.delete(f"{path}/charlie@example.com").status_code == 200
    assert as_charlie.get(path).status_code == 404
    assert {row["name"] for row in api.get("/teams/permissions").json()} == {
        "view",
        "deploy",
        "operate",
        "manage",
    }


def test_a_member_joins_without_a_row(as_bob, as_charlie):
    assert (
        as_bob.post("/teams/apps/shop/collaborators", {"user": "bob@example.com"}).json()["role"] == "member"
    )
    answer = as_charlie.post("/teams/apps/shop/collaborators", {"user": "charlie@example.com"})
    assert answer.status_code == 404


def test_an_app_moves_between_person_and_team(api, alice, team):
    make_app("mine", owner=alice)
    assert api.patch("/teams/apps/mine", {"owner": "acme"}).json()["team"]["name"] == "acme"
    assert api.get("/apps/mine").json()["owner"]["email"] == "acme@herokumanager.com"
    assert api.patch("/teams/apps/mine", {"locked": True}).json()["locked"] is True
    back = api.patch("/teams/apps/mine", {"owner": "alice@example.com"}).json()
    assert (back["team"], back["owner"]["email"], back["locked"]) == (None, "alice@example.com", False)
    assert Membership.objects.filter(team=team).count() == 3


def test_a_team_is_made_renamed_and_deleted(api, as_bob, bob):
    made = api.post("/teams", {"name": "works", "card_number": "1"})
    assert (made.status_code, made.json()["role"]) == (201, "admin")
    assert api.post("/teams", {"name": "works"}).status_code == 422
    assert as_bob.patch("/teams/works", {"name": "mine"}).status_code == 404
    id = made.json()["id"]
    assert api.patch(f"/teams/{id}", {"name": "workshop"}).json()["name"] == "workshop"
    make_app("tool", owner=Team.objects.get(pk=id))
    kept = api.delete("/teams/workshop")
    assert (kept.status_code, "owns tool" in kept.json()["message"]) == (422, True)
    App.objects.all().delete()
    assert api.delete("/teams/workshop").status_code == 200
    assert "workshop" not in [one["name"] for one in api.get("/teams").json()]


def test_who_is_no_admin_changes_no_team(team, as_bob, as_charlie):
    assert as_bob.patch("/teams/acme", {"name": "mine"}).status_code == 403
    assert as_bob.delete("/teams/acme").status_code == 403
    assert as_charlie.delete("/teams/acme").status_code == 404


def test_the_stages_of_a_teams_apps(shop, api, as_bob, as_charlie):
    found = as_bob.get("/teams/acme/pipeline-couplings").json()
    assert sorted(one["stage"] for one in found) == ["production", "staging"]
    assert as_charlie.get("/teams/acme/pipeline-couplings").status_code == 404
