"""Web dynos that come and go by themselves."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps import actions, autoscale, sleep, suspension
from apps.autoscale import Rule
from apps.models import Autoscale, Dyno, Traffic
from conductor import autoscaler
from core.models import Event
from engine.tally import BOUNDS, place
from tests.conftest import eventually
from tests.factories import make_app, make_release
from tests.races import at_once

RULE = Rule(minimum=1, maximum=3, p95=500)


def look(now=None):
    """Which apps the keeper is told to look at."""
    poked = []
    autoscaler.look(poked.append, now)
    return poked


def busy(app, took=900, requests=30, at=None):
    """Answers of this minute."""
    counts = [0] * (len(BOUNDS) + 1)
    counts[place(took)] = requests
    minute = (at or timezone.now()).replace(second=0, microsecond=0)
    Traffic.objects.update_or_create(
        app=app, minute=minute, release_version=1, defaults={"requests": requests, "spread": counts}
    )


def web(app):
    return app.formation.get(type="web").quantity


@pytest.fixture
def app(db, alice):
    """It has served for an hour with one dyno, is slow now, and may have three."""
    app = make_app("shop", owner=alice, released=True)
    Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=1, state="up",
        state_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip
    autoscale.enable(app, RULE, by=alice)
    busy(app)
    return app


def test_a_slow_app_gets_a_dyno_and_not_another_within_the_minute(app):
    now = timezone.now()
    assert look(now) == [app.pk] and web(app) == 2
    assert not look(now + timedelta(seconds=30))
    busy(app, at=now + timedelta(minutes=2))
    assert look(now + timedelta(minutes=2, seconds=1)) == [app.pk] and web(app) == 3
    busy(app, at=now + timedelta(minutes=4))
    assert not look(now + timedelta(minutes=4, seconds=1)) and web(app) == 3
    events = Event.objects.filter(verb="scaled")
    assert {event.details["what"] for event in events} == {"p95 988 ms over 500 ms"}
    assert {(event.actor, event.through) for event in events} == {("slipway", "conductor")}


def test_answers_of_two_releases_count_together(app):
    busy(app, requests=5)
    assert not look()
    other = Traffic.objects.get()
    other.pk, other.release_version = None, 2
    other.save(force_insert=True)
    assert look() == [app.pk]


def test_a_quiet_app_comes_down_to_its_minimum(app):
    app.formation.filter(type="web").update(quantity=3)
    Traffic.objects.all().delete()
    now, seen = timezone.now(), []
    for minute in range(12):
        look(now + timedelta(minutes=minute))
        seen.append(web(app))
    assert seen[0] == 2 and seen[-1] == 1 and seen.count(2) == 4


@pytest.mark.parametrize(
    "state",
    [
        lambda app: sleep.put_to_sleep(app, by=None),
        lambda app: actions.set_maintenance(app, True, by=app.user),
        lambda app: suspension.suspend_app(app, True, by=app.user),
        lambda app: actions.destroy_app(app, confirm=app.name, by=None),
        lambda app: make_release(app, status="pending"),
        lambda app: app.dynos.update(state="starting"),
        lambda app: app.dynos.update(state="crashed"),
        lambda app: app.dynos.update(state_at=timezone.now() - timedelta(seconds=30)),
        lambda app: app.formation.update(quantity=0),
        lambda app: autoscale.disable(app, by=app.user),
        lambda app: actions.scale(app, {"web": {"quantity": 1}}, by=app.user),
    ],
)
def test_what_is_not_serving_as_a_whole_is_left_alone(app, state):
    state(app)
    before = list(app.formation.values_list("quantity"))
    assert not look() and list(app.formation.values_list("quantity")) == before


def test_it_costs_one_query_where_nobody_asked_and_two_without_change(app, alice, django_assert_num_queries):
    busy(app, took=90)
    for n in range(5):
        make_app(f"other-{n}", owner=alice, released=True)
    with django_assert_num_queries(2):
        assert not look()
    autoscale.disable(app, by=alice)
    with django_assert_num_queries(1):
        assert not look()


@pytest.mark.django_db(transaction=True)
def test_two_conductors_add_one_dyno(app, alice):
    def once():
        return autoscaler.look(lambda pk: None)

    assert sorted(at_once(*[once] * 4)) == [0, 0, 0, 1]
    assert web(app) == 2 and Event.objects.filter(verb="scaled").count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_scales_by_hand_at_the_same_moment_wins(app, alice):
    for _ in range(5):
        autoscale.enable(app, RULE, by=alice)
        busy(app)
        at_once(
            lambda: autoscaler.look(lambda pk: None),
            lambda: actions.scale(app, {"web": {"quantity": 1}}, by=alice),
        )
        assert web(app) == 1 and not Autoscale.objects.get().enabled
        assert not look() and web(app) == 1


@pytest.mark.django_db(transaction=True)
def test_a_dyno_comes_and_goes(platform, alice, monkeypatch):
    monkeypatch.setattr(autoscaler, "LOOK_SECONDS", 0.3)
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    autoscale.enable(app, Rule(1, 2, 500), by=alice)
    platform.stop()
    platform.start()
    eventually(lambda: platform.backends(app))
    Dyno.objects.filter(app=app).update(state_at=timezone.now() - timedelta(hours=1))
    busy(app)
    eventually(lambda: len(platform.backends(app)) == 2)
    assert sorted(row.name for row in app.dynos.all()) == ["web.1", "web.2"]
    eventually(
        lambda: (
            "Scaled to web@2:Standard-1X by the platform: p95 988 ms over 500 ms"
            in platform.lines(app.log_stream)
        )
    )
    Traffic.objects.all().delete()
    Dyno.objects.filter(app=app).update(state_at=timezone.now() - timedelta(hours=1))
    Autoscale.objects.update(changed_at=timezone.now() - timedelta(hours=1))
    eventually(lambda: [row.name for row in app.dynos.all()] == ["web.1"])
    assert autoscale.of(app).reason == "no requests for 3 min"
