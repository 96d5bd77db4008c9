"""Review apps as the conductor makes, builds and destroys them, with real builds and dynos."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from addons.models import Addon
from apps import actions as app_actions
from apps.models import App
from ci.models import TestRun
from conductor import audit_reviews, cleaning
from conductor.reviews import look_for_stale
from core.models import Event
from pipelines import actions as pipeline_actions
from pipelines import stages
from pipelines.models import Stage
from reviews import actions
from reviews.models import AppSetup, ReviewApp
from tests.conductor.conftest import SERVER_PY
from tests.conftest import eventually
from tests.factories import make_app
from tests.reviews.conftest import commit

SERVER = "web: exec python3 -S server.py"
APP_JSON = {
    "env": {"GREETING": "hello", "TOKEN": {"generator": "secret"}, "SHARED": "of app.json"},
    "formation": {"web": {"quantity": 1, "size": "eco"}, "ghost": {"quantity": 1}},
    "addons": ["heroku-postgresql"],
    "scripts": {"postdeploy": "echo seeded $SHARED", "pr-predestroy": "echo farewell"},
    "environments": {"review": {"env": {"GREETING": "review"}}},
}


@pytest.fixture(autouse=True)
def destroyed_apps_go_soon(settings):
    """The tests wait for that."""
    settings.SWEEP_SECONDS = 0.3


def push(origin, tmp_path, branch="feature", app_json=None, **files):
    text = json.dumps(APP_JSON if app_json is None else app_json)
    return commit(
        origin, tmp_path, branch, **{"Procfile": SERVER, "server.py": SERVER_PY, "app.json": text, **files}
    )


def come_to(row, *states, seconds=60):
    def check():
        row.refresh_from_db()
        return row.state in states

    try:
        eventually(check, seconds)
    except AssertionError:
        setup = row.setup
        raise AssertionError(
            f"{row.state}: {row.message} {setup and (setup.status, setup.step, setup.failure)}"
        ) from None
    return row


def lines(platform, app):
    return "\n".join(platform.lines(app.log_stream))


def test_a_branch_becomes_an_app_as_its_app_json_says_and_goes_again(
    platform, reviewing, origin, alice, tmp_path, shelf
):
    sha = push(origin, tmp_path)
    stage = Stage.objects.get(pipeline=reviewing, word="review")
    stages.set_vars(stage, {"SHARED": "of the pipeline"}, by=alice)
    [row] = actions.create(reviewing, "feature", by=alice)
    come_to(row, "created", "errored")
    assert row.state == "created", row.message
    app = row.app
    assert (app.ephemeral, app.owner, app.coupling.stage.word) == ("review", reviewing.owner, "review")
    config = app.releases.get(current=True).config
    assert (
        config["SHARED"] == "of the pipeline"
        and config["GREETING"] == "review"
        and len(config["TOKEN"]) == 128
    )
    assert config["HEROKU_APP_NAME"] == app.name and config["HEROKU_BRANCH"] == "feature"
    assert "HEROKU_PR_NUMBER" not in config and "DATABASE_URL" in config
    assert {line.type: line.size for line in app.formation.all()} == {"web": "eco"}
    assert row.commit == row.built_commit == sha == app.releases.get(current=True).slug.commit
    assert row.setup.postdeploy_code == 0 and row.setup.postdeploy_output == "seeded of the pipeline\n"
    assert app.name.startswith("shop-feature-")

    again = push(origin, tmp_path, note="2")
    actions.move_to([row], again)
    eventually(lambda: app.releases.filter(current=True, slug__commit=again).exists(), 60)
    assert AppSetup.objects.filter(app=app).count() == 1

    actions.destroy(row, by=alice)
    eventually(lambda: "farewell" in lines(platform, app), 30)
    eventually(lambda: App.objects.filter(pk=app.pk, destroyed_at__isnull=False).exists(), 30)
    eventually(lambda: _cleared(platform, app), 30)
    come_to(row, "deleted")
    assert row.status == "ended" and row.app is None and not Addon.objects.exists()
    assert not Event.objects.filter(details__icontains="of the pipeline").exists()


def test_each_folder_of_a_branch_becomes_an_app_of_its_own(platform, reviewing, origin, alice, tmp_path):
    """Each is built from its folder alone, as the app.json there says, and moves and goes with the others."""
    files = {"README": "Nothing here is an app."}
    for part in ("web", "api"):
        said = json.dumps({"env": {"GREETING": f"hello from {part}"}})
        files |= {
            f"apps/{part}/Procfile": SERVER,
            f"apps/{part}/server.py": SERVER_PY,
            f"apps/{part}/app.json": said,
        }
    commit(origin, tmp_path, "feature", **files)
    actions.set_settings(
        reviewing, parts=[{"name": part, "path": f"apps/{part}"} for part in ("web", "api")], by=alice
    )
    rows = actions.create(reviewing, "feature", by=alice)
    assert [row.part for row in rows] == ["web", "api"]
    for row in rows:
        come_to(row, "created", "errored")
        assert row.state == "created", row.message
        assert platform.get(row.app)[1] == f"hello from {row.part}"
    assert len({row.app.name for row in rows}) == 2

    again = commit(origin, tmp_path, "feature", **{"apps/api/note": "changed"})
    actions.move_to(rows, again)
    for row in rows:
        eventually(lambda row=row: row.app.releases.filter(current=True, slug__commit=again).exists(), 60)
    for row in rows:
        actions.destroy(row, by=alice)
        come_to(row, "deleted")
    assert App.objects.filter(ephemeral="review", destroyed_at=None).count() == 0


def _cleared(platform, app):
    cleaning.clear_destroyed(platform.conductor.parts)
    return not App.objects.filter(pk=app.pk).exists()


def simple(origin, tmp_path, branch="feature", **files):
    """A commit of an app without a server."""
    return commit(origin, tmp_path, branch, **{"Procfile": "worker: sleep 1000", **files})


def test_what_is_wrong_is_told_and_a_push_mends_it(platform, reviewing, origin, alice, tmp_path):
    simple(origin, tmp_path, **{"app.json": '{"env": {"NEEDED": {"description": "Ask."}, "BAD": 7}}'})
    [row] = actions.create(reviewing, "feature", by=alice)
    come_to(row, "errored")
    assert "app.json: env.BAD has to be text" in row.message
    assert row.setup.manifest_errors[1] == "app.json: NEEDED is required and has no value."
    assert not row.app.builds.exists()
    first = row.app
    good = simple(origin, tmp_path, **{"app.json": '{"scripts": {"postdeploy": "exit 3"}}'})
    actions.move_to([row], good)
    eventually(lambda: ReviewApp.objects.get().message == "The postdeploy script exited with status 3.", 60)
    row.refresh_from_db()
    assert (row.state, row.app) == ("errored", first)
    simple(origin, tmp_path, **{"app.json": "{}"})
    ReviewApp.objects.update(commit="")
    actions.try_again(row, by=alice)
    come_to(row, "created")
    assert App.objects.filter(ephemeral="review").count() == 1


@pytest.mark.promise("I-40")
def test_a_fork_gets_no_secrets(stage, reviewing, origin, alice, tmp_path):
    simple(origin, tmp_path)
    stages.set_vars(Stage.objects.get(pipeline=reviewing, word="review"), {"SECRET": "of review"}, by=alice)
    [ours] = actions.create(reviewing, "feature", by=alice)
    [theirs] = actions.create(reviewing, "main", by=alice)
    commit(origin, tmp_path, "main", Procfile="worker: sleep 1000")
    ReviewApp.objects.filter(pk=theirs.pk).update(from_fork="mallory/shop")
    stage.start()
    come_to(ours, "created")
    come_to(theirs, "created")
    assert ours.app.releases.get(current=True).config["SECRET"] == "of review"
    assert not theirs.app.coupling.inherits
    stages.set_vars(Stage.objects.get(pipeline=reviewing, word="review"), {"LATER": "of review"}, by=alice)
    assert all(not {"SECRET", "LATER"} & set(release.config) for release in theirs.app.releases.all())


def test_the_next_one_waits_for_room_and_for_ci(platform, reviewing, origin, alice, tmp_path):
    sha = simple(origin, tmp_path, "one")
    simple(origin, tmp_path, "two")
    actions.set_settings(reviewing, most=1, wait_for_ci=True, by=alice)
    [one] = actions.create(reviewing, "one", by=alice, automatic=True)
    ReviewApp.objects.filter(pk=one.pk).update(commit=sha)
    eventually(lambda: ReviewApp.objects.get(pk=one.pk).message.startswith("Waits for CI."), 30)
    TestRun.objects.create(
        pipeline=reviewing, number=1, commit=sha, cause="push", status="ended", state="succeeded"
    )
    actions.ask([one])
    come_to(one, "creating", "created")
    [two] = actions.create(reviewing, "two", by=alice)
    eventually(lambda: ReviewApp.objects.get(pk=two.pk).message.startswith("Waits for room: 1 "), 30)
    come_to(one, "created")
    actions.destroy(one, by=alice)
    eventually(lambda: cleaning.clear_destroyed(platform.conductor.parts) or one_gone(one), 30)
    come_to(two, "creating", "created")


def one_gone(row):
    row.refresh_from_db()
    return row.state == "deleted"


@pytest.mark.parametrize("point", ["review.created", "review.destroying"])
def test_trouble_at_a_step_leaves_nothing_twice_and_nothing_behind(
    point, platform, reviewing, origin, alice, tmp_path, monkeypatch
):
    simple(origin, tmp_path)
    monkeypatch.setenv("FAILPOINTS", f"{point}=error")
    [row] = actions.create(reviewing, "feature", by=alice)
    come_to(row, "creating", "created")
    if point == "review.created":
        monkeypatch.delenv("FAILPOINTS")
    come_to(row, "created")
    assert App.objects.filter(ephemeral="review").count() == 1 == AppSetup.objects.count()
    actions.destroy(row, by=alice)
    come_to(row, "deleting")
    monkeypatch.delenv("FAILPOINTS", raising=False)
    eventually(lambda: cleaning.clear_destroyed(platform.conductor.parts) or one_gone(row), 40)
    assert not App.objects.filter(ephemeral="review").exists()
    assert [found for check in audit_reviews.ROWS for found in check()] == []


def test_words_that_change_fast_leave_what_the_last_one_says(platform, reviewing, origin, alice, tmp_path):
    simple(origin, tmp_path)
    for _ in range(10):
        [row] = actions.create(reviewing, "feature", by=alice)
        actions.destroy(row, by=alice)

    def quiet():
        cleaning.clear_destroyed(platform.conductor.parts)
        return not ReviewApp.objects.exclude(state="deleted").exists()

    eventually(quiet, 60)
    assert not App.objects.filter(ephemeral="review").exists()
    assert not ReviewApp.objects.exclude(status="ended").exists()


def test_they_go_with_their_pipeline_with_their_app_and_when_they_are_stale(stage, reviewing, alice, team):
    made = []
    for branch in ("a", "b", "c"):
        [row] = actions.create(reviewing, branch, by=alice)
        app = make_app(f"shop-{branch}", owner=team)
        App.objects.filter(pk=app.pk).update(ephemeral="review")
        ReviewApp.objects.filter(pk=row.pk).update(
            app=app, app_name=app.name, state="created", status="resting"
        )
        made.append((row, App.objects.get(pk=app.pk)))
    (a, app_a), (b, _), (c, app_c) = made
    app_actions.destroy_app(app_a, confirm=app_a.name, by=alice)
    a.refresh_from_db()
    assert a.gone and a.status == "pending"
    actions.set_settings(reviewing, destroy_stale=True, stale_days=2, by=alice)
    ReviewApp.objects.filter(pk=b.pk).update(news_at=timezone.now() - timedelta(days=3))
    look_for_stale()
    b.refresh_from_db()
    c.refresh_from_db()
    assert b.gone and b.message == "Nothing was pushed for 2 days." and not c.gone
    pipeline_actions.destroy_pipeline(reviewing, confirm=reviewing.name, by=alice)
    app_c.refresh_from_db()
    assert app_c.destroyed_at is not None


def test_the_auditor_finds_what_is_orphaned(reviewing, alice, team):
    app = make_app("orphan", owner=team)
    App.objects.filter(pk=app.pk).update(ephemeral="review")
    [row] = actions.create(reviewing, "a", by=alice)
    ReviewApp.objects.filter(pk=row.pk).update(status="resting")
    found = [str(one) for check in audit_reviews.ROWS for one in check()]
    assert found == [
        "I-19 app orphan: it is a review app of nothing, and nobody destroys it",
        "I-15 review app of a: it is pending, and nobody sees to it",
    ]
