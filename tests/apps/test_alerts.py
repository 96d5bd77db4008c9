"""Bounds that people draw for an app, and when it is beyond one."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps import alerts
from apps.alerts import Count
from apps.models import Alert
from core.errors import Conflict, NotFound, Refusal
from core.models import Event
from engine.tally import BOUNDS, place
from tests.factories import make_app

NOW = datetime(2026, 1, 1, 12, 10, 30, tzinfo=UTC)
PRESENT = datetime(2026, 1, 1, 12, 10, tzinfo=UTC)


@pytest.fixture
def app(db, alice):
    return make_app("shop", owner=alice)


def counted(ago, *, took=90, requests=20, errors=0):
    """What the router says of the minute that began so many minutes before this one."""
    spread = [0] * (len(BOUNDS) + 1)
    spread[place(took)] = requests
    return Count(PRESENT - timedelta(minutes=ago), requests, errors, spread)


class TestAsking:
    def test_it_is_added_and_removed(self, app, alice):
        alert = alerts.add(app, "response", 500, by=alice)
        assert str(alert) == "p95 over 500 ms for 5 min"
        assert str(alerts.add(app, "errors", 5, minutes=1, by=alice)) == "Errors over 5 % for 1 min"
        lines = alerts.add(app, "log", 3, text='"Error R14"', minutes=60, by=alice)
        assert str(lines) == '3 lines with "Error R14" within 60 min'
        alerts.remove(app, alert.pk, by=alice)
        assert Alert.objects.filter(app=app).count() == 2
        assert set(Event.objects.values_list("verb", flat=True)) >= {
            "added an alert to",
            "removed an alert of",
        }

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"kind": "weather", "bound": 5}, "kind"),
            ({"kind": "response", "bound": 0}, "bound"),
            ({"kind": "response", "bound": 30_001}, "bound"),
            ({"kind": "errors", "bound": 100}, "bound"),
            ({"kind": "log", "bound": 0, "text": "x"}, "bound"),
            ({"kind": "log", "bound": 1, "text": "  "}, "text"),
            ({"kind": "log", "bound": 1, "text": "x" * 201}, "text"),
            ({"kind": "errors", "bound": 5, "minutes": 7}, "minutes"),
        ],
    )
    def test_what_makes_no_sense_is_refused_by_the_field(self, app, alice, asked, field):
        with pytest.raises(Refusal) as refused:
            alerts.add(app, by=alice, **asked)
        assert list(refused.value.fields) == [field]
        assert not Alert.objects.exists()

    def test_the_same_again_and_too_many(self, app, alice):
        alerts.add(app, "errors", 1, by=alice)
        with pytest.raises(Conflict):
            alerts.add(app, "errors", 1, by=alice)
        for bound in range(2, alerts.MOST + 1):
            alerts.add(app, "errors", bound, by=alice)
        with pytest.raises(Refusal, match="20 alerts at most"):
            alerts.add(app, "errors", 50, by=alice)

    def test_another_apps_is_not_found(self, app, alice):
        alert = alerts.add(make_app("other", owner=alice), "errors", 1, by=alice)
        with pytest.raises(NotFound):
            alerts.remove(app, alert.pk, by=alice)


class TestJudging:
    @pytest.mark.parametrize(
        ("counts", "found"),
        [
            ([counted(1, took=900)], "p95 1000 ms"),
            ([counted(1, took=400)], ""),
            ([counted(0, took=900)], ""),  # that minute is not over
            ([counted(6, took=900)], ""),  # and that is past
            ([counted(1, took=900, requests=9)], ""),  # too few to say anything
            ([counted(1, took=900, requests=4), counted(5, took=90, requests=96)], ""),  # 96 % are quick
            ([counted(1, took=900, requests=6), counted(5, took=90, requests=94)], "p95"),
        ],
    )
    def test_response_times(self, counts, found):
        said = alerts.of_counts(Alert(kind="response", bound=500, minutes=5), counts, NOW)
        assert bool(said) == bool(found) and said.startswith(found[:3])

    @pytest.mark.parametrize(
        ("counts", "found"),
        [
            ([counted(1, requests=100, errors=6)], "6.0 % of 100 requests failed"),
            ([counted(1, requests=100, errors=5)], ""),  # beyond, not at
            ([counted(1, requests=100, errors=6), counted(2, requests=100)], ""),  # of both together 3 %
            ([counted(1, requests=9, errors=9)], ""),
            ([], ""),
        ],
    )
    def test_errors(self, counts, found):
        assert alerts.of_counts(Alert(kind="errors", bound=5, minutes=5), counts, NOW) == found

    def test_lines(self):
        alert = Alert(kind="log", bound=3, text="x", minutes=5)
        assert alerts.of_lines(alert, 3) and not alerts.of_lines(alert, 2)


def test_what_is_found_is_noted_once_and_so_is_its_end(app, alice):
    alert = alerts.add(app, "errors", 5, by=alice)
    again = Alert.objects.get(pk=alert.pk)
    now = timezone.now()
    assert alerts.note(alert, "6 % failed", now=now)
    assert not alerts.note(alert, "7 % failed", now=now)
    assert not alerts.note(again, "6 % failed", now=now), "another who looked was first"
    alert.refresh_from_db()
    assert (alert.since, alert.found) == (now, "6 % failed")
    assert alerts.note(alert, "", now=now) and not alerts.note(alert, "", now=now)
    alert.refresh_from_db()
    assert (alert.since, alert.found) == (None, "6 % failed")
