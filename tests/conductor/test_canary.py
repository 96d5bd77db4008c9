"""Promotions that have to prove themselves: with a share of the requests, or on one app before the others."""

import os
import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.models import App, Crash, Dyno, Traffic
from apps.traffic import BOUNDS
from flow.models import Line
from pipelines import actions as pipeline_actions
from pipelines import outcomes
from pipelines.models import PromotionTarget
from releases import actions
from releases.models import Release
from tests.conductor.conftest import ended
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline
from tests.factories import stage as stage_of


def promote(pipeline, by):
    source = pipeline.couplings.get(app__name="shop-staging")
    return pipeline_actions.promote(source, source.downstream(), by=by)


def line_into(pipeline, canary, **more):
    return Line.objects.create(stage=stage_of(pipeline, "production"), canary=canary, **more)


@pytest.fixture
def shop(platform, team, alice):
    """Staging has a release that production, which runs an older one, is to get."""
    pipeline = make_pipeline("shop", owner=team)
    staging = make_app("shop-staging", owner=team, stage=stage_of(pipeline, "staging"))
    production = make_app("shop-production", owner=team, stage=stage_of(pipeline, "production"))
    platform.deployed(production, alice)
    platform.deployed(staging, alice)
    return pipeline


@pytest.fixture
def trial(platform, shop, alice):
    """A release on trial: (the app, the release)."""
    line_into(shop, "share", canary_percent=20, canary_minutes=5, most_errors=5, most_p95=500)
    promote(shop, alice)
    app = App.objects.get(name="shop-production")
    eventually(lambda: route(platform, app).canary)
    return app, Release.objects.get(app=app, version=2)


def route(platform, app):
    return platform.router.routes[str(app.pk)]


def over(release):
    """Have its time be up, and the conductor look at it."""
    Release.objects.filter(pk=release.pk).update(canary_until=timezone.now())


def count(app, release, requests, errors=0, milliseconds=10):
    spread = [0] * (len(BOUNDS) + 1)
    spread[BOUNDS.index(milliseconds)] = requests
    minute = timezone.now().replace(second=0, microsecond=0)
    Traffic.objects.create(
        app=app, minute=minute, release_version=release, requests=requests, errors=errors, spread=spread
    )


def look(platform, release):
    """Have the conductor look at the release at once instead of in some seconds."""
    held = next(held for held in platform.conductor.held() if held.job.pk == release.pk)
    platform.conductor._hand.go_on(held)


def failed(release):
    release = ended(release)
    assert release.status == "failed"
    return release.reason


def test_both_releases_serve_and_the_new_one_gets_its_share(platform, trial):
    app, release = trial
    old, new = route(platform, app).backends, route(platform, app).canary
    assert [b.release for b in old] == [1] and [b.release for b in new] == [2]
    assert route(platform, app).share == 20
    release.refresh_from_db()
    assert release.status == "running" and not release.current
    assert (release.steps[-1]["name"], release.canary_percent) == ("canary", 20)
    assert 290 < (release.canary_until - timezone.now()).total_seconds() <= 300


def test_what_stands_gets_everything(platform, trial):
    app, release = trial
    count(app, 2, 100)
    over(release)
    look(platform, release)
    assert ended(release).status == "succeeded"
    assert [b.release for b in platform.backends(app)] == [2] and not route(platform, app).canary
    assert [step["name"] for step in release.steps] == ["start", "canary", "switch"]
    assert PromotionTarget.objects.get().status == "succeeded"


@pytest.mark.promise("I-05")
def test_errors_end_it_and_the_old_release_has_served_on(platform, trial):
    app, release = trial
    before = platform.get(app)
    count(app, 1, 1000)
    count(app, 2, 200, errors=30)
    look(platform, release)
    assert (
        failed(release)
        == "On trial with 20 % of the requests, 15.0 % of its 200 answers were errors; 5 % is the limit."
    )
    eventually(lambda: not route(platform, app).canary)
    assert platform.get(app) == before
    assert PromotionTarget.objects.get().reason == Release.objects.get(pk=release.pk).reason
    eventually(lambda: [row.release_version for row in Dyno.objects.filter(app=app)] == [1])
    assert Release.objects.current_for(app).version == 1


def test_slowness_ends_it(platform, trial):
    app, release = trial
    count(app, 2, 200, milliseconds=1000)
    look(platform, release)
    assert "its p95 was 1000 ms; 500 ms is the limit" in failed(release)


def test_the_old_releases_errors_are_not_its_own(platform, trial):
    app, release = trial
    count(app, 1, 200, errors=200)
    count(app, 2, 200)
    over(release)
    look(platform, release)
    assert ended(release).status == "succeeded"


def test_a_crash_ends_it_at_once(platform, trial):
    app, release = trial
    new = Dyno.objects.get(app=app, release_version=2)
    states = platform.conductor.parts.driver.observe(str(app.pk))
    os.kill(next(state.pid for state in states if state.id == new.incarnation), signal.SIGKILL)
    assert failed(release).startswith("web.1 crashed on trial")
    assert [b.release for b in platform.backends(app)] == [1]
    assert Crash.objects.filter(app=app, release_version=2).exists()


