"""What the CLI asks of fixed hosts, as `bin/cli-bridge` brings it here: favorites, notifications, errors, repositories."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts import invitations
from accounts.models import ApiToken, Favorite, ReadMark
from api.bridged_urls import api as served
from api.resources.bridged.hosts import HOSTS
from apps import transfers
from apps.logs import store
from apps.models import App, Autoscale, Formation
from ci.settings import settings_of
from engine.spec import Line
from forge.models import Repository
from pipelines import transfers as pipeline_transfers
from releases.models import Build
from reviews.models import AppSetup
from tests.factories import make_app, make_pipeline, make_release, make_slug, make_source, stage
from tests.githosts.conftest import connected
from tests.releases.test_repositories import commit

BOARD = "/_fixed/particleboard.heroku.com/favorites"
TELEX = "/_fixed/telex.heroku.com/user/notifications"
METRICS = "/_fixed/api.metrics.herokai.com/apps"
KOLKRABBI = "/_fixed/kolkrabbi.heroku.com"
GITHUB = "/_fixed/api.github.com/repos"


# --- favorites --------------------------------------------------------------------------------------------------------


def test_favorites_come_and_go(api, shop):
    made = api.post(BOARD, {"type": "app", "resource_id": "shop-staging"})
    assert (made.status_code, made.json()["resource_name"]) == (201, "shop-staging")
    assert api.post(BOARD, {"type": "app", "resource_id": "shop-staging"}).status_code == 409
    assert api.post(BOARD, {"type": "pipeline", "resource_id": str(shop.pk)}).status_code == 201
    assert [row["resource_name"] for row in api.get(f"{BOARD}?type=app").json()] == ["shop-staging"]
    assert [row["type"] for row in api.get(BOARD).json()] == ["app", "pipeline"]
    assert api.delete(f"{BOARD}/{made.json()['id']}").status_code == 200
    assert api.delete(f"{BOARD}/{made.json()['id']}").status_code == 404
    assert api.get(f"{BOARD}?type=app").json() == []


def test_favorites_are_of_what_one_may_view(as_charlie, api, as_vera, shop, alice, vera):
    for body in ({"type": "app", "resource_id": "shop-staging"}, {"type": "pipeline", "resource_id": "shop"}):
        assert as_charlie.post(BOARD, body).status_code == 404
    assert api.post(BOARD, {"type": "team", "resource_id": "acme"}).status_code == 422
    made = as_vera.post(BOARD, {"type": "app", "resource_id": "shop-staging"}).json()
    assert api.get(BOARD).json() == []  # hers, not Alice's
    assert api.delete(f"{BOARD}/{made['id']}").status_code == 404
    vera.memberships.all().delete()
    assert as_vera.get(BOARD).json() == []
    assert Favorite.objects.count() == 1


# --- notifications ----------------------------------------------------------------------------------------------------


def test_what_waits_and_what_failed_is_told_and_stays_read(api, alice, bob, team, shop, as_charlie):
    theirs = make_app("theirs", owner=bob)
    transfers.hand_over(theirs, alice, by=bob)
    pipeline_transfers.hand_over(make_pipeline("line", owner=bob), alice, by=bob)
    staging = App.objects.get(name="shop-staging")
    make_release(staging, by=alice, status="failed", current=False)
    Build.objects.create(
        app=staging, source=make_source(staging), by=alice, status="failed", reason="No buildpack", finished_at=timezone.now()
    )  # fmt: skip
    told = api.get(TELEX).json()
    titles = {one["title"] for one in told}
    assert titles == {
        "Bob Sawyer offers you the app theirs",
        "Bob Sawyer offers you the pipeline line",
        "A build of shop-staging failed",
        "Release v2 of shop-staging failed",
    }
    assert [one["read"] for one in told] == [False] * 4
    build = next(one for one in told if "build" in one["title"])
    assert build["target"] == {"type": "app", "id": str(staging.pk), "name": "shop-staging"}
    assert "No buildpack" in build["body"]

    assert api.patch(f"{TELEX}/{build['id']}", {"read": True}).json()["read"] is True
    assert [one["title"] for one in api.get(TELEX).json() if one["read"]] == [
        "A build of shop-staging failed"
    ]
    assert api.patch(f"{TELEX}/{build['id']}", {"read": False}).json()["read"] is False
    assert not any(one["read"] for one in api.get(TELEX).json())

    assert as_charlie.get(TELEX).json() == []
    assert as_charlie.patch(f"{TELEX}/{build['id']}", {"read": True}).status_code == 404


def test_marks_of_what_is_over_are_cleared_away(api, alice, bob):
    for name in ("one", "two"):
        transfers.hand_over(make_app(name, owner=bob), alice, by=bob)
    first, second = api.get(TELEX).json()
    api.patch(f"{TELEX}/{first['id']}", {"read": True})
    offer = App.objects.get(pk=first["target"]["id"]).transfers.get()
    transfers.decline(offer, by=alice)
    assert [one["id"] for one in api.get(TELEX).json()] == [second["id"]]
    api.patch(f"{TELEX}/{second['id']}", {"read": True})
    assert [str(mark.notification) for mark in ReadMark.objects.all()] == [second["id"]]


def test_an_invitation_is_told_without_its_link(as_charlie, charlie, team, alice):
    secret = invitations.invite(team, charlie.email, "member", by=alice)[1]
    answer = as_charlie.get(TELEX)
    assert answer.json()[0]["title"] == "Alice Liddell invites you to the team acme"
    assert secret not in answer.content.decode()


def test_what_others_wrote_moves_no_cursor(api, alice, bob):
    bob.name = "Bob\x1b]0;owned\x07\u202eSawyer"
    bob.save()
    transfers.hand_over(make_app("theirs", owner=bob), alice, by=bob)
    title = api.get(TELEX).json()[0]["title"]
    assert title.startswith("Bob") and title.isprintable()


# --- errors -----------------------------------------------------------------------------------------------------------


def window(hours=3):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    return f"start_time={end - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.000Z}&end_time={end:%Y-%m-%dT%H:%M:%S.000Z}&step=1h"


@pytest.fixture
def noisy(shop):
    app = App.objects.get(name="shop-staging")
    now, head = time.time(), b'at=error code=%s desc="App crashed" method=GET path="/"'
    lines = [
        Line("heroku", "router", head % b"H10", now - 2.5 * 3600),
        Line("heroku", "router", head % b"H10", now - 60),
        Line("heroku", "router", head % b"H10", now - 50),
        Line("heroku", "router", b'at=info method=GET path="/?code=H10" host=x', now - 40),
        Line("heroku", "router", head % b"H12", now - 30),
        Line("app", "web.1", head % b"H10", now - 20),  # what an app writes counts for nothing
        Line("app", "web.1", b"Error R14 (Memory quota exceeded)", now - 20),
        Line("heroku", "web.1", b"Error R14 (Memory quota exceeded)", now - 10),
        Line("heroku", "worker.1", b"Error R15 (Memory quota vastly exceeded)", now - 10),
        Line("heroku", "router", head % b"H13", now - 9 * 3600),  # before the time that is asked for
    ]
    store().append(app.log_stream, lines)
    yield app
    store().drop(app.log_stream)


def test_errors_are_counted_hour_by_hour(api, noisy):
    found = api.get(f"{METRICS}/shop-staging/router-metrics/errors?{window()}&process_type=web").json()
    assert found["data"] == {"H10": [1, 0, 2], "H12": [0, 0, 1]}
    found = api.get(f"{METRICS}/shop-staging/formation/web/metrics/errors?{window()}").json()
    assert found["data"] == {"R14": [0, 0, 1]}


def test_errors_of_what_is_not_there(api, noisy, as_charlie):
    answer = api.get(f"{METRICS}/shop-staging/formation/nothing/metrics/errors?{window()}")
    assert (answer.status_code, answer.json()["message"]) == (400, "invalid process_type provided")
    Formation.objects.create(app=noisy, type="worker", quantity=0)
    assert api.get(f"{METRICS}/shop-staging/formation/worker/metrics/errors?{window()}").json()["data"] == {
        "R15": [0, 0, 1]
    }
    assert as_charlie.get(f"{METRICS}/shop-staging/router-metrics/errors?{window()}").status_code == 404
    for bad in (
        "",
        "start_time=x&end_time=y",
        "start_time=2026-01-01T00:00:00Z&end_time=2025-01-01T00:00:00Z",
        window(9999),
    ):
        assert api.get(f"{METRICS}/shop-staging/router-metrics/errors?{bad}").status_code == 422
    naive = "start_time=2026-01-01T00:00:00&end_time=2026-01-01T01:00:00"
    assert api.get(f"{METRICS}/shop-staging/router-metrics/errors?{naive}").status_code == 422


def test_that_the_log_is_too_short_is_said(api, noisy):
    whole = api.get(f"{METRICS}/shop-staging/router-metrics/errors?{window()}")
    assert "Warning-Message" not in whole.headers  # the log never had more
    folder = store().root / noisy.log_stream
    store().drop(noisy.log_stream)
    folder.mkdir(parents=True)
    (folder / f"{500:020d}.log").touch()  # its first 499 lines are outgrown
    store().append(
        noisy.log_stream, [Line("heroku", "router", b'at=error code=H12 desc="" x', time.time() - 5)]
    )
    answer = api.get(f"{METRICS}/shop-staging/router-metrics/errors?{window()}")
    assert answer.json()["data"] == {"H12": [0, 0, 1]}
    assert "The log goes back to" in answer.headers["Warning-Message"]


MONITORS = "/_fixed/api.metrics.heroku.com/apps/{}/formation/web/monitors"
# What the CLI sends, key by key: heroku/dist/commands/ps/autoscale.
ENABLE = {
    "action_type": "scale", "is_active": True, "notification_channels": ["app"], "notification_period": 1440,
    "op": "GREATER_OR_EQUAL", "period": 1, "max_quantity": 3, "min_quantity": 1, "value": 500,
}  # fmt: skip
DISABLE = {"is_active": False, "op": "GREATER_OR_EQUAL", "period": 1}


class TestMonitors:
    @pytest.fixture
    def path(self, shop):
        app = App.objects.get(name="shop-staging")
        make_release(app)
        return MONITORS.format(app.pk)

    def test_autoscaling_goes_on_and_off_as_the_cli_asks(self, api, path):
        assert api.get(path).json() == []
        made = api.post(path, {**ENABLE, "name": "LATENCY_SCALE"})
        assert made.status_code == 201
        assert made.json().items() >= ENABLE.items()
        row = Autoscale.objects.get(app__name="shop-staging")
        assert (row.enabled, row.minimum, row.maximum, row.p95, row.notify) == (True, 1, 3, 500, True)
        (told,) = api.get(path).json()
        assert (told["id"], told["action_type"]) == (str(row.pk), "scale")
        assert api.patch(f"{path}/{row.pk}", DISABLE).json()["is_active"] is False
        row.refresh_from_db()
        assert (row.enabled, row.maximum) == (False, 3)
        again = {**ENABLE, "max_quantity": 5, "notification_channels": []}
        assert api.patch(f"{path}/{row.pk}", again).json()["notification_channels"] == []
        row.refresh_from_db()
        assert (row.enabled, row.maximum, row.notify) == (True, 5, False)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"min_quantity": 0}, "between 1 and 100"),
            ({"min_quantity": 4}, "can't be less"),
            ({"max_quantity": None}, "at most"),
            ({"value": 60_000}, "between 1 and 30000 ms"),
            ({"action_type": "alert"}, "action_type"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, api, path, change, says):
        answer = api.post(path, {**ENABLE, **change})
        assert answer.status_code == 422 and says in answer.json()["message"]
        assert not Autoscale.objects.exists()

    def test_it_takes_the_right_to_scale(self, api, as_vera, as_charlie, path):
        assert as_vera.post(path, ENABLE).status_code == 403
        assert as_charlie.post(path, ENABLE).status_code == 404
        ref = api.post(path, ENABLE).json()["id"]
        assert as_vera.patch(f"{path}/{ref}", DISABLE).status_code == 403
        assert as_vera.get(path).status_code == 200

    def test_others_and_workers_have_none(self, api, path):
        ref = api.post(path, ENABLE).json()["id"]
        assert api.patch(f"{path}/{uuid4()}", DISABLE).status_code == 404
        other = MONITORS.format("shop-production")
        assert api.patch(f"{other}/{ref}", DISABLE).status_code == 404
        worker = path.replace("/web/", "/worker/")
        assert api.get(worker).json() == []
        assert "Only web dynos" in api.post(worker, ENABLE).json()["message"]
        assert Autoscale.objects.get().enabled


# --- repositories -----------------------------------------------------------------------------------------------------


@pytest.fixture
def line(shop):
    """Three commits in the repository of shop-staging."""
    app = App.objects.get(name="shop-staging")
    first = commit(app, "One")
    second = commit(app, "Two\n\nmore", parent=first)
    return first, second, commit(app, "Three", parent=second)


def compared(api, span, repo="slipway/shop"):
    token = api.get(f"{KOLKRABBI}/account/github/token").json()["github"]["token"]
    assert token != api.token
    return api.get(f"{GITHUB}/{repo}/compare/{span}", Authorization=f"token {token}")


def test_commits_are_compared_in_the_repositories_of_the_pipeline(api, line):
    first, _, third = line
    found = compared(api, f"{first}...{third}").json()
    assert (found["status"], found["ahead_by"], found["behind_by"]) == ("ahead", 2, 0)
    assert [one["commit"]["message"] for one in found["commits"]] == ["Two", "Three"]
    assert found["commits"][0]["commit"]["author"]["name"] == "Zoë"
    assert found["html_url"].endswith("/pipelines/shop/")
    back = compared(api, f"{third}...{first}").json()
    assert (back["status"], back["ahead_by"], back["behind_by"], back["commits"]) == ("behind", 0, 2, [])
    assert compared(api, f"{third}...{third}").json()["status"] == "identical"


def test_commits_are_found_where_the_slug_was_built(api, shop, alice, team):
    elsewhere = make_app("builder", owner=team)
    first = commit(elsewhere, "One")
    second = commit(elsewhere, "Two", parent=first)
    production = App.objects.get(name="shop-production")
    make_release(production, by=alice, slug=make_slug(elsewhere, commit=first))
    assert compared(api, f"{first}...{second}").json()["ahead_by"] == 1


@pytest.mark.parametrize(
    "span", ["main...HEAD", "--all...x", "a", "...", "0" * 40 + "..." + "1" * 40, "%00...%00"]
)
def test_what_is_no_pair_of_commits_is_not_found(api, line, span):
    assert compared(api, span).status_code == 404


def test_strangers_compare_nothing(as_charlie, line, api, charlie):
    span = f"{line[0]}...{line[2]}"
    assert compared(as_charlie, span).status_code == 404
    assert as_charlie.get(f"{KOLKRABBI}/pipelines/shop/repository").status_code == 404
    assert as_charlie.get(f"{KOLKRABBI}/apps/shop-staging/github").status_code == 404
    assert as_charlie.post(f"{KOLKRABBI}/pipelines/shop/repository", {"repository": 1}).status_code == 404
    assert compared(api, span, repo="someone/shop").status_code == 404
    mine = make_app("mine", owner=charlie, stage=stage(make_pipeline("own", owner=charlie), "staging"))
    make_release(mine, by=charlie, slug=make_slug(App.objects.get(name="shop-staging"), commit=line[0]))
    assert (
        compared(as_charlie, span, repo="slipway/own").status_code == 404
    )  # its repository is not his to read


def test_the_token_for_repositories_is_good_for_nothing_else_and_not_for_long(
    api, line, settings, monkeypatch
):
    token = api.get(f"{KOLKRABBI}/account/github/token").json()["github"]["token"]
    path = f"{GITHUB}/slipway/shop/compare/{line[0]}...{line[1]}"
    assert api.get("/apps", Authorization=f"Bearer {token}").status_code == 401
    assert api.get(path, Authorization=f"token {token}").status_code == 200
    assert api.get(path, Authorization=f"token {token}x").status_code == 401
    assert api.get(path).status_code == 401  # an API token is not meant for that host
    ApiToken.objects.update(revoked_at=timezone.now())
    assert api.get(path, Authorization=f"token {token}").status_code == 401


def test_nobody_gets_a_token_that_opens_nothing(line):
    anybody = Client()
    headers = {"Accept": "application/vnd.heroku+json; version=3", "Authorization": "Bearer undefined"}
    token = anybody.get(f"{KOLKRABBI}/account/github/token", headers=headers).json()["github"]["token"]
    path = f"{GITHUB}/slipway/shop/compare/{line[0]}...{line[1]}"
    assert anybody.get(path, headers={**headers, "Authorization": f"token {token}"}).status_code == 401
    found = anybody.get(f"{GITHUB}/slipway/shop", headers=headers).json()
    assert found["full_name"] == "slipway/shop"  # as whatever else is asked for
    assert anybody.get(f"{GITHUB}/slipway/none", headers=headers).json().keys() == found.keys()


def test_what_a_pipeline_is_built_from(api, shop):
    assert api.get(f"{KOLKRABBI}/apps/shop-staging/github").json()["repo"] == "slipway/shop"
    assert api.get(f"{KOLKRABBI}/apps/shop-production/github").json()["repo"] == "slipway/shop"
    known = api.get(f"{KOLKRABBI}/pipelines/{shop.pk}/repository").json()
    assert (known["repository"]["name"], known["organization"]["name"]) == ("slipway/shop", "acme")
    assert api.patch(f"{KOLKRABBI}/pipelines/shop/repository", {}).status_code == 422
    assert api.get(f"{KOLKRABBI}/github/repos/o/r/tarball/feature/x").json()["id"] == "not_found"


def test_a_public_repository_is_connected_by_the_number_it_was_told_of_by(api, as_bob, shop, forge, settings):
    settings.GITHUB_URL = forge.url
    (forge.folder / "acme").mkdir()
    forge.repository("acme/shop.git")
    number = api.get(f"{GITHUB}/acme/shop").json()["id"]
    assert as_bob.post(f"{KOLKRABBI}/pipelines/shop/repository", {"repository": number}).status_code == 403
    made = api.post(f"{KOLKRABBI}/pipelines/shop/repository", {"repository": number})
    assert (made.status_code, made.json()["repository"]["name"]) == (201, "acme/shop")
    assert api.get(f"{KOLKRABBI}/pipelines/shop/repository").json()["repository"]["name"] == "acme/shop"
    row = Repository.objects.get()
    assert (row.host, row.polls, row.url) == ("github", True, f"{forge.url}/acme/shop.git")


def test_what_can_not_be_connected_from_here_says_where_it_can(api, shop, forge, settings):
    settings.GITHUB_URL = forge.url
    number = api.get(f"{GITHUB}/acme/secret").json()["id"]
    for body in ({"repository": number}, {"repository": 7}):
        refused = api.post(f"{KOLKRABBI}/pipelines/shop/repository", body)
        assert refused.status_code == 422
        assert "http://localhost:8000/pipelines/shop/repository/" in refused.json()["message"]
    assert not Repository.objects.exists()


def test_a_branch_deploys_by_itself_and_no_more(api, as_vera, shop, alice):
    connected(shop, alice, heads={"main": "a" * 40})
    path = f"{KOLKRABBI}/apps/shop-staging/github"
    assert as_vera.patch(path, {"auto_deploy": True}).status_code == 403
    on = api.patch(path, {"auto_deploy": True, "branch": "main", "wait_for_ci": True}).json()
    assert (on["auto_deploy"], on["branch"], on["wait_for_ci"]) == (True, "main", True)
    assert api.get(path).json() == on
    assert api.patch(path, {"auto_deploy": True, "branch": "none"}).status_code == 422
    assert api.patch(path, {"auto_deploy": False}).json()["auto_deploy"] is False


def test_pull_requests_get_review_apps_and_pushes_are_tested(api, as_bob, as_vera, shop, alice):
    connected(shop, alice, heads={"main": "a" * 40})
    app, pipeline = f"{KOLKRABBI}/apps/shop-staging/github", f"{KOLKRABBI}/pipelines/shop/repository"
    wished = {"pull_requests": {"enabled": True, "auto_deploy": True, "auto_destroy": False}}
    assert as_bob.patch(app, wished).status_code == as_bob.patch(pipeline, {"ci": True}).status_code == 403
    assert as_vera.patch(pipeline, {"ci": True}).status_code == 403
    assert api.patch(app, wished).json()["auto_deploy"] is False
    reviews = api.get(f"/pipelines/{shop.pk}/review-app-config").json()
    assert (reviews["automatic_review_apps"], reviews["destroy_stale_apps"]) == (True, False)
    for on in (True, False):
        assert api.patch(pipeline, {"ci": on}).status_code == 200
        assert settings_of(shop).on_push is on


def test_two_apps_are_set_up_from_a_branch_of_a_connected_repository(api, as_charlie, shop, forge, settings):
    settings.GITHUB_URL = forge.url
    (forge.folder / "acme").mkdir()
    forge.repository("acme/kit.git")
    number = api.get(f"{GITHUB}/acme/kit").json()["id"]
    api.post(f"{KOLKRABBI}/pipelines/shop/repository", {"repository": number})
    path = f"{KOLKRABBI}/github/repos/acme/kit/tarball"
    for who, branch in ((as_charlie, "main"), (api, "none"), (api, Repository.objects.get().heads["main"])):
        assert who.get(f"{path}/{branch}").status_code == 404
    blob = {"url": api.get(f"{path}/main").json()["archive_link"]}
    for name in ("kit", "kit-staging"):
        body = {"app": {"name": name, "organization": "acme"}, "source_blob": blob}
        assert api.post("/app-setups", body).status_code == 202
    setups = AppSetup.objects.select_related("source", "app")
    assert {(row.app.name, row.source.app.name, row.source.ref) for row in setups} == {
        ("kit", "kit", "main"),
        ("kit-staging", "kit-staging", "main"),
    }
    assert as_charlie.post("/app-setups", {"source_blob": blob}).status_code == 422


# --- all of it --------------------------------------------------------------------------------------------------------


def test_nobody_is_served_nothing_else(db):
    answers = {Client().get(path).status_code for path in (BOARD, TELEX, f"{KOLKRABBI}/apps/x/github")}
    assert answers <= {401, 404}
    headers = {"Authorization": "Bearer wrong"}
    assert Client().get(BOARD, headers=headers).json()["id"] == "unauthorized"
    assert (
        Client().get("/_fixed/particleboard.heroku.com/account", headers=headers).json()["id"] == "not_found"
    )


def test_unknown_ids_are_not_found(api):
    assert api.delete(f"{BOARD}/{uuid4()}").status_code == 404
    assert api.patch(f"{TELEX}/{uuid4()}", {"read": True}).status_code == 404
    assert api.delete(f"{BOARD}/x").status_code == 404


def test_every_call_is_documented():
    documented = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()
    for _, router in served._routers:
        for path, view in router.path_operations.items():
            host, _, rest = path[1:].partition("/")
            assert host in HOSTS
            for operation in view.operations:
                for method in operation.methods:
                    assert f"| `{host}` | `{method} /{rest.replace('{path:', '{')}` |" in documented, (
                        method,
                        path,
                    )
