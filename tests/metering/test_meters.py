"""What runs is counted to the second, once, and for whom it belongs to at that time."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from addons import actions as addon_actions
from addons import catalog
from apps import actions as app_actions
from apps.models import Dyno
from core import changes
from core.changes import Change
from metering import meters, prices, reports
from metering.models import MICROS, Entry, Meter
from pipelines import actions as pipeline_actions
from pipelines.models import Coupling
from tests.addons.test_ordering import work
from tests.factories import couple, make_app, make_pipeline

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


@pytest.fixture
def clock(monkeypatch):
    """What the meters take for now: `clock.now`."""

    class Clock:
        now = NOON

    monkeypatch.setattr("metering.meters.timezone.now", lambda: Clock.now)
    return Clock


def begin(app, type="web", number=1, size="standard-1x", version=1, **extra):
    """A dyno that the conductor adds, and tells of."""
    row = Dyno.objects.create(
        app=app, type=type, number=number, size=size, command="x", release_version=version, **extra
    )
    changes.note(Change(row, "appeared", app_id=app.pk))
    return row


def end(row):
    Dyno.objects.filter(pk=row.pk).delete()
    changes.note(Change(row, "went", app_id=row.app_id))


def ledger(app):
    return [
        (entry.item, entry.what, (entry.ended_at - entry.started_at).total_seconds())
        for entry in Entry.objects.filter(app_id=app.pk).order_by("started_at", "item")
    ]


def test_a_dyno_counts_from_its_first_second_to_its_last(app, clock):
    row = begin(app)
    clock.now += timedelta(seconds=90)
    end(row)
    clock.now += HOUR
    assert ledger(app) == [("web.1", "standard-1x", 90.0)]
    assert not Meter.objects.exists()
    (entry,) = Entry.objects.all()
    assert entry.micros == 2500 * MICROS * 90 // (30 * 24 * 3600)  # November has 30 days
    assert (entry.app_name, entry.owner_name, entry.user_id) == ("shop", "alice@example.com", app.user_id)


def test_the_old_and_the_new_dyno_of_a_switch_count_once(app, clock):
    old = begin(app)
    clock.now += HOUR
    begin(app, version=2)
    clock.now += timedelta(seconds=5)
    end(old)
    clock.now += HOUR
    meters.cut()
    assert ledger(app) == [("web.1", "standard-1x", 2 * 3600 + 5.0)]


def test_the_twins_of_a_switch_are_one_question(app, clock, django_assert_num_queries):
    old = begin(app)
    new = begin(app, version=2)
    for row, verb in ((new, "appeared"), (old, "went")):
        with django_assert_num_queries(1):
            meters.heard(Change(row, verb, app_id=app.pk))
    assert Meter.objects.count() == 1


def test_a_twin_of_another_size_or_asleep_is_none(app, clock):
    begin(app, state=Dyno.State.IDLE)
    assert not Meter.objects.exists()
    begin(app, version=2)
    assert Meter.objects.get().what == "standard-1x"
    clock.now += HOUR
    begin(app, version=3, size="standard-2x")
    assert Meter.objects.get().what == "standard-2x"


def test_another_size_another_price_another_place_make_another_entry(app, alice, clock):
    row = begin(app)
    clock.now += HOUR
    Dyno.objects.filter(pk=row.pk).update(size="standard-2x")
    changes.note(Change(row, "resized", app_id=app.pk))
    clock.now += HOUR
    prices.set_price("standard-2x", 6000, by=alice)
    clock.now += HOUR
    couple(app, make_pipeline("line", owner=alice), "staging", by=alice)
    clock.now += HOUR
    meters.cut()
    found = Entry.objects.filter(app_id=app.pk).order_by("started_at")
    assert [(e.what, e.cents_per_month, e.stage_name) for e in found] == [
        ("standard-1x", 2500, ""),
        ("standard-2x", 5000, ""),
        ("standard-2x", 6000, ""),
        ("standard-2x", 6000, "staging"),
    ]
    assert [entry.started_at for entry in found][1:] == [entry.ended_at for entry in found][:-1]


def test_a_one_off_dyno_counts_until_it_is_down(app, clock):
    row = begin(app, type="run", number=7, one_off=True)
    clock.now += timedelta(seconds=10)
    row.state = Dyno.State.DOWN
    row.save()
    changes.note(Change(row, app_id=app.pk))
    clock.now += HOUR
    meters.settle_all()
    assert ledger(app) == [("run.7", "standard-1x", 10.0)]


def test_a_whole_month_costs_the_whole_price_however_often_it_is_cut(app, clock):
    clock.now = datetime(2026, 10, 20, tzinfo=UTC)
    begin(app)
    for moment in (datetime(2026, 11, 7, 3, 4, 5, 6, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)):
        clock.now = moment
        assert meters.cut() == 1
    november = Entry.objects.filter(
        started_at__gte=datetime(2026, 11, 1, tzinfo=UTC), ended_at__lte=datetime(2026, 12, 1, tzinfo=UTC)
    )
    assert 2500 * MICROS - 2 <= sum(entry.micros for entry in november) <= 2500 * MICROS
    assert Entry.objects.count() == 4  # nothing lies in two months


def test_a_clock_that_is_set_back_counts_nothing_twice(app, clock):
    begin(app)
    clock.now -= HOUR
    meters.cut()
    assert ledger(app) == []
    clock.now += 2 * HOUR
    meters.cut()
    assert ledger(app) == [("web.1", "standard-1x", 3600.0)]


def test_the_end_of_an_app_ends_its_meters_and_the_ledger_stays(app, alice, clock):
    begin(app)
    clock.now += HOUR
    key = app.pk
    Dyno.objects.all().delete()
    app.delete()
    meters.settle_all()
    assert not Meter.objects.exists()
    assert [entry.app_name for entry in Entry.objects.filter(app_id=key)] == ["shop"]


def test_a_change_that_is_undone_counts_nothing(app):
    with pytest.raises(RuntimeError), transaction.atomic():
        begin(app)
        raise RuntimeError
    assert not Meter.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_cut_at_once_write_one_entry(app, clock):
    begin(app)
    clock.now += HOUR

    def cut():
        try:
            meters.cut()
        finally:
            connection.close()

    threads = [threading.Thread(target=cut) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger(app) == [("web.1", "standard-1x", 3600.0)]


def test_scaling_to_another_owner_moves_what_comes_later(app, alice, team, clock):
    begin(app)
    clock.now += HOUR
    app_actions.transfer_app(app, team, by=alice)
    clock.now += HOUR
    meters.cut()
    found = Entry.objects.filter(app_id=app.pk).order_by("started_at")
    assert [(entry.user_id, entry.team_id) for entry in found] == [(alice.pk, None), (None, team.pk)]
    assert reports.report(reports.scope_of(team), now=clock.now).micros == found[1].micros


def test_a_report_counts_what_runs_and_foresees_the_month(app, alice, clock):
    begin(app)
    begin(app, number=2)
    clock.now += 24 * HOUR
    meters.cut()
    clock.now += 24 * HOUR
    found = reports.report(reports.scope_of(app), now=clock.now)
    day = 2500 * MICROS // 30
    assert found.micros == pytest.approx(4 * day, abs=4)
    assert [(line.item, line.hours, line.runs) for line in found.lines] == [
        ("web.1", 48.0, True),
        ("web.2", 48.0, True),
    ]
    rest = (datetime(2026, 12, 1, tzinfo=UTC) - clock.now) / timedelta(days=30)
    assert found.forecast == pytest.approx(found.micros + 2 * 2500 * MICROS * rest, abs=4)


def test_by_stage_and_pipeline(alice, clock):
    pipeline = make_pipeline("line", owner=alice)
    for name in ("staging", "production"):
        app = make_app(f"line-{name}", owner=alice)
        couple(app, pipeline, name, by=alice)
        begin(app, size="standard-2x" if name == "production" else "standard-1x")
    other = make_app("other", owner=alice)
    begin(other)
    clock.now += HOUR
    found = reports.report(reports.scope_of(pipeline), now=clock.now)
    assert [(stage, spent) for stage, spent, _ in found.by("stage")] == [
        ("production", 5000 * MICROS // 720),
        ("staging", 2500 * MICROS // 720),
    ]
    assert {line.app for line in reports.report(reports.scope_of(alice), now=clock.now).lines} == {
        "line-staging",
        "line-production",
        "other",
    }
    pipeline_actions.uncouple(Coupling.objects.get(app__name="line-staging"), by=alice)
    clock.now += HOUR
    after = reports.report(reports.scope_of(pipeline), now=clock.now)
    assert {stage: spent for stage, spent, _ in after.by("stage")}["staging"] == 2500 * MICROS // 720


def test_an_addon_counts_from_when_it_is_ready_until_it_is_given_up(app, alice, clock, shelf):
    addon = addon_actions.provision(app, catalog.plan_called("heroku-postgresql"), by=alice)
    clock.now += HOUR
    assert not Meter.objects.exists()
    work()
    clock.now += HOUR
    addon.refresh_from_db()
    addon_actions.destroy(addon, confirm=addon.name, by=alice)
    clock.now += HOUR
    work()
    meters.settle_all()
    (entry,) = Entry.objects.filter(kind="addon")
    assert (entry.item, entry.what) == (addon.name, "heroku-postgresql:essential-0")
    assert entry.microseconds == 3600 * 10**6
    assert entry.micros == addon.plan.price_cents * MICROS // 720


def test_an_addon_of_a_pipeline_counts_for_the_pipeline(alice, clock, shelf):
    pipeline = make_pipeline("line", owner=alice)
    addon = addon_actions.order_for_pipeline(pipeline, catalog.plan_called("heroku-postgresql"), by=alice)
    work()
    clock.now += HOUR
    meters.settle_all()
    (line,) = reports.report(reports.scope_of(pipeline), now=clock.now).lines
    assert (line.item, line.app, line.hours) == (addon.name, "", 1.0)