def test_a_rollback_or_deploy_by_hand_is_not_kept_waiting(platform, trial, alice):
    app, release = trial
    later = platform.deploy(app, alice)
    look(platform, release)
    assert failed(release) == "On trial with 20 % of the requests when v3 came to take its place."
    assert ended(later).status == "succeeded"


def test_a_config_change_waits_and_takes_the_new_code(platform, trial, alice):
    app, release = trial
    later = actions.set_config(app, {"GREETING": "hello"}, by=alice)
    over(release)
    look(platform, release)
    assert ended(release).status == ended(later).status == "succeeded"
    assert platform.get(app)[:2] == ("v3", "hello")


@pytest.mark.promise("I-15")
def test_it_goes_on_after_an_interruption(platform, trial):
    app, release = trial
    until = Release.objects.get(pk=release.pk).canary_until
    platform.stop()
    platform.start()
    eventually(lambda: route(platform, app).canary and route(platform, app).share == 20)
    release.refresh_from_db()
    assert (release.status, release.canary_until) == ("running", until)
    over(release)
    eventually(lambda: platform.conductor.held())
    look(platform, release)
    assert ended(release).status == "succeeded"


def test_a_first_release_and_one_by_hand_need_no_trial(platform, shop, alice):
    line_into(shop, "share", canary_minutes=5)
    new = make_app("shop-eu", owner=shop.team, stage=stage_of(shop, "production"))
    by_hand = platform.deployed(App.objects.get(name="shop-production"), alice)
    assert by_hand.canary_until is None
    source = shop.couplings.get(app__name="shop-staging")
    pipeline_actions.promote(source, [new.coupling], by=alice)
    eventually(lambda: platform.backends(new))
    assert ended(Release.objects.get(app=new)).canary_until is None


# --- one app first ------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(platform, shop, alice):
    """Two more apps of production; one of the three is first."""
    for name in ("shop-a", "shop-b"):
        make_app(name, owner=shop.team, stage=stage_of(shop, "production"))
    line_into(shop, "app", canary_minutes=5, most_errors=5)
    return promote(shop, alice)


def target(promotion, name):
    return promotion.targets.select_related("app", "release").get(app__name=name)


def first_is_live(promotion, name="shop-a"):
    eventually(lambda: target(promotion, name).status == "succeeded", 20)
    return target(promotion, name)


def wake(platform, promotion):
    """Have the others look again at once."""
    promotion.targets.filter(status="pending").update(wake_at=None)
    platform.conductor.nudge()


def minutes_later(promotion, name="shop-a"):
    promotion.targets.filter(app__name=name).update(finished_at=timezone.now() - timedelta(minutes=6))


def test_one_app_is_first_and_the_others_follow(platform, fleet):
    first_is_live(fleet)
    wake(platform, fleet)
    others = fleet.targets.filter(status="pending", release=None, attempt=0, wake_at__isnull=False)
    eventually(lambda: others.count() == 2)
    minutes_later(fleet)
    wake(platform, fleet)
    first_is_live(fleet, "shop-b")
    first_is_live(fleet, "shop-production")


def test_what_does_badly_on_the_first_goes_nowhere_else(platform, fleet):
    first = first_is_live(fleet)
    count(first.app, 1, 100, errors=50)
    wake(platform, fleet)
    eventually(lambda: fleet.targets.filter(status="failed").count() == 2)
    reasons = {row.reason for row in fleet.targets.filter(status="failed")}
    assert reasons == {
        "Not started, since on shop-a 50.0 % of its 100 answers were errors; 5 % is the limit."
    }
    assert all(row.skipped for row in fleet.targets.filter(status="failed"))
    assert target(fleet, "shop-a").status == "succeeded"


def test_what_was_rolled_back_on_the_first_goes_nowhere_else(platform, fleet, alice):
    first = first_is_live(fleet)
    platform.deployed(first.app, alice)
    wake(platform, fleet)
    eventually(lambda: fleet.targets.filter(status="failed").count() == 2)
    assert target(fleet, "shop-b").reason == "Not started, since shop-a runs something else by now."


def test_a_first_that_fails_stops_the_others(platform, shop, alice, settings):
    settings.BOOT_SECONDS = 2
    for name in ("shop-a", "shop-b"):
        make_app(name, owner=shop.team, stage=stage_of(shop, "production"))
    ended(actions.set_config(App.objects.get(name="shop-a"), {"PATH": "/nowhere"}, by=alice))
    line_into(shop, "app", canary_minutes=5)
    promotion = promote(shop, alice)
    eventually(lambda: target(promotion, "shop-a").status == "failed", 20)
    wake(platform, promotion)
    eventually(lambda: promotion.targets.filter(status="failed").count() == 3)
    assert target(promotion, "shop-b").reason == "Not started, since the promotion failed on shop-a."


def test_those_that_wait_can_be_stopped(platform, fleet, alice):
    first_is_live(fleet)
    eventually(lambda: fleet.targets.filter(status="pending").count() == 2)
    outcomes.stop(fleet, by=alice)
    assert fleet.targets.filter(status="failed").count() == 2
    fleet.refresh_from_db()
    assert fleet.status == "completed"
