"""Review apps and setups of apps by the API: shapes, rights, and what is turned down."""

import pytest

from apps.models import App
from forge.models import PullRequest, Repository
from pipelines.models import Pipeline
from releases.models import Source
from reviews import actions
from reviews.models import AppSetup, ReviewApp, ReviewSettings
from tests.factories import make_app

BLOB = {"url": "resolve", "version": None}


@pytest.fixture
def ask(shop):
    return {"branch": "feature", "pipeline": str(shop.pk), "source_blob": BLOB}


@pytest.fixture
def enabled(shop, alice):
    return actions.set_settings(shop, enabled=True, by=alice).pipeline


@pytest.fixture
def uploaded(alice, settings, tmp_path):
    """A source that was uploaded, and the address that names it."""
    from core import secrets
    from releases import sources

    source, _, get = sources.create_source(alice)
    Source.objects.filter(pk=source.pk).update(path="sources/x", checksum="sha256:00", bytes=1)
    assert secrets.digest
    return get


def test_a_branch_gets_a_review_app(api, ask, enabled, alice):
    answer = api.post("/review-apps", ask)
    assert answer.status_code == 201
    made = answer.json()
    row = ReviewApp.objects.get()
    assert (made["id"], made["branch"], made["status"]) == (str(row.pk), "feature", "pending")
    assert made["creator"]["id"] == str(alice.pk) and made["app"] is None and made["pr_number"] is None
    assert api.get(f"/review-apps/{row.pk}").json() == made
    assert api.get(f"/pipelines/{enabled.pk}/review-apps").json() == [made]
    assert api.post("/review-apps", ask).status_code == 409


def test_a_pull_request_gets_one_too(api, ask, enabled):
    repository = Repository.objects.create(
        pipeline=enabled, host="github", url="https://x.test/a", full_name="a/b"
    )
    PullRequest.objects.create(repository=repository, number=7, branch="feature", commit="a" * 40)
    assert api.post("/review-apps", {**ask, "pr_number": 8}).status_code == 404
    assert api.post("/review-apps", {**ask, "pr_number": 7}).json()["pr_number"] == 7


def test_it_is_destroyed(api, ask, enabled):
    pk = api.post("/review-apps", ask).json()["id"]
    assert api.delete(f"/review-apps/{pk}").status_code == 200
    assert ReviewApp.objects.get().gone
    assert api.delete(f"/review-apps/{pk}").status_code == 409


def test_an_app_knows_its_review_app(api, enabled, ask, team):
    app = make_app("shop-pr-1", owner=team)
    assert api.get(f"/apps/{app.name}/review-app").status_code == 404
    pk = api.post("/review-apps", ask).json()["id"]
    ReviewApp.objects.update(app=app, state="created")
    found = api.get(f"/apps/{app.name}/review-app").json()
    assert (found["id"], found["status"], found["app"]["id"]) == (pk, "created", str(app.pk))


def test_what_is_turned_down(api, ask, enabled):
    assert api.post("/review-apps", {**ask, "branch": "--upload-pack=x"}).status_code == 422
    assert api.post("/review-apps", {**ask, "environment": {"A": "b"}}).status_code == 422
    actions.set_settings(enabled, enabled=False, by=None or enabled.team.members.first())
    assert api.post("/review-apps", ask).status_code == 422


def test_who_may_do_what(as_vera, as_bob, ask, enabled, api):
    assert as_vera.post("/review-apps", ask).status_code == 403
    made = as_bob.post("/review-apps", ask)
    assert made.status_code == 201
    path = f"/review-apps/{made.json()['id']}"
    assert as_vera.get(path).status_code == 200 and as_vera.delete(path).status_code == 403
    assert as_bob.delete(path).status_code == 200
    config = f"/pipelines/{enabled.pk}/review-app-config"
    assert as_vera.get(config).status_code == 200
    assert as_bob.patch(config, {"wait_for_ci": True}).status_code == 403


