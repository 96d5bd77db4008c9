"""Commands of gates, in real dynos: whose code and config they get, what is kept of them, and how they end."""

import pytest

from apps.models import Dyno
from flow import actions
from flow.models import Passage, Probe
from pipelines.models import Promotion
from releases.actions import set_config
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, stage


@pytest.fixture
def line(platform, team, alice):
    """Into production, by itself once its gates hold; staging runs something that production does not."""
    pipeline = make_pipeline("shop", owner=team)
    staging = make_app("shop-staging", owner=team, stage=stage(pipeline, "staging"))
    make_app("shop-production", owner=team, stage=stage(pipeline, "production"))
    set_config(staging, {"GREETING": "staging"}, by=alice)
    return actions.line_of(stage(pipeline, "production"))


@pytest.fixture
def staging(line):
    return line.stage.pipeline.couplings.get(app__name="shop-staging").app


@pytest.fixture
def production(line):
    return line.stage.pipeline.couplings.get(app__name="shop-production").app


def gate(line, by, command, **more):
    made = actions.add_gate(line, "command", {"command": command, "seconds": 60, **more}, by=by)[0]
    actions.set_line(line.stage, mode="auto", by=by)
    return made


def probe_of(gate, status, seconds=20):
    found = []

    def look():
        found[:] = Probe.objects.filter(gate=gate, status=status)
        return found

    eventually(look, seconds)
    return found[0]


def test_a_command_that_succeeds_opens_the_line(platform, line, staging, production, alice):
    platform.deployed(staging, alice, files={"smoke": "echo checked $GREETING $SLIPWAY_RELEASE_VERSION\n"})
    probe = probe_of(gate(line, alice, "sh smoke"), "succeeded")
    assert platform.lines(probe.log_stream)[0] == "Running sh smoke on shop-staging"
    assert "checked staging v2" in platform.lines(probe.log_stream)
    assert not any("checked" in text for text in platform.lines(staging.log_stream))
    eventually(lambda: platform.logs.ended(probe.log_stream))
    eventually(lambda: Promotion.objects.filter(automatic=True).exists())


def test_one_that_does_not_keeps_it_shut(platform, line, staging, alice):
    platform.deployed(staging, alice)
    probe = probe_of(gate(line, alice, "echo it is broken; exit 3"), "failed")
    assert probe.reason == "It exited with status 3 on shop-staging."
    eventually(lambda: "it is broken" in platform.lines(probe.log_stream))
    assert Passage.objects.get().state == "open" and not Promotion.objects.exists()


def test_on_the_target_it_gets_that_config_and_the_code_that_wants_to_pass(
    platform, line, staging, production, alice
):
    platform.deployed(production, alice)
    set_config(production, {"GREETING": "production"}, by=alice)
    eventually(lambda: production.releases.filter(version=2, current=True).exists())
    platform.deployed(staging, alice, files={"smoke": "echo $GREETING $SLIPWAY_APP_NAME; test -f smoke\n"})
    probe = probe_of(gate(line, alice, "sh smoke", on="target"), "succeeded")
    assert "production shop-production" in platform.lines(probe.log_stream)


def test_a_target_that_runs_nothing_yet_gives_the_config_that_it_has(platform, line, staging, alice):
    platform.deployed(staging, alice)
    probe = probe_of(gate(line, alice, "test -z $GREETING && test -f server.py", on="target"), "succeeded")
    assert probe.facts["exit_code"] == 0


def test_its_time_is_limited(platform, line, staging, alice):
    platform.deployed(staging, alice)
    probe = probe_of(gate(line, alice, "sleep 1000", seconds=1), "failed")
    assert "longer than 1 second" in probe.reason


def test_it_ends_when_something_newer_is_on_its_way(platform, line, staging, alice):
    platform.deployed(staging, alice)
    slow = gate(line, alice, "sleep 1000")
    eventually(lambda: Dyno.objects.filter(type="gate", state="up").exists())
    old = Dyno.objects.get(type="gate")
    platform.deployed(staging, alice)
    probe = probe_of(slow, "failed")
    assert probe.dyno_id == old.pk and "took its place" in probe.reason
    eventually(lambda: Dyno.objects.get(pk=old.pk).state == "down")


def test_a_conductor_that_starts_again_has_a_lost_command_run_once_more(platform, line, staging, alice):
    platform.deployed(staging, alice)
    again = gate(line, alice, "sleep 3 && echo done")
    eventually(lambda: Dyno.objects.filter(type="gate", state="up").exists())
    platform.stop()
    platform.start()
    probe = probe_of(again, "succeeded", 30)
    assert platform.lines(probe.log_stream).count("done") == 1
    assert Probe.objects.count() == 1
