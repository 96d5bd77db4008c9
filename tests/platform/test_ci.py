"""Tests of a pipeline's code on the whole platform: from a push to what they report; cancelled; killed in the middle."""

import json

import pytest

from tests.platform.harness import commit, repository
from tests.waiting import eventually

pytestmark = pytest.mark.platform
BAD = "printf '1..1\\n'; [ $CI_NODE_INDEX = 0 ] || printf 'not '; echo ok 1 - node $CI_NODE_INDEX; exit $CI_NODE_INDEX"
GOOD = "printf '1..1\\nok 1 - node %s\\n' $CI_NODE_INDEX"
ON_PUSH = """
from ci.settings import set_settings; from pipelines.models import Pipeline; from accounts.models import User
set_settings(Pipeline.objects.get(name="tested"), on_push=True, supersede=True, by=User.objects.get())
"""


def app_json(test, nodes=2):
    wanted = {"scripts": {"test": test}, "formation": {"test": {"quantity": nodes}}}
    return json.dumps({"environments": {"test": wanted}})


def begin(platform, folder):
    """A pipeline whose pushes are tested, and its first commit, which is not pushed yet."""
    platform.pipeline("tested", staging="tested-staging")
    platform.manage("shell", "-c", ON_PUSH)
    return repository(folder, Procfile="web: python3 -m http.server $PORT\n", app__json=app_json(BAD))


def run_of(platform, number):
    return platform.api("GET", f"/pipelines/tested/test-runs/{number}")


def ended(platform, number, seconds=120):
    """The run with this number, once it has ended."""
    states = ("succeeded", "failed", "errored", "cancelled")

    def look():
        found = platform.api("GET", "/pipelines/tested/test-runs")
        return next((row for row in found if row["number"] == number and row["status"] in states), None)

    return eventually(look, seconds=seconds, every=0.5)


def nothing_is_left(platform):
    left = "from apps.models import App; print(App.objects.filter(ephemeral='test').count())"
    eventually(lambda: platform.manage("shell", "-c", left).stdout.split()[-1] == "0", seconds=60, every=2)
    return platform.audit() == []


def test_pushes_are_tested_on_two_nodes_until_they_pass(platform, tmp_path):
    folder = begin(platform, tmp_path / "tested")
    platform.push(folder, "tested-staging")
    run = ended(platform, 1)
    assert (run["status"], run["message"]) == ("failed", "1 test failed.")
    nodes = platform.api("GET", f"/test-runs/{run['id']}/test-nodes")
    assert [(node["index"], node["status"], node["exit_code"]) for node in nodes] == [
        (0, "succeeded", 0),
        (1, "failed", 1),
    ]
    cases = platform.api("GET", f"/test-runs/{run['id']}/test-cases")
    assert sorted(case["description"] for case in cases) == ["node 0", "node 1"]
    assert "not ok 1 - node 1" in platform.http("GET", nodes[1]["output_stream_url"])[1]
    commit(folder, app__json=app_json(GOOD))
    platform.push(folder, "tested-staging")
    assert ended(platform, 2)["status"] == "succeeded"
    commit(folder, app__json=app_json("sleep 300"))
    platform.push(folder, "tested-staging")
    eventually(lambda: run_of(platform, 3)["status"] == "running", seconds=120, every=0.5)
    platform.api("PATCH", f"/test-runs/{run_of(platform, 3)['id']}", {"status": "cancelled", "message": "x"})
    assert ended(platform, 3)["status"] == "cancelled"
    assert nothing_is_left(platform)


@pytest.mark.promise("I-15")
@pytest.mark.parametrize("name", ["ci.app_made", "ci.nodes_started", "ci.done"])
def test_killed_in_the_middle(fresh, tmp_path, name):
    platform = fresh(
        "data", SLIPWAY_FAILPOINTS="1", SLIPWAY_LEASE_SECONDS="3", SLIPWAY_HEARTBEAT_SECONDS="1"
    ).start(FAILPOINTS=f"{name}=kill")
    platform.sign_up()
    folder = begin(platform, tmp_path / "tested")
    commit(folder, app__json=app_json(GOOD))
    platform.push(folder, "tested-staging", check=False)
    assert platform.process.wait(timeout=120) == -9
    platform.start()
    assert ended(platform, 1)["status"] == "succeeded"
    assert len(platform.api("GET", "/pipelines/tested/test-runs")) == 1
    assert nothing_is_left(platform)
