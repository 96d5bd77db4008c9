"""What tests say of a commit, what pushes start, and who may do what with runs."""

import pytest
from django.utils import timezone

from apps.models import App
from ci import actions, runs
from ci.access import run_for
from ci.models import State, TestRun
from ci.results import Result, result_of, results_of
from ci.settings import set_settings
from core import changes
from core.errors import BuildFailed, Conflict, Forbidden, NotFound, Refusal
from flow import actions as flow
from flow import gates
from forge import events
from forge.events import Pushed
from forge.models import CommitStatus, Report
from releases import streams
from releases.models import Source
from tests.ci.made import make_node, make_run
from tests.factories import make_pipeline, make_slug, stage
from tests.githosts.conftest import connected

A, B = "a" * 40, "b" * 40


def test_what_was_cancelled_says_so_and_nothing_of_the_commit(shop, alice):
    run = make_run(shop, by=alice, commit=A)
    actions.cancel(run, by=alice)
    words = "Test run 1 was cancelled: run it again, or push a newer commit."
    found = result_of(shop, A)
    assert found == Result("none", words, "/pipelines/shop/tests/1/", cancelled=True) and not found.holds
    gate, _ = flow.add_gate(flow.line_of(stage(shop, "production")), "ci", {}, by=alice)
    slug = make_slug(App.objects.get(name="shop-staging"), commit=A)
    case = gates.Case(gate.line, slug.app, slug, None, timezone.now())
    assert (gates.state_of(gate, case).state, gates.state_of(gate, case).words) == (gates.WAITING, words)
    run.refresh_from_db()
    actions.rerun(run, by=alice)
    assert result_of(shop, A).state == "pending"
    assert result_of(shop, B) == Result()


@pytest.mark.parametrize(
    ("state", "result"),
    [
        ("pending", "pending"),
        ("building", "pending"),
        ("running", "pending"),
        ("succeeded", "passed"),
        ("failed", "failed"),
        ("errored", "failed"),
        ("cancelled", "none"),
    ],
)
def test_a_run_speaks_for_its_commit(shop, alice, state, result):
    assert result_of(shop, A) == Result()
    make_run(shop, by=alice, state=state, commit=A)
    found = result_of(shop, A)
    assert found.state == result
    assert found.holds == (result == "passed")
    assert result_of(shop, B).state == "none"
    assert result_of(make_pipeline("other"), A).state == "none"
    if result != "none":
        assert found.url == "/pipelines/shop/tests/1/" and found.words.startswith("Test run 1 ")


def test_the_newest_run_counts_and_debug_runs_do_not(shop, alice, django_assert_num_queries):
    make_run(shop, by=alice, state="failed", commit=A)
    make_run(shop, by=alice, state="succeeded", commit=A)
    make_run(shop, by=alice, state="failed", commit=A, debug=True)
    make_run(shop, by=alice, state="failed", commit=B)
    with django_assert_num_queries(1):
        found = results_of(shop, [A, B, "", "c" * 40])
    assert {commit: each.state for commit, each in found.items()} == {A: "passed", B: "failed"}


def test_checks_of_the_host_count_where_they_are_asked_for(shop, alice):
    repository = connected(shop, alice)
    make_run(shop, by=alice, state="succeeded", commit=A)

    def ask(*contexts, **more):
        return result_of(shop, A, host=True, contexts=contexts, **more)

    assert ask().state == "none"
    for context, state in (("lint", "success"), ("types", "pending"), ("slipway/ci", "failure")):
        CommitStatus.objects.create(repository=repository, commit=A, context=context, state=state)
    assert ask().state == "pending"
    assert ask("lint").state == "passed"
    assert ask("lint", "absent").state == "none"
    CommitStatus.objects.filter(context="types").update(state="error")
    assert ask(runs=False).state == "failed"
    assert ask().words.startswith("types")


def push(shop, commit, branch="main", by=None):
    said = events.tell(Pushed(shop, branch, commit, "A change", "Alice", by))
    return [sentence for sentence in said if "test run" in sentence]


def test_a_push_is_tested_once_where_that_was_chosen(shop, alice):
    assert push(shop, A) == []
    set_settings(shop, on_push=True, supersede=True, by=alice)
    assert "Started test run 1." in push(shop, A)
    run = TestRun.objects.get()
    assert (run.commit, run.branch, run.by, run.cause) == (A, "main", alice, "push")
    assert push(shop, A) == [] and push(shop, "") == []
    said = push(shop, B)
    assert "Started test run 2." in said and "Cancelled test run 1, which had not begun." in said
    run.refresh_from_db()
    assert (run.state, run.reason) == ("cancelled", "A newer push of main took its place: test run 2.")
    push(shop, B, branch="other")
    assert TestRun.objects.filter(state="pending").count() == 2


