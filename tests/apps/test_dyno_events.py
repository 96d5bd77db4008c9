"""What is kept of what becomes of dynos, and how it is read."""

from datetime import UTC, datetime, timedelta

import pytest

from apps import dyno_events, sleep
from apps.models import Dyno, DynoEvent
from core import changes
from core.changes import Change
from tests.factories import make_app, make_release

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def app(db, alice):
    return make_app("shop", owner=alice)


def dyno(app, number=1, *, type="web", release=1, state="up", since=NOW - 24 * HOUR, **extra):
    return Dyno.objects.create(
        app=app,
        type=type,
        number=number,
        command="run",
        release_version=release,
        state=state,
        state_at=since,
        **extra,
    )


def event(app, minutes, before, state, *, name="web.1", release=1, reason=""):
    return DynoEvent.objects.create(
        app=app,
        release_version=release,
        dyno=name,
        before=before,
        state=state,
        reason=reason,
        at=NOW - timedelta(minutes=minutes),
    )


def stays(app, span=HOUR):
    """By dyno: state, and minutes before now of its beginning and end."""
    found, _ = dyno_events.lives(app, NOW - span, NOW)
    return {
        life.dyno: [
            (stay.state, (NOW - stay.start) // timedelta(minutes=1), (NOW - stay.end) // timedelta(minutes=1))
            for stay in life.stays
        ]
        for life in found
    }


class TestHeard:
    def test_changes_of_a_dyno_are_kept(self, app):
        row = dyno(app, state="starting")
        changes.note(Change(row, "appeared", app_id=app.pk))
        row.state = "up"
        changes.note(Change(row, app_id=app.pk, details={"state": "starting"}))
        row.state, row.reason = "crashed", "Error R15 (Memory quota vastly exceeded)"
        changes.note(Change(row, app_id=app.pk, details={"state": "up"}))
        changes.note(Change(row, "went", app_id=app.pk))
        rows = DynoEvent.objects.order_by("pk").values_list("dyno", "before", "state", "reason")
        assert list(rows) == [
            ("web.1", "", "starting", ""),
            ("web.1", "starting", "up", ""),
            ("web.1", "up", "crashed", "Error R15 (Memory quota vastly exceeded)"),
            ("web.1", "crashed", "", ""),
        ]

    def test_one_off_dynos_and_new_sizes_are_left_out(self, app):
        changes.note(
            Change(dyno(app, type="run", one_off=True), app_id=app.pk, details={"state": "starting"})
        )
        changes.note(Change(dyno(app), "resized", app_id=app.pk))
        changes.note(Change(app, "appeared", app_id=app.pk))
        assert not DynoEvent.objects.exists()

    def test_sleep_and_waking_are_kept(self, app):
        make_release(app)
        dyno(app)
        sleep.put_to_sleep(app, by=None)
        app.refresh_from_db()
        sleep.wake(app, by=None)
        rows = DynoEvent.objects.order_by("pk").values_list("before", "state")
        assert list(rows) == [("up", "idle"), ("idle", "starting")]

    def test_a_change_that_is_undone_leaves_nothing(self, app):
        from django.db import transaction

        with pytest.raises(ZeroDivisionError), transaction.atomic():
            changes.note(Change(dyno(app), "appeared", app_id=app.pk))
            raise ZeroDivisionError
        assert not DynoEvent.objects.exists()


class TestWarnings:
    def test_of_each_dyno_there_is_one_an_hour(self, app):
        first, second = dyno(app), dyno(app, 2)
        dyno_events.warn_of_memory([first], NOW)
        dyno_events.warn_of_memory([first, second], NOW + timedelta(minutes=59))
        assert list(DynoEvent.objects.order_by("pk").values_list("dyno", flat=True)) == ["web.1", "web.2"]
        dyno_events.warn_of_memory([first], NOW + timedelta(minutes=61))
        assert DynoEvent.objects.filter(dyno="web.1", reason=dyno_events.R14).count() == 2

    def test_they_part_no_stay(self, app):
        dyno(app)
        event(app, 30, "up", "up", reason=dyno_events.R14)
        assert stays(app) == {"web.1": [("up", 60, 0)]}


class TestLives:
    def test_a_dyno_of_which_nothing_happened_was_what_it_is(self, app):
        dyno(app)
        dyno(app, 2, since=NOW - timedelta(minutes=10))
        assert stays(app) == {"web.1": [("up", 60, 0)], "web.2": [("up", 10, 0)]}

    def test_the_first_event_says_what_was_before(self, app):
        dyno(app)
        event(app, 30, "up", "crashed")
        event(app, 20, "crashed", "starting")
        event(app, 19, "starting", "up")
        assert stays(app) == {
            "web.1": [("up", 60, 30), ("crashed", 30, 20), ("starting", 20, 19), ("up", 19, 0)]
        }

    def test_both_releases_of_a_switch_are_in_one_lane(self, app):
        dyno(app, release=2)
        event(app, 30, "", "starting", release=2)
        event(app, 29, "starting", "up", release=2)
        event(app, 28, "up", "", release=1)
        assert stays(app) == {"web.1": [("up", 60, 28), ("starting", 30, 29), ("up", 29, 0)]}

    def test_what_is_gone_ends(self, app):
        event(app, 30, "", "starting", name="worker.2")
        event(app, 20, "starting", "", name="worker.2")
        assert stays(app) == {"worker.2": [("starting", 30, 20)]}

    def test_web_is_first_and_numbers_count(self, app):
        for type, number in (("clock", 1), ("web", 10), ("web", 2)):
            dyno(app, number, type=type)
        assert list(stays(app)) == ["web.2", "web.10", "clock.1"]

    def test_too_many_events_make_the_time_shorter(self, app, monkeypatch):
        monkeypatch.setattr(dyno_events, "MOST", 2)
        dyno(app)
        for minutes, before, state in (
            (50, "up", "starting"),
            (40, "starting", "up"),
            (30, "up", "starting"),
        ):
            event(app, minutes, before, state)
        found, since = dyno_events.lives(app, NOW - HOUR, NOW)
        assert since == NOW - timedelta(minutes=40)
        assert [stay.state for stay in found[0].stays] == ["starting", "up", "starting"]

    def test_it_is_two_questions(self, app, django_assert_num_queries):
        for number in range(1, 6):
            dyno(app, number)
            event(app, number, "starting", "up", name=f"web.{number}")
        with django_assert_num_queries(2):
            dyno_events.lives(app, NOW - HOUR, NOW)


def test_what_is_old_is_forgotten(app):
    event(app, 0, "", "starting")
    dyno_events.forget_old(app, NOW + timedelta(days=7))
    assert DynoEvent.objects.exists()
    dyno_events.forget_old(app, NOW + timedelta(days=9))
    assert not DynoEvent.objects.exists()
