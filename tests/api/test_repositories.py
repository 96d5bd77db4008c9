"""Where a pipeline's code is, by the API: connected, changed, left; its branches; what deploys by itself."""

import pytest

from accounts.actions import create_token
from forge.models import AutoDeploy, Repository
from tests.api.conftest import ApiClient
from tests.factories import make_app, make_pipeline, stage
from tests.githosts.conftest import connected
from tests.releases.test_repositories import commit

REPO = "/pipelines/shop/repo"


def test_a_repository_is_connected_and_its_secret_told_once(api, as_bob, shop, forge):
    url = forge.repository()
    assert as_bob.post(REPO, {"url": url}).status_code == 403
    made = api.post(REPO, {"url": url, "host": "gitea"})
    assert made.status_code == 201
    secret = made.json()["hook"]["secret"]
    assert Repository.objects.get().secret == secret
    assert made.json()["hook"]["url"].endswith(f"/hooks/{made.json()['id']}/")
    told = api.get(REPO).json()
    assert told["hook"]["secret"] is None and told["hook"]["enabled"] and told["full_name"] == "shop"
    assert as_bob.get(REPO).json()["hook"] is None
    assert api.post(REPO, {"url": url}).status_code == 409
    renewed = api.post(f"{REPO}/secret").json()
    assert renewed["secret"] == Repository.objects.get().secret != secret


def test_what_is_wrong_is_said(api, shop, forge):
    refused = api.post(REPO, {"url": f"{forge.url}/none.git"})
    assert refused.status_code == 422 and "There is no repository" in refused.json()["message"]
    assert api.patch(REPO, {"polls": False}).status_code == 404


def test_it_is_changed_and_left(api, shop, forge):
    api.post(REPO, {"url": forge.repository()})
    assert api.patch(REPO, {"polls": False}).json()["polls"] is False
    assert api.delete(REPO).status_code == 200
    assert not Repository.objects.exists()
    assert api.get(REPO).json()["full_name"] == "slipway/shop"


def test_strangers_find_nothing(as_charlie, shop, alice):
    connected(shop, alice)
    for verb, path in (("GET", REPO), ("POST", REPO), ("DELETE", REPO), ("POST", f"{REPO}/secret")):
        assert as_charlie(verb, path, {"url": "https://x.example/a.git"}).status_code == 404
    assert as_charlie.get(f"{REPO}/branches/main").status_code == 404


@pytest.mark.parametrize("name", ["main", "feature/ü", "a%20b"])
def test_a_branch_is_found_by_its_name(api, as_vera, shop, alice, name):
    from urllib.parse import unquote

    connected(shop, alice, heads={unquote(name): "a" * 40})
    found = api.get(f"{REPO}/branches/{name}")
    assert (found.status_code, found.json()["commit"]) == (200, "a" * 40)
    assert api.get(f"{REPO}/branches/none").status_code == 404
    assert as_vera.get(f"{REPO}/branches/{name}").status_code == 403


def test_branches_of_what_was_pushed_here_are_found_as_well(api, alice):
    from releases import repositories as repos

    app = make_app("dev", owner=alice, stage=stage(make_pipeline("line", owner=alice), "development"))
    sha = commit(app, "One")
    repos.git(repos.path(app), "update-ref", "refs/heads/tea", sha)
    assert api.get("/pipelines/line/repo/branches/tea").json()["commit"] == sha
    assert api.get("/pipelines/line/repo").json()["full_name"] == "slipway/line"


def test_a_branch_deploys_by_itself(api, as_vera, shop, alice):
    connected(shop, alice, heads={"main": "a" * 40})
    path = "/apps/shop-staging/auto-deploy"
    assert api.get(path).status_code == 404
    assert as_vera.put(path, {"branch": "main"}).status_code == 403
    assert api.put(path, {"branch": "main", "wait_for_ci": True}).json()["wait_for_ci"] is True
    assert as_vera.get(path).json()["branch"] == "main"
    assert api.put(path, {"branch": "none"}).status_code == 422
    assert api.delete(path).status_code == 200 and not AutoDeploy.objects.exists()


def test_a_token_that_may_only_write_what_is_not_protected_connects_nothing(alice, shop):
    client = ApiClient(alice)
    client.token = create_token(alice, by=alice, scope=["write"])[1]
    assert client.post(REPO, {"url": "https://x.example/a.git"}).status_code == 403
