"""Builds: from a source to a slug and its release."""

import pytest

from addons.models import Addon
from apps.actions import set_build_command
from core.errors import Refusal
from pipelines import stages
from releases import actions, repositories
from releases.models import Build, Release, Source
from tests.conductor.conftest import SERVER, SERVER_PY, ended
from tests.conftest import eventually
from tests.factories import couple, make_addon, make_app, make_pipeline

SLOW = {"Procfile": "web: x\n", "requirements.txt": "", "bin/pre_compile": "sleep 30\n"}


def test_a_build_makes_a_slug_and_a_release(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = ended(actions.create_build(app, source(app), by=alice), 60)
    assert build.status == "succeeded", build.reason
    assert build.slug.process_types == {"web": "exec python3 -S server.py"}
    assert build.slug.commit == build.source.commit
    assert (build.release.version, build.release.by) == (1, alice)
    assert build.release.description == f"Deploy {build.source.commit[:7]}"
    assert [step["name"] for step in build.steps] == ["fetch source", "compile", "release"]
    assert ended(build.release).status == "succeeded", build.release.reason
    assert platform.get(app)[0] == "v1"
    eventually(lambda: platform.logs.ended(build.log_stream))
    assert any(line.startswith("-----> ") for line in platform.lines(build.log_stream))
    eventually(lambda: "Build succeeded" in platform.lines(app.log_stream))
    assert any("Build started by user alice@" in line for line in platform.lines(app.log_stream))
    assert not list((platform.data / "work").glob("*"))


def test_a_failed_build_says_why_and_makes_no_release(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = ended(actions.create_build(app, source(app, Procfile="not a procfile"), by=alice), 60)
    assert build.status == "failed" and build.reason
    eventually(lambda: platform.logs.ended(build.log_stream))
    assert f" !     {build.reason.splitlines()[0]}" in platform.lines(build.log_stream)
    assert not Release.objects.exists()


def test_a_source_that_was_tampered_with_is_not_built(platform, alice, source):
    app = make_app("shop", owner=alice)
    made = source(app)
    (platform.data / made.path).write_bytes(b"something else")
    build = ended(actions.create_build(app, made, by=alice), 60)
    assert build.status == "failed" and "checksum" in build.reason


@pytest.mark.promise("I-13")
def test_a_pending_build_is_cancelled_at_once(stage, alice, source):
    app = make_app("shop", owner=alice)
    build = actions.create_build(app, source(app), by=alice)
    actions.cancel_build(build, by=alice)
    stage.start()
    assert ended(build, 3).status == "cancelled"
    eventually(lambda: stage.logs.ended(build.log_stream))
    assert not Release.objects.exists()


@pytest.mark.promise("I-13")
def test_a_running_build_is_cancelled_within_seconds(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = actions.create_build(app, source(app, **SLOW), by=alice)
    eventually(lambda: Build.objects.get().step == 1, 30)
    actions.cancel_build(build, by=alice)
    assert ended(build, 10).status == "cancelled"
    assert not list((platform.data / "work").glob("*"))


def test_a_commit_of_a_public_repository_is_fetched_built_and_released(platform, alice, forge):
    app = make_app("shop", owner=alice)
    url = forge.repository(**{"server.py": SERVER_PY, "Procfile": f"web: {SERVER}\n"})
    build = ended(actions.create_build_from_git(app, url=url, ref="main", by=alice), 60)
    assert build.status == "succeeded", build.reason
    sha = forge.git("shop.git", "rev-parse", "main")
    assert (build.slug.commit, build.slug.branch, build.slug.message) == (sha, "main", "First")
    assert f"-----> Fetching main from {url}" in platform.lines(build.log_stream)
    again = ended(actions.build_again(app, build.source, by=alice), 60)
    assert again.status == "succeeded" and again.slug.digest == build.slug.digest


def test_what_can_not_be_fetched_fails_the_build_with_the_reason(platform, alice, forge):
    app = make_app("shop", owner=alice)
    url = forge.repository()
    build = ended(actions.create_build_from_git(app, url=url, ref="nope", by=alice), 60)
    assert (build.status, build.reason) == ("failed", f"{url} has no branch or tag nope.")
    eventually(lambda: platform.logs.ended(build.log_stream))
    assert f" !     {build.reason}" in platform.lines(build.log_stream)


@pytest.mark.promise("I-41")
def test_an_internal_address_is_refused_when_the_build_begins(platform, alice):
    app = make_app("shop", owner=alice)
    build = ended(
        actions.create_build_from_git(app, url="http://127.0.0.1:1/shop.git", ref="main", by=alice), 60
    )
    assert build.status == "failed" and "internal address" in build.reason


def test_a_branch_that_was_pushed_is_built_from_the_apps_own_repository(platform, alice, forge):
    app = make_app("shop", owner=alice)
    forge.repository(**{"server.py": SERVER_PY, "Procfile": f"web: {SERVER}\n"})
    forge.git("shop.git", "push", "-q", str(repositories.ensure(app)), "main:refs/heads/feature/x")
    sha = forge.git("shop.git", "rev-parse", "main")
    build = ended(actions.create_build_of(app, "feature/x", by=alice), 60)
    assert build.status == "succeeded", build.reason
    assert (build.slug.commit, build.slug.branch) == (sha, "feature/x")
    by_commit = ended(actions.create_build_of(app, sha[:8], by=alice), 60)
    assert (by_commit.slug.commit, by_commit.slug.branch) == (sha, "")


def test_an_archive_that_was_cleaned_away_is_taken_from_the_repository_again(platform, alice, forge):
    app = make_app("shop", owner=alice)
    forge.repository(**{"server.py": SERVER_PY, "Procfile": f"web: {SERVER}\n"})
    forge.git("shop.git", "push", "-q", str(repositories.ensure(app)), "main")
    sha = forge.git("shop.git", "rev-parse", "main")
    pushed = Source.objects.create(app=app, commit=sha, branch="main")
    build = ended(actions.build_again(app, pushed, by=alice), 60)
    assert build.status == "succeeded", build.reason


@pytest.mark.parametrize("ref", ["nope", "", "--all", "abcd", "HEAD~1", "main^{tree}", "a\0b"])
def test_what_is_not_in_the_repository_is_refused_at_once(db, alice, forge, ref):
    app = make_app("shop", owner=alice)
    forge.repository()
    forge.git("shop.git", "push", "-q", str(repositories.ensure(app)), "main")
    with pytest.raises(Refusal) as refusal:
        actions.create_build_of(app, ref, by=alice)
    assert "ref" in refusal.value.fields and not Build.objects.exists()


def test_the_jobs_of_app_json_come_with_its_release_and_go_with_the_next(platform, source, alice):
    app = make_app("shop", owner=alice)
    cron = '{"name": "\\u0000x", "cron": [{"command": "clean", "schedule": "@hourly"}]}'
    for text, jobs in ((cron, [("clean", "0 * * * *")]), ("{}", [])):
        build = ended(actions.create_build(app, source(app, **{"app.json": text}), by=alice), 60)
        assert build.status == "succeeded", build.reason
        assert ended(build.release).status == "succeeded"
        assert list(app.scheduled_jobs.values_list("command", "schedule")) == jobs


def test_a_job_that_cannot_be_fails_the_build_with_its_place(platform, source, alice):
    app = make_app("shop", owner=alice)
    text = '{"cron": [{"command": "clean", "schedule": "often"}]}'
    build = ended(actions.create_build(app, source(app, **{"app.json": text}), by=alice), 60)
    assert (build.status, build.reason) == (
        "failed",
        "app.json: cron[0]: often is no schedule that ever comes.",
    )


ASKS = """{"addons": ["heroku-postgresql", {"plan": "heroku-postgresql:basic", "as": "orders", "options": {"v": 16}},
    "loadbalancer", "no-such-thing", 7]}"""


def test_the_add_ons_of_app_json_are_there_before_the_first_release(platform, source, alice, shelf):
    app = make_app("shop", owner=alice)
    shelf.slow = 1
    build = ended(actions.create_build(app, source(app, **{"app.json": ASKS}), by=alice), 60)
    assert build.status == "succeeded", build.reason
    assert build.release.config_keys == ["DATABASE_URL", "ORDERS_URL"]
    assert {str(addon.plan) for addon in app.addons.all()} == {
        "heroku-postgresql:essential-0",
        "heroku-postgresql:basic",
    }
    eventually(lambda: platform.logs.ended(build.log_stream))
    told = "\n".join(platform.lines(build.log_stream))
    for text in (
        "Adding the add-ons of app.json",
        "heroku-postgresql:basic as ORDERS: postgresql-",
        "Waiting for postgresql-",
        "Load balancer is unavailable: ",
        "Couldn't find the add-on service no-such-thing.",
        "app.json: an add-on has to be its plan's name",
    ):
        assert text in told


def test_later_deploys_bring_no_add_ons(platform, source, alice, shelf):
    app = make_app("shop", owner=alice)
    for text in ("{}", ASKS):
        build = ended(actions.create_build(app, source(app, **{"app.json": text}), by=alice), 60)
        assert build.status == "succeeded", build.reason
    assert not Addon.objects.exists()


def test_add_ons_that_the_app_has_already_are_not_ordered_again(platform, source, alice, shelf):
    app = make_app("shop", owner=alice)
    make_addon(app)
    text = '{"addons": ["heroku-postgresql"]}'
    build = ended(actions.create_build(app, source(app, **{"app.json": text}), by=alice), 60)
    assert build.status == "succeeded", build.reason
    assert app.addons.count() == 1


@pytest.mark.parametrize("text", ['{"addons": "heroku-postgresql"}', '{"addons": {"a": 1}}'])
def test_nonsense_for_add_ons_fails_no_build(platform, source, alice, text):
    app = make_app("shop", owner=alice)
    build = ended(actions.create_build(app, source(app, **{"app.json": text}), by=alice), 60)
    assert build.status == "succeeded", build.reason
    eventually(lambda: platform.logs.ended(build.log_stream))
    assert any("addons has to be a list" in line for line in platform.lines(build.log_stream))


def test_what_is_wrong_in_app_json_is_told_in_the_output_and_hinders_no_build(platform, source, alice):
    app = make_app("shop", owner=alice)
    text = '{"colour": "red", "env": {"KEY": 7}}'
    build = ended(actions.create_build(app, source(app, **{"app.json": text}), by=alice), 60)
    assert build.status == "succeeded", build.reason
    eventually(lambda: platform.logs.ended(build.log_stream))
    told = platform.lines(build.log_stream)
    assert " !     app.json: colour is unknown here, and left out." in told
    assert any("app.json: env.KEY has to be text" in line for line in told)


def test_a_build_is_not_released_where_only_promotions_go_by_then(stage, alice, source):
    app = make_app("shop", owner=alice, released=True)
    pipeline = make_pipeline("line", owner=alice)
    couple(app, pipeline, "production", by=alice)
    build = actions.create_build(app, source(app), by=alice)
    stages.set_origin(pipeline.stages.get(name="production"), "promotion", by=alice)
    stage.start()
    build = ended(build, 60)
    assert build.status == "failed"
    assert build.reason.startswith("shop takes releases by promotion only, as Production says.")
    assert not Release.objects.filter(app=app, kind="deploy", version__gt=1).exists()


def test_the_apps_build_command_runs_last_with_its_config(platform, alice, source):
    app = make_app("shop", owner=alice)
    actions.set_config(app, {"GREETING": "hello there"}, by=alice)
    set_build_command(app, 'test "$GREETING" = "hello there" && echo greeted', by=alice)
    build = ended(actions.create_build(app, source(app), by=alice), 60)
    assert build.status == "succeeded", build.reason
    eventually(lambda: platform.logs.ended(build.log_stream))
    lines = platform.lines(build.log_stream)
    assert any(line.startswith("-----> Running test") for line in lines)
    assert "       greeted" in lines
    set_build_command(app, "exit 3", by=alice)
    build = ended(actions.create_build(app, source(app), by=alice), 60)
    assert (build.status, build.reason) == ("failed", "The build command failed with exit code 3: exit 3")
