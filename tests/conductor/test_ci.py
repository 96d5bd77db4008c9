"""Test runs, from an archive to cases, with a real conductor."""

import json
import uuid

import pytest
from django.db import transaction

from apps import access, limits
from apps.models import App, Dyno
from ci import actions, runs
from ci.models import TestCase, TestNode, TestRun
from ci.settings import set_vars
from conductor import caches
from conductor.audit import test_apps as audit_test_apps
from core import failpoints
from tests.ci.made import make_run
from tests.conftest import eventually

TAP = "1..2\\nok 1 - adds\\nnot ok 2 - subtracts\\n# expected 1\\n"
JUNIT = '<testsuite><testcase classname="a" name="b" time="0.5"/></testsuite>'


def app_json(test, *, setup="", nodes=1, **more):
    scripts = {"test": test, **({"test-setup": setup} if setup else {})}
    return json.dumps(
        {"environments": {"test": {"scripts": scripts, "formation": {"test": {"quantity": nodes}}, **more}}}
    )


@pytest.fixture(autouse=True)
def destroyed_apps_go_soon(settings):
    """The tests wait for that."""
    settings.SWEEP_SECONDS = 0.3


@pytest.fixture
def start(shop, alice, source):
    """Starts a run of an archive with this app.json, or these files."""

    def start(text=None, *, commit="a" * 40, debug=False, clear_cache=False, **files):
        if text is not None:
            files["app.json"] = text
        made = source(None, **files)
        return actions.start_run_of_source(
            shop,
            made,
            branch="main",
            commit=commit,
            message="A change",
            by=alice,
            debug=debug,
            clear_cache=clear_cache,
        )

    return start


def over(run, seconds=60):
    def check():
        run.refresh_from_db()
        return run.is_over

    eventually(check, seconds)
    return run


def gone():
    """No app of a test run is left, nor anything of it on the engine."""
    return not App.objects.filter(ephemeral="test").exists()


def output(platform, run):
    lines = platform.lines(run.log_stream)
    for node in TestNode.objects.filter(run=run):
        lines += platform.lines(node.log_stream)
    return "\n".join(lines)


def test_nodes_share_the_tests_and_report_cases(platform, start, shop, alice):
    set_vars(shop, {"TOKEN": "hush"}, by=alice)
    test = f'printf "{TAP}"; echo "{JUNIT.replace(chr(34), chr(39))}" > $CI_REPORTS/a.xml;'
    test += ' echo "node $CI_NODE_INDEX of $CI_NODE_TOTAL, $CI, $TOKEN, $COLOUR, $(cat ready)"; exit $CI_NODE_INDEX'
    run = over(start(app_json(test, setup="echo yes > ready", nodes=2, env={"COLOUR": "red"})))
    assert (run.state, run.reason) == ("failed", "2 tests failed."), output(platform, run)
    assert (run.passed, run.failed, run.skipped, run.nodes_total) == (4, 2, 0, 2)
    first, second = run.nodes.all()
    assert (first.state, first.exit_code) == ("succeeded", 0)
    assert (second.state, second.exit_code) == ("failed", 1)
    assert "node 0 of 2, true, hush, red, yes" in platform.lines(first.log_stream)
    assert "node 1 of 2, true, hush, red, yes" in platform.lines(second.log_stream)
    cases = list(TestCase.objects.filter(node=second).values_list("number", "description", "passed"))
    assert cases == [(1, "adds", True), (2, "subtracts", False), (3, "a › b", True)]
    assert TestCase.objects.filter(description="subtracts").first().diagnostic == "expected 1\n"
    said = output(platform, run)
    assert "-----> Procfile app detected" in said and "\x1e" not in said
    assert platform.logs.ended(run.log_stream) and platform.logs.ended(first.log_stream)
    assert not Dyno.objects.filter(app__ephemeral="test").exists()
    eventually(gone, 20)
    eventually(
        lambda: [folder.name for folder in (platform.data / "caches").iterdir()] == [f"tests-{shop.pk}"]
    )


def test_a_run_builds_with_what_the_last_one_left(platform, start, shop):
    over(start(app_json("true")))
    kept = platform.data / "caches" / f"tests-{shop.pk}"
    (kept / "wheels").mkdir()
    second = over(start(app_json("true")))
    assert second.state == "succeeded" and (kept / "wheels").is_dir()
    third = start(app_json("true"), clear_cache=True)
    assert over(third).state == "succeeded" and not (kept / "wheels").exists()
    stale = kept.with_name(f"tests-{uuid.uuid4()}")
    stale.mkdir()
    caches.drop_of_gone_pipelines(platform.data)
    assert kept.exists() and not stale.exists()


def test_a_run_that_finds_the_cache_taken_begins_with_none(platform, start, shop, alice):
    with transaction.atomic():  # or the conductor might take it while it is pending
        other = make_run(shop, by=alice, state="building", lease_token=uuid.uuid4())
    assert other.take_cache() and other.take_cache()
    kept = platform.data / "caches" / f"tests-{shop.pk}"
    (kept / "wheels").mkdir(parents=True)
    assert over(start(app_json("true"), clear_cache=True)).state == "succeeded"
    assert (kept / "wheels").is_dir()
    runs.end_run(other, "errored", "It was lost.")
    assert over(start(app_json("true"), clear_cache=True)).state == "succeeded"
    assert not (kept / "wheels").exists()
    assert not TestRun.objects.filter(has_cache=True).exists()


