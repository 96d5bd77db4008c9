"""Features, transfers, add-ons, filters, and what there is none of."""

from uuid import uuid4

import pytest

from apps.models import App, AppTransfer
from conductor.wishes import environment
from pipelines.models import Pipeline
from releases.models import Build, Source
from tests.factories import make_addon, make_app, make_pipeline, make_release
from tests.mailing import no_mailer  # noqa: F401


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


def test_features_are_switched(api, app, as_charlie):
    assert {row["name"]: row["enabled"] for row in api.get("/apps/shop/features").json()} == {
        "runtime-dyno-metadata": False, "preboot": True,
    }  # fmt: skip
    path = "/apps/shop/features/runtime-dyno-metadata"
    assert api.patch(path, {"enabled": True}).json()["enabled"] is True
    assert api.get(path).json()["enabled"] is True
    assert "always so" in api.patch("/apps/shop/features/preboot", {"enabled": False}).json()["message"]
    assert api.get("/apps/shop/features/nothing").json()["resource"] == "app_feature"
    assert as_charlie.patch(path, {"enabled": False}).status_code == 404


def test_dyno_metadata_reaches_the_dynos(api, app, alice):
    release = make_release(app, by=alice)
    assert "HEROKU_APP_NAME" not in environment(app, release, {})
    api.patch("/apps/shop/features/runtime-dyno-metadata", {"enabled": True})
    found = environment(App.objects.get(pk=app.pk), release, {})
    assert (found["HEROKU_APP_NAME"], found["HEROKU_RELEASE_VERSION"]) == ("shop", f"v{release.version}")


def test_account_features_that_the_cli_asks_about(api):
    assert api.get("/account/features/dashboard-repositories-api").json()["enabled"] is True
    assert api.get("/account/features/other").json()["resource"] == "account_feature"


def test_an_app_is_offered_accepted_and_declined(api, as_bob, app, bob):
    api.post("/apps/shop/collaborators", {"user": "bob@example.com"})
    made = api.post("/account/app-transfers", {"app": "shop", "recipient": "bob@example.com"}).json()
    assert made["state"] == "pending"
    path = f"/account/app-transfers/{made['id']}"
    assert api.patch(path, {"state": "accepted"}).status_code == 404  # not the sender's to accept
    assert as_bob.patch(path, {"state": "perhaps"}).status_code == 422
    assert as_bob.patch(path, {"state": "accepted"}).json()["state"] == "accepted"
    assert App.objects.get(name="shop").user == bob
    assert [row["role"] for row in as_bob.get("/apps/shop/collaborators").json()] == ["owner"]
    assert as_bob.patch(path, {"state": "declined"}).status_code == 409


def test_an_offer_is_taken_back(api, as_bob, as_charlie, app, bob):
    api.post("/account/app-transfers", {"app": "shop", "recipient": "bob@example.com"})
    assert as_charlie.get("/account/app-transfers/shop").status_code == 404
    assert api.delete("/account/app-transfers/shop").status_code == 200
    assert AppTransfer.objects.get().state == "withdrawn"
    assert (
        api.post("/account/app-transfers", {"app": "shop", "recipient": "x@example.com"}).status_code == 404
    )


def test_a_pipeline_goes_to_a_team_at_once_and_to_a_person_once_accepted(api, alice, bob, team):
    pipeline = make_pipeline("line", owner=alice)
    body = {"pipeline": {"id": str(pipeline.pk)}, "new_owner": {"id": str(bob.pk), "type": "user"}}
    answer = api.post("/pipeline-transfers", body)
    assert (answer.status_code, answer.json()["state"]) == (201, "pending")
    assert "has to accept" in answer.headers["Warning-Message"]
    assert Pipeline.objects.get().owner == alice
    body["new_owner"] = {"id": str(team.pk), "type": "team"}
    assert api.post("/pipeline-transfers", body).json()["state"] == "accepted"
    assert Pipeline.objects.get().owner == team


def test_apps_are_picked_by_id(api, app, charlie):
    foreign = make_app("foreign", owner=charlie)
    ids = [str(app.pk), str(foreign.pk), str(uuid4())]
    assert [row["name"] for row in api.post("/filters/apps", {"in": {"id": ids}}).json()] == ["shop"]
    assert api.post("/filters/apps", {"in": {"id": []}}).json() == []


def test_add_ons_that_are_there_are_found_by_any_name(api, app, as_charlie):
    addon = make_addon(app, name="pg-1")
    assert [row["name"] for row in api.get("/apps/shop/addons").json()] == ["pg-1"]
    assert api.get("/addons/pg-1").json()["config_vars"] == ["DATABASE_URL"]
    for name in ("pg-1", "DATABASE", "DATABASE_URL", "heroku-postgresql", str(addon.pk)):
        found = api.post("/actions/addons/resolve", {"addon": name, "app": "shop"}).json()
        assert [row["name"] for row in found] == ["pg-1"], name
    query = {"addon_attachment": "DATABASE_URL", "app": "shop"}
    assert api.post("/actions/addon-attachments/resolve", query).json()[0]["addon"]["name"] == "pg-1"
    assert api.get("/addons/pg-1/addon-attachments").json()[0]["name"] == "DATABASE"
    missing = api.post("/actions/addons/resolve", {"addon": "nope", "app": None})
    assert (missing.status_code, missing.json()["resource"]) == (404, "add_on")
    missing = api.post("/actions/addon-attachments/resolve", {"addon_attachment": "nope"})
    assert missing.json()["resource"] == "add_on attachment"
    assert as_charlie.get("/addons/pg-1").status_code == 404


