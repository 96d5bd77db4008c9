"""/apps and what is below."""

import pytest

from apps.models import App, Dyno
from tests.factories import make_app


def test_create_info_rename_destroy(api):
    made = api.post("/apps", {"name": "shop"})
    assert made.status_code == 201
    app = made.json()
    assert (app["name"], app["owner"]["email"], app["generation"]["name"]) == (
        "shop",
        "alice@example.com",
        "cedar",
    )
    assert app["git_url"].endswith("/shop.git")
    assert app["created_at"].endswith("Z")
    assert api.get(f"/apps/{app['id']}").json() == api.get("/apps/shop").json()
    assert api.patch("/apps/shop", {"name": "store", "maintenance": True}).json()["maintenance"] is True
    assert api.delete("/apps/store").status_code == 200
    assert api.get("/apps/store").status_code == 404
    assert api.post("/apps", {"name": "store"}).json()["message"] == "Name store is already taken."


def test_create_without_a_body_gets_a_name(api):
    assert api.post("/apps").status_code == 201
    assert App.objects.get().name


def test_bad_names(api):
    for name in ("A", "-a", "x" * 31, "shop_1", "www", "é" * 5):
        answer = api.post("/apps", {"name": name})
        assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params"), name


@pytest.mark.promise("I-28")
def test_foreign_and_absent_are_the_same(api, as_charlie, alice):
    make_app("shop", owner=alice, released=True)
    for method, path in [
        ("GET", ""),
        ("GET", "/releases"),
        ("GET", "/config-vars"),
        ("PATCH", "/config-vars"),
        ("GET", "/formation"),
        ("GET", "/dynos"),
        ("GET", "/builds"),
        ("DELETE", ""),
        ("POST", "/log-sessions"),
        ("GET", "/domains"),
        ("GET", "/collaborators"),
    ]:
        body = {} if method != "GET" else None
        foreign, absent = (
            as_charlie(method, f"/apps/shop{path}", body),
            as_charlie(method, f"/apps/none{path}", body),
        )
        assert foreign.status_code == absent.status_code == 404, path
        assert foreign.content == absent.content, path
    assert as_charlie.get("/apps").json() == []


def test_what_roles_may(shop, as_bob, as_vera):
    assert as_vera.get("/apps/shop-staging").status_code == 200
    assert as_vera.get("/apps/shop-staging/config-vars").status_code == 403
    assert "right to deploy" in as_vera.get("/apps/shop-staging/config-vars").json()["message"]
    assert as_bob.patch("/apps/shop-staging/config-vars", {"A": "1"}).json() == {"A": "1"}
    assert as_bob.delete("/apps/shop-staging").status_code == 403
    assert as_bob.post("/apps/shop-staging/log-sessions", {}).status_code == 201
    assert as_vera.post("/apps/shop-staging/log-sessions", {}).status_code == 403


def test_config_vars_make_one_release(api, alice):
    make_app("shop", owner=alice)
    assert api.patch("/apps/shop/config-vars", {"A": "1", "B": "2"}).json() == {"A": "1", "B": "2"}
    assert api.patch("/apps/shop/config-vars", {"A": None, "C": "3"}).json() == {"B": "2", "C": "3"}
    assert [r["description"] for r in api.get("/apps/shop/releases").json()] == [
        "Set A, B config vars",
        "Set C config var; Remove A config var",
    ]
    assert api.get("/apps/shop/releases/1/config-vars").json() == {"A": "1", "B": "2"}
    assert api.patch("/apps/shop/config-vars", {"BIG": "x" * 33_000}).status_code == 422
    assert api.patch("/apps/shop/config-vars", {"A": 1}).status_code == 422


def test_formation_and_restart(api, alice):
    make_app("shop", owner=alice, released=True)
    assert api.get("/apps/shop/formation").json()[0]["quantity"] == 1
    assert api.patch("/apps/shop/formation/web", {"quantity": "+2"}).json()["quantity"] == 3
    answer = api.patch(
        "/apps/shop/formation", {"updates": [{"type": "web", "quantity": 1, "size": "Standard-2X"}]}
    )
    assert (answer.json()[0]["quantity"], answer.json()[0]["size"]) == (1, "Standard-2X")
    assert (
        api.patch("/apps/shop/formation", {"updates": [{"type": "none", "quantity": 1}]}).status_code == 404
    )
    for asked, why in (
        (101, "100"),
        ("1000000", "100 at most"),
        ("+-1", "neither"),
        ("٣", "neither"),
        ("", "neither"),
    ):
        answer = api.patch("/apps/shop/formation/web", {"quantity": asked})
        assert (answer.status_code, why in answer.json()["message"]) == (422, True), answer.text
    assert api.patch("/apps/shop/formation/web", {"size": "huge"}).status_code == 422
    assert api.delete("/apps/shop/dynos").status_code == 202


