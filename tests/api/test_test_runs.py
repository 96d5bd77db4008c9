"""Test runs by the API: starting, following, cancelling them; their nodes and cases; config vars of tests."""

import time

import pytest

from ci import actions
from ci.models import CiVar, State, TestCase, TestNode, TestRun
from core.models import Event
from releases.models import Source
from tests.api.conftest import ApiClient


@pytest.fixture
def run(shop, alice):
    source = Source.objects.create(user=alice, path="sources/none")
    return actions.start_run_of_source(
        shop, source, branch="main", commit="a" * 40, message="A change", by=alice
    )


@pytest.fixture
def node(run):
    node = TestNode.objects.create(run=run, index=0, state="failed", exit_code=2)
    TestCase.objects.create(run=run, node=node, number=1, description="adds", passed=True)
    return node


def end(run, state):
    TestRun.objects.filter(pk=run.pk).update(status="ended", state=state)


def uploaded(api, data=b"an archive"):
    blob = api.post("/sources").json()["source_blob"]
    path = blob["put_url"].partition("/_sources/")[2]
    assert api.client.put(f"/_sources/{path}", data, content_type="application/gzip").status_code == 200
    return blob["get_url"]


def test_an_archive_is_tested(api, as_vera, shop, alice, settings, tmp_path):
    settings.DATA = tmp_path
    body = {
        "pipeline": str(shop.pk), "source_blob_url": uploaded(api), "commit_branch": "main",
        "commit_sha": "b" * 40, "commit_message": "Change\nand more", "organization": "acme", "debug": True,
    }  # fmt: skip
    answer = api.post("/test-runs", body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["number"], made["status"], made["commit_message"]) == (1, "pending", "Change")
    assert made["debug"] is True and made["user"]["email"] == alice.email
    assert TestRun.objects.get().source.path
    assert as_vera.post("/test-runs", body).status_code == 403
    assert api.post("/test-runs", {**body, "pipeline": "absent"}).status_code == 404


def test_runs_are_listed_and_shown(api, as_vera, run, shop, charlie):
    path = f"/pipelines/{shop.pk}/test-runs"
    assert [row["number"] for row in as_vera.get(path).json()] == [1]
    assert api.get(f"{path}/1").json()["id"] == str(run.pk)
    assert api.get(f"/test-runs/{run.pk}").json()["commit_sha"] == "a" * 40
    assert api.get(f"{path}/2").status_code == 404
    for each in (path, f"{path}/1", f"/test-runs/{run.pk}", f"/test-runs/{run.pk}/test-nodes"):
        assert ApiClient(charlie).get(each).status_code == 404


def test_a_page_has_more_than_one_run_whatever_the_cli_asks(api, run, shop, alice):
    for _ in range(3):
        actions.start_run_of_source(shop, run.source, branch="x", commit="", message="", by=alice)
    answer = api.get(f"/pipelines/{shop.pk}/test-runs", Range="number ..; order=desc,max=1")
    assert answer.status_code == 200
    assert [row["number"] for row in answer.json()] == [4, 3, 2, 1]


def test_who_asks_again_at_once_waits_for_news(api, run, shop):
    path, began = f"/pipelines/{shop.pk}/test-runs/1", time.monotonic()
    api.get(path)
    assert time.monotonic() - began < 0.8
    began = time.monotonic()
    api.get(path)
    assert 0.8 < time.monotonic() - began < 3
    end(run, "succeeded")
    began = time.monotonic()
    assert api.get(path).json()["status"] == "succeeded"
    assert time.monotonic() - began < 0.8


def test_nodes_and_cases(api, run, node):
    (told,) = api.get(f"/test-runs/{run.pk}/test-nodes").json()
    assert (told["index"], told["status"], told["exit_code"], told["dyno"]) == (0, "failed", 2, None)
    assert "/streams/test/" in told["setup_stream_url"] and "/streams/testnode/" in told["output_stream_url"]
    (case,) = api.get(f"/test-runs/{run.pk}/test-cases").json()
    assert (case["description"], case["passed"]) == ("adds", True)


def test_what_was_built_in_vain_has_an_exit_code_for_programs(api, run):
    TestNode.objects.create(run=run, index=0, state=State.ERRORED)
    (told,) = api.get(f"/test-runs/{run.pk}/test-nodes").json()
    assert (told["exit_code"], told["error_status"]) == (1, "errored")


def test_a_shell_is_told_to_who_started_the_run_alone(api, as_bob, as_vera, run, node):
    node.dyno_id, node.attach_secret = run.pk, "rendezvous-secret"
    node.save()
    path = f"/test-runs/{run.pk}/test-nodes"
    assert api.get(path).json()[0]["dyno"]["attach_url"].endswith("/rendezvous-secret")
    for other in (as_bob, as_vera):
        assert other.get(path).json()[0]["dyno"]["attach_url"] is None


def test_a_run_is_told_as_the_setup_of_its_app(api, run, charlie):
    setup = api.get(f"/app-setups/{run.pk}").json()
    assert (setup["id"], setup["status"]) == (str(run.pk), "pending")
    assert ApiClient(charlie).get(f"/app-setups/{run.pk}").status_code == 404


def test_it_is_cancelled_and_nothing_else(api, as_vera, run):
    path = f"/test-runs/{run.pk}"
    assert as_vera.patch(path, {"status": "cancelled", "message": "x"}).status_code == 403
    assert api.patch(path, {"status": "succeeded", "message": "x"}).status_code == 422
    assert api.patch(path, {"status": "cancelled", "message": "x"}).json()["status"] == "cancelled"
    assert api.patch(path, {"status": "cancelled", "message": "x"}).json()["status"] == "cancelled"


def test_config_vars_of_tests(api, as_bob, as_vera, shop):
    path = f"/pipelines/{shop.pk}/stage/test/config-vars"
    assert api.patch(path, {"TOKEN": "hush", "COLOUR": "red"}).json() == {"TOKEN": "hush", "COLOUR": "red"}
    assert as_bob.patch(path, {"COLOUR": None}).json() == {"TOKEN": "hush"}
    assert api.get(path).json() == {"TOKEN": "hush"}
    assert as_vera.get(path).status_code == 403
    assert api.patch(path, {"9": "x"}).status_code == 422
    assert "hush" not in CiVar.objects.get().sealed
    assert "hush" not in str(list(Event.objects.values()))