def test_add_ons_that_cannot_be_had_say_why(api, app, no_mailer):  # noqa: F811
    answer = api.post("/apps/shop/addons", {"plan": {"name": "sendgrid:starter"}})
    assert answer.status_code == 404 and answer.json()["resource"] == "add_on_service"
    answer = api.post("/apps/shop/addons", {"plan": "mailer"})
    assert answer.status_code == 422 and "unavailable: " in answer.json()["message"]
    answer = api.post("/apps/shop/addons", {"plan": "loadbalancer"})
    assert answer.status_code == 422 and "belongs to a pipeline" in answer.json()["message"]


def test_the_next_build_after_a_purge_has_no_cache(api, app, alice):
    assert api.delete("/apps/shop/build-cache").status_code == 200
    source = api.post("/apps/shop/sources").json()["source_blob"]
    Source.objects.update(path="sources/x", checksum="")
    for _ in range(2):
        api.post("/apps/shop/builds", {"source_blob": {"url": source["get_url"]}})
    assert sorted(Build.objects.values_list("clear_cache", flat=True)) in ([False, True], [True])


def test_host_names_and_people_of_an_app_begin_with_what_it_has_by_nature(api, app, bob):
    api.post("/apps/shop/domains", {"hostname": "www.example.test"})
    assert [row["kind"] for row in api.get("/apps/shop/domains").json()] == ["heroku", "custom"]
    api.post("/apps/shop/collaborators", {"user": "bob@example.com"})
    assert [row["role"] for row in api.get("/apps/shop/collaborators").json()] == ["owner", "collaborator"]


def test_users_are_known_by_their_address_only(api, bob):
    found = api.get("/users/bob@example.com").json()
    assert (found["id"], found["last_login"]) == (str(bob.pk), None)
    assert api.get(f"/users/{bob.pk}").status_code == 404


def test_what_there_is_none_of(api):
    assert api.get("/spaces").json() == []
    assert api.get("/oauth/sessions").json() == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/client/v11/databases/x", "Couldn't find that add-on"),
        ("/client/v11/databases/x/nothing", "heroku help pg"),
        ("/spaces/x", "private spaces"),
        ("/enterprise-accounts", "a team's"),
        ("/apps/shop/nothing", "was not found"),
    ],
)
def test_what_is_not_there_says_what_to_do_instead(api, path, told):
    answer = api.get(path)
    assert (answer.status_code, answer.json()["id"]) == (404, "not_found")
    assert told in answer.json()["message"]


def test_what_is_refused_says_what_to_do_instead(api, alice):
    make_app("shop", owner=alice, released=True)
    for answer, told in (
        (api.patch("/apps/shop/formation/web", {"docker_image": None}), "Docker engine"),
        (api.patch("/apps/shop/formation", {"updates": [{"type": "web", "docker_image": "x"}]}), "with git"),
    ):
        assert answer.status_code == 422 and told in answer.json()["message"]


def test_another_method_of_what_is_not_there_says_so_too(api):
    answer = api.post("/spaces", {"name": "x"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert "private spaces" in answer.json()["message"]


def test_who_wants_into_a_running_dyno_is_told_what_to_do(api, alice):
    make_app("shop", owner=alice)
    answer = api.get("/apps/shop/features/runtime-heroku-exec")
    assert answer.status_code == 404 and "heroku run:inside" in answer.json()["message"]


def test_nothing_has_to_be_authorized_ahead(api, as_charlie, alice):
    make_app("shop", owner=alice)
    assert api.put("/apps/shop/pre-authorizations").status_code == 201
    assert as_charlie.put("/apps/shop/pre-authorizations").status_code == 404


def test_nothing_is_metered(api, as_charlie, team):
    make_app("shop", owner=team)
    for path, none in (
        ("/apps/shop/usage", "addons"),
        ("/teams/acme/apps/shop/usage", "addons"),
        ("/teams/acme/usage", "apps"),
    ):
        assert api.get(path).json()[none] == []
        assert as_charlie.get(path).status_code == 404


def test_what_an_app_can_have(api, as_charlie, alice):
    make_app("shop", owner=alice)
    assert [one["name"] for one in api.get("/apps/shop/available-stacks").json()] == ["slipway-24"]
    assert api.get("/apps/shop/available-dyno-sizes").json() == api.get("/dyno-sizes").json()
    assert as_charlie.get("/apps/shop/available-stacks").status_code == 404
    assert as_charlie.get("/apps/shop/available-dyno-sizes").status_code == 404


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/oauth/tokens", "POST /oauth/token"),
        ("/password-resets", "sign-in page"),
        ("/organizations/apps", "POST /teams/apps"),
        ("/teams/acme/identity-providers", "operating.md"),
        ("/teams/acme/invoices", "Nothing is billed"),
        ("/teams/acme/usage/daily", "page Usage"),
        ("/addons/pg-1/webhooks", "addons.md"),
        ("/apps/shop/build-metadata", "git:clone"),
        ("/generations", "one generation"),
    ],
)
def test_what_is_not_served_says_what_to_do_instead(api, path, instead):
    for method in ("GET", "POST"):
        answer = api(method, path)
        assert (answer.status_code, instead in answer.json()["message"]) == (404, True), answer.text


def test_nothing_is_billed(api):
    assert api.get("/account/invoices").json() == api.get("/account/credits").json() == []


def test_a_build_without_a_version_has_an_empty_one(api, alice):
    app = make_app("shop", owner=alice)
    build = Build.objects.create(app=app, source=Source.objects.create(app=app, user=alice), by=alice)
    assert api.get(f"/apps/shop/builds/{build.pk}").json()["source_blob"]["version"] == ""
