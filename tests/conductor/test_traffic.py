"""What the router and the engine saw of an app, kept by minute and release."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from apps import traffic
from apps.models import Crash, Traffic
from conductor import traffic as writing
from engine.tally import BOUNDS, MOST, Tally, place
from tests.conftest import eventually
from tests.factories import make_app
from tests.races import at_once

NOW = 1_800_000_030.0  # half a minute into a minute
MINUTE = datetime.fromtimestamp(NOW - 30, UTC)


@pytest.fixture
def app(db, alice):
    return make_app("shop", owner=alice)


def figures(app, version=None):
    return traffic.figures(app, MINUTE, version=version)


@contextmanager
def without_table():
    """The database has no place for traffic meanwhile."""
    table = Traffic._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
        yield
        cursor.execute(f"ALTER TABLE away RENAME TO {table}")


class TestTally:
    def test_it_counts_by_app_release_and_minute(self):
        tally = Tally()
        tally.add("a", 1, 200, 7, NOW)
        tally.add("a", 1, 503, 40_000, NOW + 1)
        tally.add("a", 2, 200, 7, NOW)
        tally.add("a", 1, 200, 7, NOW + 60)
        counts = tally.take(NOW + 60)
        assert {key: count.requests for key, count in counts.items()} == {
            ("a", 1, 30_000_000): 2,
            ("a", 2, 30_000_000): 1,
            ("a", 1, 30_000_001): 1,
        }
        first = counts["a", 1, 30_000_000]
        assert (first.errors, first.spread[place(7)], first.spread[-1]) == (1, 1, 1)

    def test_each_request_is_taken_once(self):
        tally, taken = Tally(), 0
        for second in range(0, 1200, 7):
            tally.add("a", 1, 200, 7, NOW + second)
            taken += sum(count.requests for count in tally.take(NOW + second).values())
        assert taken == len(range(0, 1200, 7))
        assert not tally.take(NOW + 1200)

    def test_what_could_not_be_written_is_taken_again_with_what_came_since(self):
        tally = Tally()
        tally.add("a", 1, 101, 10**7, NOW)
        tally.put_back(tally.take(NOW))
        tally.add("a", 1, 500, 7, NOW)
        (count,) = tally.take(NOW).values()
        assert (count.requests, count.errors, sum(count.spread)) == (2, 1, 1)
        assert not tally.take(NOW)

    def test_a_tunnel_counts_as_a_request_and_not_as_a_slow_one(self):
        tally = Tally()
        tally.add("a", 1, 101, 10**7, NOW)
        (count,) = tally.take(NOW).values()
        assert (count.requests, sum(count.spread)) == (1, 0)

    def test_its_memory_is_bounded(self):
        tally = Tally()
        for n in range(MOST + 5):
            tally.add(f"a{n}", 1, 200, 7, NOW)
        assert len(tally.take(NOW)) == MOST

    @pytest.mark.parametrize(("took", "bound"), [(0, 5), (5, 5), (5.1, 10), (29_999, 30_000)])
    def test_an_answer_counts_at_the_first_bound_that_it_kept_to(self, took, bound):
        assert BOUNDS[place(took)] == bound


class TestRows:
    def test_counts_add_up_to_figures(self, app):
        tally = Tally()
        for version, status, took in [(1, 200, 7), (1, 500, 7), (2, 200, 700), (2, 200, 7)]:
            tally.add(str(app.pk), version, status, took, NOW)
            traffic.add(tally.take(NOW))
        found = figures(app)
        assert (found.requests, found.errors, found.error_rate, found.p95) == (4, 1, 25, 750)
        assert (figures(app, 1).requests, figures(app, 2).requests) == (4, 2), "and what came after it"
        assert (figures(app, 2).errors, figures(app, 2).p95) == (0, 750)
        rows = dict(Traffic.objects.values_list("release_version", "requests"))
        assert rows == {1: 2, 2: 2}
        assert Traffic.objects.count() == 2

    def test_an_app_that_is_gone_takes_nothing_from_the_others(self, app):
        tally = Tally()
        tally.add("00000000-0000-4000-8000-000000000000", 1, 200, 7, NOW)
        tally.add(str(app.pk), 1, 200, 7, NOW)
        traffic.add(tally.take(NOW))
        assert figures(app).requests == 1

    def test_it_takes_five_queries_whatever_the_apps(self, app, alice, django_assert_max_num_queries):
        tally = Tally()
        for each in (app, *(make_app(f"shop-{n}", owner=alice) for n in range(20))):
            tally.add(str(each.pk), 1, 200, 7, NOW)
        with django_assert_max_num_queries(6):
            traffic.add(tally.take(NOW))
        assert Traffic.objects.count() == 21

    def test_what_is_older_than_30_days_is_forgotten(self, app):
        for days in (29, 31):
            at = timezone.now() - timedelta(days=days)
            Traffic.objects.create(app=app, minute=at, requests=1)
            Crash.objects.create(app=app, release_version=1, dyno="web.1", at=at)
        traffic.forget_old(app, timezone.now())
        assert Traffic.objects.count() == Crash.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestConductor:
    def test_two_who_write_at_once_lose_nothing(self, alice):
        app = make_app("shop", owner=alice)

        def write():
            tally = Tally()
            tally.add(str(app.pk), 1, 200, 7, NOW)
            traffic.add(tally.take(NOW))

        at_once(*[write] * 4)
        assert figures(app).requests == 4

    def test_it_writes_as_it_goes_and_at_the_end(self, platform, alice):
        app = make_app("shop", owner=alice)
        tally = platform.conductor.parts.tally
        tally.add(str(app.pk), 1, 200, 7, time.time())
        eventually(lambda: Traffic.objects.filter(app=app, requests=1).exists(), 15)
        tally.add(str(app.pk), 1, 200, 7, time.time())
        platform.stop()
        assert traffic.figures(app, timezone.now() - timedelta(minutes=2)).requests == 2

    def test_what_the_database_does_not_take_is_kept(self, platform, alice):
        app = make_app("shop", owner=alice)
        parts = platform.conductor.parts
        platform.stop()
        parts.tally.add(str(app.pk), 1, 200, 7, NOW)
        with without_table(), pytest.raises(DatabaseError):
            writing.write(parts)
        parts.tally.add(str(app.pk), 1, 200, 7, NOW)
        writing.write(parts)
        writing.finish(parts)
        assert figures(app).requests == 2

    def test_each_crash_of_a_dyno_is_kept_with_its_release(self, platform, alice):
        app = make_app("shop", owner=alice)
        platform.deployed(app, alice, worker="sleep 0.3; exit 3", web="exec python3 -S server.py")
        app.formation.filter(type="worker").update(quantity=1)
        platform.conductor.keeper.poke(app.pk)
        eventually(lambda: Crash.objects.filter(app=app).count() >= 2, 15)
        crash = Crash.objects.filter(app=app).last()
        assert (crash.release_version, crash.dyno, crash.exit_code) == (1, "worker.1", 3)
        assert crash.reason
        assert traffic.figures(app, timezone.now() - timedelta(minutes=2), version=1).crashes >= 2

    def test_a_dyno_that_is_stopped_has_not_crashed(self, platform, alice):
        app = make_app("shop", owner=alice)
        platform.deployed(app, alice)
        app.formation.update(quantity=0)
        platform.conductor.keeper.poke(app.pk)
        eventually(lambda: not app.dynos.exists())
        assert not Crash.objects.exists()

    def test_the_router_is_told_whose_requests_are_whose(self, platform, alice):
        app = make_app("shop", owner=alice)
        platform.deployed(app, alice)
        platform.deployed(app, alice)
        route = platform.router.routes[str(app.pk)]
        assert route.release == 2
        assert [backend.release for backend in route.backends] == [2]