def test_strangers_see_nothing(charlie, ask, enabled, api):
    from tests.api.conftest import ApiClient

    stranger = ApiClient(charlie)
    path = f"/review-apps/{api.post('/review-apps', ask).json()['id']}"
    assert stranger.get(path).status_code == 404 and stranger.delete(path).status_code == 404
    assert stranger.post("/review-apps", ask).status_code == 404
    for word in ("review-apps", "review-app-config"):
        assert stranger.get(f"/pipelines/{enabled.pk}/{word}").status_code == 404


def test_the_config_comes_changes_and_goes(api, shop):
    path = f"/pipelines/{shop.pk}/review-app-config"
    assert api.get(path).status_code == 404
    made = api.post(path, {"repo": {"id": 1}, "automatic_review_apps": True})
    assert (
        made.status_code == 201 and made.json()["automatic_review_apps"] and made.json()["base_name"] is None
    )
    changed = api.patch(path, {"stale_days": 9, "destroy_stale_apps": True, "base_name": "preview"}).json()
    assert (changed["stale_days"], changed["base_name"]) == (9, "preview")
    assert api.patch(path, {"stale_days": 0}).status_code == 422
    assert api.delete(path).json()["stale_days"] == 9
    assert not ReviewSettings.objects.get().enabled and api.get(path).status_code == 404
    assert api.patch(path, {"wait_for_ci": True}).status_code == 200  # as the CLI enables with flags
    assert ReviewSettings.objects.get().enabled


def test_an_app_is_set_up(api, uploaded, alice):
    body = {
        "source_blob": {"url": uploaded},
        "app": {"name": "tool"},
        "overrides": {"env": {"KEY": "value"}, "buildpacks": [{"url": "heroku/python"}]},
    }
    answer = api.post("/app-setups", body)
    assert answer.status_code == 202, answer.content
    made = answer.json()
    row = AppSetup.objects.get()
    assert (made["app"]["name"], made["status"], made["build"]) == ("tool", "pending", None)
    assert (
        row.env == {"KEY": "value"} and row.buildpacks == ["heroku/python"] and "value" not in row.sealed_env
    )
    AppSetup.objects.update(
        status="succeeded", success_url="/welcome", postdeploy_code=0, postdeploy_output="ok"
    )
    done = api.get(f"/app-setups/{row.pk}").json()
    assert done["resolved_success_url"] == row.app.web_url + "welcome"
    assert done["postdeploy"] == {"output": "ok", "exit_code": 0}


def test_a_setup_goes_into_a_team_and_a_stage(api, uploaded, team, shop):
    place = {"pipeline": str(shop.pk), "stage": "staging"}
    body = {"source_blob": {"url": uploaded}, "app": {"name": "tool", "organization": "acme"}}
    assert api.post("/app-setups", {**body, "pipeline_coupling": place}).status_code == 202
    app = App.objects.get(name="tool")
    assert app.owner == team and app.coupling.stage.word == "staging"


def test_a_setup_is_turned_down_as_a_whole(api, uploaded, as_vera, shop):
    body = {"source_blob": {"url": uploaded}, "app": {"name": "tool"}}
    for more in (
        {"overrides": {"env": {"PORT": "1"}}},
        {"overrides": {"buildpacks": [{"url": "a b"}]}},
        {"pipeline_coupling": {"pipeline": str(shop.pk), "stage": "nowhere"}},
        {"pipeline_coupling": {"pipeline": "foreign", "stage": "staging"}},
        {"app": {"name": "tool", "stack": "heroku-16"}},
        {"app": {"name": "tool", "organization": "foreign"}},
    ):
        assert api.post("/app-setups", {**body, **more}).status_code in (404, 422), more
    assert not App.objects.filter(name="tool").exists() and not AppSetup.objects.exists()
    assert Pipeline.objects.filter(pk=shop.pk).exists()


def test_a_setup_is_no_strangers_business(api, uploaded, as_bob):
    pk = api.post("/app-setups", {"source_blob": {"url": uploaded}}).json()["id"]
    assert as_bob.get(f"/app-setups/{pk}").status_code == 404