def test_a_run_that_passes(platform, start):
    run = over(start(app_json("true")))
    assert (run.state, run.reason) == ("succeeded", ""), output(platform, run)
    eventually(gone, 20)


def test_the_output_tells_of_the_command_and_not_of_what_is_around_it(platform, start):
    """Nor are lines of the command itself taken for results."""
    run = over(start(app_json("printf '1..1\nok 1 - adds\n'", setup="true\n# not ok 1 - of a comment")))
    (node,) = run.nodes.all()
    lines = platform.lines(node.log_stream)
    assert lines[lines.index("-----> Running test-setup command `true`...") + 1 :][:3] == [
        "-----> Running test command `printf '1..1`...",
        "1..1",
        "ok 1 - adds",
    ]
    assert not any("Starting process" in line or "CI_REPORTS" in line for line in lines)
    assert (run.state, run.passed, run.failed) == ("succeeded", 1, 0)


def test_bin_test_is_the_default(platform, start):
    run = over(start(**{"bin/test": "#!/bin/sh\necho it ran\nexit 3\n"}))
    assert run.state == "failed", output(platform, run)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "Nothing says how this app is tested. Add a script bin/test"),
        ({"app.json": "{,}"}, "app.json, line 1"),
        ({"app.json": app_json("true", nodes=33)}, "33 test nodes; 32 are the most"),
        ({"app.json": app_json("true", env={"KEY": {"required": True}})}, "app.json requires KEY."),
        ({"app.json": app_json("true"), "Procfile": "x"}, "The build failed:"),
    ],
)
def test_what_keeps_tests_from_running_is_told(platform, start, files, reason):
    run = over(start(**files))
    assert run.state == "errored" and reason in run.reason
    assert reason in output(platform, run)
    eventually(gone, 20)


def test_a_setup_that_fails_is_told_apart(platform, start):
    run = over(start(app_json("echo never", setup="exit 4")))
    assert (run.state, run.reason) == ("errored", "test-setup ended with exit status 4.")
    assert "never" not in platform.lines(run.nodes.get().log_stream)


def test_it_is_cancelled_in_the_middle(platform, start, alice):
    run = start(app_json("echo begun; sleep 60"))
    eventually(lambda: "begun" in output(platform, run), 30)
    actions.cancel(run, by=alice)
    over(run, 10)
    assert (run.state, run.reason) == ("cancelled", "Cancelled by Alice Liddell.")
    assert run.nodes.get().state == "cancelled"
    eventually(gone, 20)


def test_one_that_has_not_begun_is_cancelled_at_once(stage, start, alice):
    run = start(app_json("true"))
    actions.cancel(run, by=alice)
    run.refresh_from_db()
    assert run.state == "cancelled" and not App.objects.filter(ephemeral="test").exists()


def test_a_run_that_takes_too_long_is_ended(platform, start, settings):
    settings.CI_SECONDS = 4
    run = over(start(app_json("sleep 60")), 30)
    assert run.state == "errored" and ("longer than" in run.reason or "ended" in run.reason)
    eventually(gone, 20)


def test_a_debug_run_waits_with_a_shell(platform, start, alice):
    run = start(app_json("true"), debug=True)
    eventually(lambda: TestNode.objects.filter(run=run).exclude(sealed_attach="").exists(), 30)
    run.refresh_from_db()
    node = run.nodes.get()
    assert run.state == "debugging" and node.attach_secret.startswith("rendezvous-")
    assert Dyno.objects.get(app__ephemeral="test").env["CI_TEST"] == "true"
    actions.cancel(run, by=alice)
    over(run, 10)
    assert run.state == "cancelled" and not run.nodes.get().sealed_attach
    eventually(gone, 20)


def test_it_goes_on_after_an_interruption(stage, start):
    stage.start()
    run = start(app_json("echo begun; sleep 1"))
    eventually(lambda: "begun" in output(stage, run), 30)
    stage.stop()
    stage.start()
    over(run)
    assert run.state == "succeeded", output(stage, run)
    assert " !     The platform was interrupted; the tests run again." in output(stage, run)
    eventually(gone, 20)


def test_apps_without_a_run_are_found_and_destroyed(stage, start):
    start(app_json("sleep 60"))
    run = TestRun.objects.claim()
    runs.make_app(run)
    App.objects.filter(ephemeral="test").update(created_at="2020-01-01T00:00Z")
    assert not list(audit_test_apps())
    TestRun.objects.filter(pk=run.pk).delete()
    assert [v.message for v in audit_test_apps()] == ["its test run is over, and it was not destroyed"]
    stage.start()
    eventually(gone, 20)
    assert not list(audit_test_apps())


def test_apps_of_runs_are_in_no_list(stage, start, alice):
    start(app_json("true"))
    run = TestRun.objects.claim()
    app = runs.make_app(run)
    assert runs.make_app(run) == app
    assert app not in access.apps_for(alice)
    assert limits.apps_of(app.owner) == 2
    assert {"ci.app_made", "ci.nodes_started", "ci.done"} <= failpoints.NAMES