def test_a_region_or_space_that_is_not_here(api):
    assert api.post("/apps", {"name": "far", "region": "tokyo"}).json()["message"] == (
        "There is no region tokyo. There is local."
    )
    assert "no private spaces" in api.post("/teams/apps", {"name": "far", "space": "moon"}).json()["message"]
    assert api.get("/apps/far").status_code == 404
    assert api.post("/apps", {"name": "far", "region": "eu"}).json()["region"]["name"] == "local"


def test_an_owner_is_no_collaborator(api, alice):
    app = make_app("shop", owner=alice)
    for path in ("/apps/shop/collaborators", "/teams/apps/shop/collaborators"):
        answer = api.post(path, {"user": "alice@example.com"})
        assert (answer.status_code, "alice@example.com's own" in answer.json()["message"]) == (422, True)
    assert not app.collaborators.exists()


def test_a_size_for_all_process_types_leaves_the_release_phase_alone(api, alice):
    app = make_app("shop", owner=alice, released=True)
    types = {"web": "x", "release": "migrate"}
    app.releases.update(process_types=types)
    listed = [row["type"] for row in api.get("/apps/shop/formation").json()]
    assert listed == ["web", "release"]
    all_of_them = {"updates": [{"type": type, "size": "basic"} for type in listed]}
    sizes = {row["type"]: row["size"] for row in api.patch("/apps/shop/formation", all_of_them).json()}
    assert sizes == {"web": "Basic", "release": "Standard-1X"}
    assert api.get("/apps/shop/formation/release").json()["command"] == "migrate"
    for update in ({"quantity": 1}, {"size": "basic"}):
        assert (
            "each release runs it once" in api.patch("/apps/shop/formation/release", update).json()["message"]
        )
        alone = api.patch("/apps/shop/formation", {"updates": [{"type": "release", **update}]})
        assert alone.status_code == 422
    both = {"updates": [{"type": "web", "quantity": 2}, {"type": "release", "quantity": 1}]}
    assert api.patch("/apps/shop/formation", both).status_code == 422
    assert app.formation.get().quantity == 1


def test_releases_slugs_and_rollback(api, alice):
    make_app("shop", owner=alice, released=True)
    release = api.get("/apps/shop/releases/v1").json()
    assert (release["status"], release["current"], release["version"]) == ("succeeded", True, 1)
    slug = api.get(f"/apps/shop/slugs/{release['slug']['id']}").json()
    assert slug["process_types"] == {"web": "python -m http.server $PORT"}
    made = api.post("/apps/shop/releases", {"release": release["id"]})
    assert (made.status_code, made.json()["description"]) == (201, "Rollback to v1")
    assert api.get("/apps/shop/releases/99").status_code == 404
    assert api.get("/apps/shop/releases/99999999999999999999").status_code == 404


@pytest.mark.promise("I-30")
def test_children_are_looked_up_inside_their_app(api, alice, charlie):
    make_app("mine", owner=alice, released=True)
    theirs = make_app("theirs", owner=charlie, released=True).releases.get()
    assert api.get(f"/apps/mine/releases/{theirs.pk}").status_code == 404
    assert api.get(f"/apps/mine/slugs/{theirs.slug_id}").status_code == 404
    assert api.post("/apps/mine/releases", {"release": str(theirs.pk)}).status_code == 404
    assert api.post("/apps/mine/releases", {"slug": str(theirs.slug_id)}).status_code == 404


def test_domains_collaborators_buildpacks(api, alice, bob):
    make_app("shop", owner=alice)
    assert (
        api.post("/apps/shop/domains", {"hostname": "WWW.Example.com"}).json()["hostname"]
        == "www.example.com"
    )
    assert api.post("/apps/shop/domains", {"hostname": "www.example.com"}).status_code == 422
    assert api.delete("/apps/shop/domains/www.example.com").status_code == 200
    shared = api.post(
        "/apps/shop/collaborators", {"user": "bob@example.com", "permissions": ["deploy"]}
    ).json()
    assert [p["name"] for p in shared["permissions"]] == ["view", "deploy"]
    assert api.delete("/apps/shop/collaborators/bob@example.com").status_code == 200
    answer = api("PUT", "/apps/shop/buildpack-installations", {"updates": [{"buildpack": "heroku/python"}]})
    # The CLI shows an address of this form as the name, and finds the buildpack again by it.
    url = "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz"
    assert answer.json() == [{"ordinal": 0, "buildpack": {"name": "heroku/python", "url": url}}]
    again = api("PUT", "/apps/shop/buildpack-installations", {"updates": [{"buildpack": url}]})
    assert again.json() == answer.json()


def test_numbers_among_the_variables_of_a_one_off_dyno_are_text(api, alice):
    """A terminal's size comes as numbers."""
    make_app("shop", owner=alice, released=True)
    body = {"command": "true", "attach": True, "env": {"COLUMNS": 120, "LINES": "40", "X": None}}
    made = api.post("/apps/shop/dynos", body)
    assert made.status_code == 201
    assert made.json()["attach_url"].startswith("rendezvous://localhost:")
    assert Dyno.objects.get(one_off=True).env == {"COLUMNS": "120", "LINES": "40"}
