"""Promise I-15: an error of ours or of the world's anywhere is tried again, and ends well or with a reason."""

import pytest

from conductor import work
from pipelines import actions as pipeline_actions
from releases import actions
from releases.models import Release
from tests.conductor.conftest import SERVER, ended
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline
from tests.factories import stage as stage_of

POINTS = [
    "build.claimed",
    "build.compiled",
    "build.slug_stored",
    "build.release_row",
    "release.phase_started",
    "release.phase_done",
    "release.dynos_started",
    "release.router_switched",
    "router.switch",
    "promotion.target_claimed",
    "promotion.target_released",
]


@pytest.mark.promise("I-15")
@pytest.mark.parametrize("point", POINTS)
def test_an_error_there_is_got_over(platform, alice, source, point, monkeypatch, caplog):
    pipeline = make_pipeline("shop", owner=alice)
    staging = make_app("shop-staging", owner=alice, stage=stage_of(pipeline, "staging"))
    production = make_app("shop-production", owner=alice, stage=stage_of(pipeline, "production"))
    monkeypatch.setattr("conductor.dynos.RETRY", 0.2)
    platform.deployed(staging, alice)
    promotion = pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)
    monkeypatch.setenv("FAILPOINTS", f"{point}=error")
    made = source(staging, Procfile=f"web: {SERVER}\nrelease: true\n")
    build = actions.create_build(staging, made, by=alice)
    if point.startswith("promotion"):
        promotion = pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)
    eventually(lambda: f"Injected: {point}" in caplog.text)
    monkeypatch.delenv("FAILPOINTS")
    assert ended(build).status == "succeeded", build.reason
    assert ended(build.release).status == "succeeded", build.release.reason
    target = ended(promotion.targets.get())
    assert target.status == "succeeded", target.reason
    assert sorted(Release.objects.filter(app=staging).values_list("version", flat=True)) == [1, 2]
    eventually(lambda: platform.backends(staging) and platform.get(staging)[0] == "v2")


@pytest.mark.promise("I-15")
def test_trouble_that_stays_ends_with_a_reason(platform, alice, source, monkeypatch):
    monkeypatch.setattr(work, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(work, "LONGEST_PAUSE", 0.01)
    monkeypatch.setenv("FAILPOINTS", "build.compiled=error")
    app = make_app("shop", owner=alice)
    build = ended(actions.create_build(app, source(app), by=alice), 60)
    assert build.status == "failed"
    assert "on the platform's side" in build.reason
    assert build.attempt == work.ATTEMPTS
    assert not Release.objects.exists()
