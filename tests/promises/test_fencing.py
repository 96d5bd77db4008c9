"""Promise I-16: a worker that lost its lease can do no harm."""

import threading

import pytest
from django.utils import timezone

from core.errors import LeaseLost
from pipelines import actions as pipeline_actions
from pipelines.models import PromotionTarget
from releases import actions
from releases.models import Build, Release
from tests.conductor.conftest import ended
from tests.conftest import eventually
from tests.factories import make_app, make_pipeline, make_release, make_source
from tests.factories import stage as stage_of


@pytest.fixture
def jobs(alice, db):
    """One job of each kind, pending."""
    pipeline = make_pipeline("shop", owner=alice)
    app = make_app("shop-staging", owner=alice, stage=stage_of(pipeline, "staging"), released=True)
    other = make_app("shop-production", owner=alice, stage=stage_of(pipeline, "production"))
    actions.create_build(app, make_source(app), by=alice)
    actions.set_config(app, {"A": "1"}, by=alice)
    pipeline_actions.promote(app.coupling, [other.coupling], by=alice)


@pytest.mark.promise("I-16")
@pytest.mark.parametrize("model", [Build, Release, PromotionTarget])
def test_late_writes_are_refused(jobs, model):
    slow = model.objects.claim(seconds=0.001)
    model.objects.filter(pk=slow.pk).update(lease_until=timezone.now())
    quick = eventually(lambda: model.objects.claim())
    assert quick.pk == slow.pk and quick.attempt == 2
    for write in (
        lambda: slow.renew(),
        lambda: slow.next_step(),
        lambda: slow.put_back(seconds=1),
        lambda: slow.end("failed", reason="late"),
    ):
        with pytest.raises(LeaseLost):
            write()
    quick.refresh_from_db()
    assert (quick.status, quick.step, quick.reason) == ("running", 0, "")


@pytest.mark.promise("I-16")
def test_a_row_is_claimed_by_one_of_many(transactional_db, alice):
    app = make_app("shop", owner=alice)
    actions.create_build(app, make_source(app), by=alice)
    claimed, start = [], threading.Barrier(4)

    def rival():
        from django.db import connections

        start.wait()
        claimed.append(Build.objects.claim())
        connections.close_all()

    rivals = [threading.Thread(target=rival) for _ in range(4)]
    for thread in rivals:
        thread.start()
    for thread in rivals:
        thread.join()
    assert sorted(bool(build) for build in claimed) == [False, False, False, True]


@pytest.mark.promise("I-16")
@pytest.mark.promise("I-06")
def test_a_release_taken_away_before_the_switch_is_not_switched(platform, alice, monkeypatch):
    """The route goes back to what the rows say, and no row is touched."""
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    before = platform.get(app)
    monkeypatch.setenv("FAILPOINTS", "release.router_switched=sleep:1")
    release = platform.deploy(app, alice)
    eventually(
        lambda: len(platform.router.history[str(app.pk)][-1].backends) and platform.get(app)[0] == "v2"
    )
    Release.objects.filter(pk=release.pk).update(lease_token=None, status="failed", reason="taken away")
    monkeypatch.delenv("FAILPOINTS")
    eventually(lambda: platform.get(app) == before)
    release.refresh_from_db()
    assert (release.status, release.current) == ("failed", False)
    assert Release.objects.current_for(app).version == 1


@pytest.mark.promise("I-06")
def test_an_older_release_is_never_switched_to(platform, alice):
    app = make_app("shop", owner=alice)
    platform.conductor.stop()
    platform.conductor = None
    older = platform.deploy(app, alice)
    make_release(app, by=alice, slug=older.slug)  # as only a damaged database could have it
    platform.start()
    assert ended(older).status == "failed"
    assert Release.objects.current_for(app).version == 2
    eventually(lambda: platform.backends(app))
    assert platform.get(app)[0] == "v2"
