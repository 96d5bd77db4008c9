"""Promise I-15: the conductor may die at any instant; the next one brings everything to an end by itself.

One scenario reaches every fail point: an app that runs v1 gets a build whose release has a release phase, while v1
is promoted to another app.
"""

import pytest

from apps.models import ConfigVar, Dyno
from pipelines import actions as pipeline_actions
from pipelines.models import Promotion, PromotionTarget
from releases import actions
from releases.models import OPEN, Build, Release
from tests.conductor.conftest import SERVER
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, make_release
from tests.factories import stage as stage_of

POINTS = [
    "build.claimed",
    "build.source_fetched",
    "build.compiled",
    "build.slug_stored",
    "build.release_row",
    "release.row",
    "release.phase_started",
    "release.phase_done",
    "release.dynos_started",
    "router.switch",
    "release.router_switched",
    "release.done",
    "release.old_stopped",
    "promotion.target_claimed",
    "promotion.target_released",
    "promotion.done",
    "log.batch_written",
]


@pytest.mark.platform
@pytest.mark.promise("I-15")
@pytest.mark.promise("I-01")
@pytest.mark.promise("I-07")
@pytest.mark.promise("I-19")
@pytest.mark.parametrize("point", POINTS)
def test_killed_there_the_next_conductor_goes_on(outside, alice, source, point):
    build, promotion = scenario(outside, alice, source)

    killed = outside.start(f"{point}=kill")
    assert killed.wait(30) == -9, outside.log()
    outside.start()
    eventually(lambda: is_over() and is_settled(), 60, every=0.1)

    build.refresh_from_db()
    promotion.refresh_from_db()
    assert build.status == "succeeded", build.reason
    assert build.release.status == "succeeded", build.release.reason
    assert promotion.status == Promotion.Status.COMPLETED
    assert [(t.status, t.reason) for t in promotion.targets.all()] == [("succeeded", "")]
    assert list(Release.objects.filter(app=build.app).values_list("version", flat=True)) == [2, 1]
    assert list(
        Release.objects.filter(app=promotion.targets.get().app).values_list("version", flat=True)
    ) == [1]
    assert outside.audit() == []


@pytest.mark.platform
@pytest.mark.promise("I-15")
@pytest.mark.promise("I-07")
@pytest.mark.parametrize(
    "point", ["promotion.target_claimed", "promotion.target_released", "release.done", "promotion.done"]
)
def test_killed_there_a_promotion_in_turn_goes_on_in_turn(outside, alice, point):
    """The second of three fails: the first has the release, the third was never started."""
    pipeline = make_pipeline("shop", owner=alice)
    staging = make_app("shop-staging", owner=alice, stage=stage_of(pipeline, "staging"))
    live = [make_app(f"shop-{n}", owner=alice, stage=stage_of(pipeline, "production")) for n in (1, 2, 3)]
    types = {"web": SERVER, "release": 'test -z "$BREAK"'}
    make_release(staging, by=alice, slug=outside.stage.slug(staging, **types))
    ConfigVar.objects.create(app=live[1], key="BREAK", value="1")
    targets = [app.coupling for app in live]
    promotion = pipeline_actions.promote(staging.coupling, targets, by=alice, one_by_one=True)

    killed = outside.start(f"{point}=kill")
    assert killed.wait(30) == -9, outside.log()
    outside.start()
    eventually(is_over, 60, every=0.1)

    promotion.refresh_from_db()
    first, second, third = promotion.targets.select_related("release")
    assert promotion.status == Promotion.Status.COMPLETED
    assert [row.status for row in (first, second, third)] == ["succeeded", "failed", "failed"]
    assert first.release.finished_at < second.release.created_at
    assert (third.release, third.reason) == (None, "Not started, since the promotion failed on shop-2.")
    assert outside.audit() == []


def scenario(outside, alice, source):
    pipeline = make_pipeline("shop", owner=alice)
    staging = make_app("shop-staging", owner=alice, stage=stage_of(pipeline, "staging"))
    production = make_app("shop-production", owner=alice, stage=stage_of(pipeline, "production"))
    make_release(staging, by=alice, slug=outside.stage.slug(staging))
    made = source(staging, Procfile=f"web: {SERVER}\nrelease: echo migrating\n")
    build = actions.create_build(staging, made, by=alice)
    promotion = pipeline_actions.promote(staging.coupling, [production.coupling], by=alice)
    return build, promotion


def is_over():
    return not any(
        model.objects.filter(status__in=OPEN).exists() for model in (Build, Release, PromotionTarget)
    )


def is_settled():
    """One web dyno for each app, up, of its current release."""
    rows = {(row.app_id, row.release_version, row.state) for row in Dyno.objects.all()}
    return rows == {(r.app_id, r.version, "up") for r in Release.objects.filter(current=True)}
