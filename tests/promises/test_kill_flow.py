"""Promise I-15 for what the platform does by itself: killed at any step of a gate, an automatic promotion and its watch,
of a review app's life, or of a test run, the next conductor brings it to its end, nothing twice and nothing left behind.
"""

import json

import pytest

from apps.models import App, ConfigVar, Dyno
from blueprints.models import Proposal
from ci import actions as ci_actions
from ci.models import TestCase, TestNode, TestRun
from flow import actions as flow_actions
from flow.models import Hold, Passage, Probe, Watch
from pipelines.models import Promotion, Stage
from releases.models import Build, Release
from reviews import actions as review_actions
from reviews.models import AppSetup, ReviewApp
from tests.conductor.conftest import SERVER, SERVER_PY
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, make_release, stage
from tests.promises.test_kill import is_over
from tests.reviews.conftest import commit

pytestmark = [pytest.mark.platform, pytest.mark.promise("I-15")]
BREAKS = f'{SERVER.replace("exec ", "")} & test -z "$FRAGILE" && wait; sleep 0.5; kill $!; exit 1'
SCRIPTS = {"postdeploy": "true", "pr-predestroy": "true"}


def killed_at(outside, point, *, then=lambda: None, ready=lambda: True):
    """One conductor dies there, `then` having happened once it is `ready`; another follows."""
    killed = outside.start(f"{point}=kill")
    eventually(lambda: killed.poll() is not None or ready(), 120, every=0.05)
    if killed.poll() is None:
        then()
    assert killed.wait(120) == -9, outside.log()
    outside.start()


@pytest.mark.promise("I-07")
@pytest.mark.parametrize(
    "point", ["flow.probe_started", "flow.probe_done", "flow.promoted", "flow.rolled_back"]
)
def test_what_passes_by_itself_passes_once_and_goes_back_once(outside, alice, point):
    """A gate lets it through to production, where it crashes: it is rolled back, and the line is held."""
    pipeline = make_pipeline("shop", owner=alice)
    staging = make_app("shop-staging", owner=alice, stage=stage(pipeline, "staging"))
    production = make_app("shop-production", owner=alice, stage=stage(pipeline, "production"))
    good = make_release(production, by=alice, slug=outside.stage.slug(production))
    ConfigVar.objects.create(app=production, key="FRAGILE", value="1")
    make_release(staging, by=alice, slug=outside.stage.slug(staging, web=BREAKS))
    line = flow_actions.set_line(stage(pipeline, "production"), mode="auto", soak_minutes=60, by=alice)
    flow_actions.add_gate(line, "command", {"command": "true"}, by=alice)

    killed_at(outside, point)
    eventually(lambda: Hold.objects.exists() and is_over(), 120, every=0.1)

    promotion, passage, probe, watch = (model.objects.get() for model in (Promotion, Passage, Probe, Watch))
    assert promotion.automatic and passage.promotion == promotion
    assert (passage.state, probe.status, watch.status) == ("refused", "succeeded", "failed")
    assert Hold.objects.get().cause == Hold.Cause.ROLLED_BACK
    released = Release.objects.filter(app=production).order_by("version")
    assert [(row.version, row.kind) for row in released] == [(1, "deploy"), (2, "promote"), (3, "rollback")]
    assert released[2].current and released[2].slug == good.slug
    assert Dyno.objects.filter(type="gate").count() <= 2  # one that went with the first conductor, at most
    assert outside.audit() == []


@pytest.mark.promise("I-19")
@pytest.mark.parametrize(
    "point",
    [
        "review.created",
        "setup.configured",
        "setup.done",
        "review.predestroy",
        "review.destroying",
        "review.destroyed",
        "review.done",
    ],
)
def test_a_review_app_is_made_once_and_leaves_nothing(outside, alice, tmp_path, point):
    pipeline, _ = code(alice, tmp_path)
    review_actions.set_settings(pipeline, enabled=True, by=alice)
    [row] = review_actions.create(pipeline, "feature", by=alice)

    def state():
        row.refresh_from_db()
        return row.state

    def give_up():
        review_actions.destroy(row, by=alice)

    killed_at(outside, point, ready=lambda: state() == "created", then=give_up)
    if not ReviewApp.objects.get().gone:
        eventually(lambda: state() in ("created", "errored"), 120, every=0.1)
        assert row.state == "created", row.message
        assert outside.audit() == []
        give_up()
    eventually(lambda: state() == "deleted", 120, every=0.1)
    assert (ReviewApp.objects.count(), AppSetup.objects.count()) == (1, 1)
    assert not App.objects.filter(ephemeral="review").exists()
    assert not Build.objects.exclude(app__ephemeral="").exists()
    assert outside.audit() == []


@pytest.mark.parametrize("point", ["ci.prepared", "ci.node_ended"])
def test_a_test_run_ends_once_and_leaves_nothing(outside, alice, tmp_path, point):
    pipeline, _ = code(alice, tmp_path)
    run = ci_actions.start_run(pipeline, "feature", by=alice)
    killed_at(outside, point)
    eventually(lambda: TestRun.objects.get().is_over, 120, every=0.1)
    run.refresh_from_db()
    assert (run.state, run.passed, run.failed) == ("succeeded", 2, 0), run.reason
    assert (TestNode.objects.count(), TestCase.objects.count()) == (2, 2)
    eventually(lambda: not App.objects.filter(ephemeral="test").exists(), 30, every=0.1)
    logs = outside.stage.logs
    assert not any(logs.last(node.reports_stream) for node in run.nodes.all())
    assert outside.audit() == []


def test_a_slipway_yml_is_offered_once(outside, alice, tmp_path):
    pipeline, sha = code(alice, tmp_path)
    Proposal.objects.create(pipeline=pipeline, commit=sha, branch="main", status="pending")
    killed_at(outside, "blueprint.read")
    eventually(lambda: Proposal.objects.get().status == "ended", 30, every=0.1)
    assert Proposal.objects.get().state == "offered", Proposal.objects.get().reason
    assert outside.audit() == []


def code(alice, tmp_path):
    """A pipeline with a repository whose app.json has scripts and tests."""
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-main", owner=alice, stage=Stage.objects.get(pipeline=pipeline, name="staging"))
    tests = {"scripts": {"test": 'printf "1..1\\nok 1 - adds"'}, "formation": {"test": {"quantity": 2}}}
    app_json = json.dumps({"scripts": SCRIPTS, "environments": {"test": tests}})
    files = {"app.json": app_json, "server.py": SERVER_PY, "Procfile": f"web: {SERVER}\n"}
    sha = commit(app, tmp_path, "feature", **files, **{"slipway.yml": "ci: {on_push: true}\n"})
    return pipeline, sha
