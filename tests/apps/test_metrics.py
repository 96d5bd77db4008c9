"""What a page of metrics draws, from the minutes that the router counted."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from apps import memory, metrics
from apps.metrics import SPANS
from apps.models import MemoryUse, Traffic
from engine.tally import BOUNDS, place
from tests.factories import make_app

NOW = datetime(2026, 3, 1, 12, 34, 40, tzinfo=UTC)


@pytest.fixture
def app(db, alice):
    return make_app("shop", owner=alice)


def spread(*milliseconds):
    counts = [0] * (len(BOUNDS) + 1)
    for one in milliseconds:
        counts[place(one)] += 1
    return counts


def minute(app, ago, *milliseconds, errors=0, release=1):
    """A row of the minute that began `ago` minutes before the one of NOW."""
    at = NOW.replace(second=0) - timedelta(minutes=ago)
    return Traffic.objects.create(
        app=app,
        minute=at,
        release_version=release,
        requests=len(milliseconds),
        errors=errors,
        spread=spread(*milliseconds),
    )


class TestPoints:
    @pytest.mark.parametrize("key", SPANS)
    def test_they_cover_the_span_up_to_the_last_whole_minute(self, app, key):
        found = metrics.points(app, SPANS[key], NOW)
        span = SPANS[key]
        assert len(found) == span.length // span.step
        assert {b.at - a.at for a, b in pairwise(found)} == {span.step}
        assert found[-1].at + found[-1].minutes * metrics.MINUTE == NOW.replace(second=0)
        assert all(point.requests == 0 and point.quantile(0.95) is None for point in found)

    def test_a_minute_counts_in_its_point_whatever_release_answered(self, app):
        minute(app, 1, 7, 7, release=1)
        minute(app, 1, 400, errors=1, release=2)
        minute(app, 2, 7)
        found = metrics.points(app, SPANS["1h"], NOW)
        assert [point.requests for point in found[-3:]] == [0, 1, 3]
        assert (found[-1].errors, round(found[-1].error_rate)) == (1, 33)
        assert found[-1].at == datetime(2026, 3, 1, 12, 33, tzinfo=UTC)

    def test_the_minute_that_is_still_counted_is_left_out(self, app):
        minute(app, 0, 7)
        assert metrics.total(metrics.points(app, SPANS["1h"], NOW)).requests == 0

    def test_a_point_that_has_just_begun_is_a_rate_of_its_own_minutes(self, app):
        minute(app, 1, *[7] * 30)
        last = metrics.points(app, SPANS["12h"], NOW)[-1]
        assert (last.at.minute, last.minutes, last.requests) == (30, 4, 30)
        assert last.rate == 7.5

    def test_what_is_older_or_another_app_s_is_not_counted(self, app, alice):
        minute(app, 61, 7)
        minute(make_app("other", owner=alice), 1, 7)
        assert metrics.total(metrics.points(app, SPANS["1h"], NOW)).requests == 0

    def test_it_is_one_question(self, app, django_assert_num_queries):
        for ago in range(1, 50):
            minute(app, ago, 7)
        with django_assert_num_queries(1):
            metrics.points(app, SPANS["7d"], NOW)


class TestQuantile:
    def test_without_answers_there_is_none(self):
        assert metrics.quantile([], 0.5) is None
        assert metrics.quantile([0] * (len(BOUNDS) + 1), 0.5) is None

    def test_between_two_bounds_answers_lie_evenly(self):
        assert metrics.quantile(spread(*[15] * 10), 0.5) == 15  # of ten between 10 and 20
        assert metrics.quantile(spread(*[15] * 10), 1) == 20

    def test_the_slow_ones_are_beyond_the_many(self):
        times = spread(*[15] * 98, 900, 900)
        assert metrics.quantile(times, 0.95) < 20 < 750 < metrics.quantile(times, 0.99) <= 1000

    def test_beyond_the_last_bound_it_is_told_as_that(self):
        assert metrics.quantile(spread(90_000), 0.5) == BOUNDS[-1]


class TestTrouble:
    def test_quiet_times_have_none(self, app):
        minute(app, 3, *[7] * 100, errors=4)  # 4 %
        minute(app, 9, *[7] * 5, errors=5)  # all, but so few
        assert metrics.worst(metrics.points(app, SPANS["1h"], NOW)) is None

    def test_it_lasts_while_it_goes_on_and_the_worst_is_told(self, app):
        minute(app, 40, *[7] * 10, errors=9)
        for ago in (20, 19, 18):
            minute(app, ago, *[7] * 100, errors=ago)
        trouble = metrics.worst(metrics.points(app, SPANS["1h"], NOW))
        assert (trouble.minutes, trouble.errors, trouble.requests) == (3, 57, 300)
        assert trouble.since == datetime(2026, 3, 1, 12, 14, tzinfo=UTC)


class TestMemory:
    def test_looks_within_five_minutes_are_one_row(self, app):
        memory.add({(app.pk, "web"): [100, 300], (app.pk, "worker"): [50]}, NOW)
        memory.add({(app.pk, "web"): [200, 400]}, NOW + timedelta(seconds=15))
        row = MemoryUse.objects.get(type="web")
        assert (row.at, row.highest, row.total, row.looks) == (NOW.replace(minute=30, second=0), 400, 1000, 4)
        memory.add({(app.pk, "web"): [1]}, NOW + timedelta(minutes=1))
        assert MemoryUse.objects.filter(type="web").count() == 2

    def test_of_an_app_that_is_gone_nothing_is_kept(self, app):
        memory.add({(uuid4(), "web"): [100]}, NOW)
        assert not MemoryUse.objects.exists()

    @pytest.mark.parametrize("key", SPANS)
    def test_points_are_the_highest_and_the_mean(self, app, key):
        memory.add({(app.pk, "worker"): [10]}, NOW)
        memory.add({(app.pk, "web"): [100, 300]}, NOW - timedelta(seconds=30))
        found = memory.uses(app, SPANS[key], NOW)
        assert list(found) == ["web", "worker"]
        assert (found["web"][-1].highest, found["web"][-1].mean) == (300, 200)
        assert {use.highest for use in found["web"][:-1]} == {0}

    def test_what_is_old_is_forgotten(self, app):
        memory.add({(app.pk, "web"): [1]}, NOW)
        memory.forget_old(app, NOW + timedelta(days=7))
        assert MemoryUse.objects.exists()
        memory.forget_old(app, NOW + timedelta(days=9))
        assert not MemoryUse.objects.exists()