def test_what_has_begun_goes_on_when_a_newer_push_comes(shop, alice):
    set_settings(shop, on_push=True, supersede=True, by=alice)
    push(shop, A)
    TestRun.objects.claim()
    push(shop, B)
    assert not TestRun.objects.filter(cancel_asked=True).exists()


def test_numbers_have_no_gap_and_each_pipeline_its_own(shop, alice):
    other = make_pipeline("other", owner=alice)
    numbers = [make_run(pipeline, by=alice).number for pipeline in (shop, other, shop, shop, other)]
    assert numbers == [1, 1, 2, 3, 2]


def test_there_is_a_most_of_waiting_runs(shop, alice, monkeypatch):
    monkeypatch.setattr(actions, "MOST_WAITING", 2)
    make_run(shop, by=alice)
    make_run(shop, by=alice)
    with pytest.raises(Conflict, match="2 test runs that have not ended"):
        make_run(shop, by=alice)


def test_what_has_ended_is_run_again_and_nothing_else(shop, alice):
    run = make_run(shop, by=alice, state="running")
    with pytest.raises(Conflict, match="wait for its end"):
        actions.rerun(run, by=alice)
    done = make_run(shop, by=alice, state="failed", nodes_total=3)
    make_node(done, index=0)
    with pytest.raises(Refusal, match="No node"):
        actions.rerun(done, by=alice, only_failed=True)
    make_node(done, index=2, state="failed")
    again = actions.rerun(done, by=alice, only_failed=True)
    assert (again.only_failed, again.nodes_total, again.commit) == ([2], 3, done.commit)
    with pytest.raises(Conflict, match="has ended"):
        actions.cancel(done, by=alice)
    Source.objects.update(path="")
    with pytest.raises(Refusal, match="cleaned away"):
        actions.rerun(TestRun.objects.get(pk=done.pk), by=alice)


def test_the_end_is_told_to_who_follows_and_to_the_host(shop, alice, monkeypatch):
    repository = connected(shop, alice, api_url="https://api.example.com")
    repository.token = "a token"
    repository.save()
    heard = []
    monkeypatch.setattr(changes, "_listeners", [*changes._listeners, heard.append])
    run = actions.start_run_of_source(
        shop, Source.objects.create(path="x"), branch="main", commit=A, message="", by=alice
    )
    held = TestRun.objects.claim()
    runs.end_run(held, State.FAILED, "2 tests failed.")
    assert [c.thing for c in heard if c.verb == changes.MOVED_ON] == [run]
    report = Report.objects.latest("created_at")
    assert (report.state, report.context, report.commit) == ("failure", "slipway/ci", A)
    assert report.description == "Tests failed: 2 tests failed."
    assert report.url.endswith("/pipelines/shop/tests/1/")


def test_runs_and_their_output_are_for_who_sees_the_pipeline(shop, alice, bob, vera, charlie):
    run = make_run(shop, by=alice, state="running")
    node = make_node(run, state="running")
    assert run_for(vera, run.pk) == run
    with pytest.raises(Forbidden):
        run_for(vera, run.pk, to="deploy")
    assert run_for(bob, str(run.pk), to="deploy") == run
    for ref in (run.pk, "x", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            run_for(charlie, ref)
    for stream in (run.log_stream, node.log_stream):
        assert streams.may_read(vera, stream) and not streams.may_read(charlie, stream)
        assert not streams.is_over(stream)
    assert not streams.may_read(alice, node.reports_stream)
    TestRun.objects.update(status="ended", state="failed")
    assert streams.is_over(run.log_stream) and streams.is_over(node.log_stream)


def test_app_json_says_how_it_is_tested():
    text = b"""{"scripts": {"test": "base"}, "environments": {"test": {"scripts": {"test-setup": "rake db"},
        "formation": {"test": {"quantity": 3, "size": "standard-2x"}}}}}"""
    _, plan = runs.read_files({"app.json": text})
    assert plan == {"setup": "rake db", "test": "base", "nodes": 3, "size": "standard-2x"}
    assert runs.read_files({"bin/test": b""})[1]["test"] == "bin/test"
    for files in ({}, {"app.json": b"[]"}, {"app.json": b"[" * 10**5}, {"app.json": b"{}" + b" " * 10**6}):
        with pytest.raises(BuildFailed):
            runs.read_files(files)


def test_plans_for_tests_alone_become_small_ones_that_go_with_the_run():
    asked = ["heroku-postgresql:in-dyno", {"plan": "heroku-redis:in-dyno", "as": "CACHE"}, "x:y", 3]
    assert runs._affordable(asked) == [
        "heroku-postgresql:mini",
        {"plan": "heroku-redis:mini", "as": "CACHE"},
        "x:y",
        3,
    ]
