"""Alerts that come on and go off."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from apps import alerts, suspension
from apps.models import Alert, Traffic
from conductor.alerts import look
from engine.logstore import LogStore
from engine.spec import Line
from engine.tally import BOUNDS, place
from tests.factories import make_app


@pytest.fixture
def app(db, alice):
    return make_app("shop", owner=alice)


@pytest.fixture
def logs(tmp_path):
    return LogStore(tmp_path)


def busy(app, *, ago, took=90, errors=0, requests=100):
    spread = [0] * (len(BOUNDS) + 1)
    spread[place(took)] = requests
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=ago)
    Traffic.objects.create(
        app=app, minute=at, release_version=1, requests=requests, errors=errors, spread=spread
    )


def on(alert):
    alert.refresh_from_db()
    return alert.since is not None


def test_figures_turn_it_on_and_their_passing_off(app, alice, logs):
    slow, failing = alerts.add(app, "response", 500, by=alice), alerts.add(app, "errors", 5, by=alice)
    busy(app, ago=2, took=900)
    assert look(logs) == 1 and on(slow) and not on(failing)
    assert look(logs) == 0
    busy(app, ago=1, errors=50)
    assert look(logs) == 1 and on(failing)
    assert look(logs, timezone.now() + timedelta(minutes=30)) == 2
    assert not on(slow) and not on(failing)


def test_words_in_the_log_turn_it_on_while_they_are_new(app, alice, logs):
    alert = alerts.add(app, "log", 2, text="timeout -expected", by=alice)
    now = time.time()
    said = ["timeout of the shop", "a timeout, expected", "nothing"]
    logs(app.log_stream, [Line("app", "web.1", text.encode(), now) for text in said])
    assert look(logs) == 0
    logs(app.log_stream, [Line("app", "web.1", b"TIMEOUT again", now)])
    assert look(logs) == 1 and on(alert)
    assert look(logs, timezone.now() + timedelta(minutes=4)) == 0
    assert look(logs, timezone.now() + timedelta(minutes=6)) == 1 and not on(alert)


def test_another_apps_figures_and_log_are_its_own(app, alice, logs):
    other = make_app("other", owner=alice)
    alerts.add(app, "errors", 5, by=alice)
    alerts.add(app, "log", 1, text="x", by=alice)
    busy(other, ago=1, errors=50)
    logs(other.log_stream, [Line("app", "web.1", b"x", time.time())])
    assert look(logs) == 0


def test_of_an_app_that_is_halted_nothing_is_told(app, alice, logs):
    alert = alerts.add(app, "errors", 5, by=alice)
    busy(app, ago=1, errors=50)
    suspension.suspend_app(app, True, by=alice)
    assert look(logs) == 0 and not on(alert)


def test_nobody_who_asked_costs_one_query(db, logs, django_assert_num_queries):
    assert not Alert.objects.exists()
    with django_assert_num_queries(1):
        assert look(logs) == 0
