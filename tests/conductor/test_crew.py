"""Several conductors over one PostgreSQL: one leads, none settles an app beside another, and all locks die with their holder."""

import uuid

import pytest
from django.db import connection

from apps.models import Dyno
from conductor import crew, status
from conductor.crew import Busy, Company, Locks
from conductor.duty import NotOnDuty, OnDuty
from conductor.loop import Conductor
from conductor.models import Beat
from conductor.parts import Parts
from core.errors import EngineError
from engine.drivers.local import LocalDriver
from releases.actions import create_build, set_config
from releases.models import Build
from tests.conductor.conftest import PORTS, ended
from tests.conftest import eventually
from tests.factories import make_app

needs_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="only PostgreSQL has locks that die with their holder"
)
KEY = 4711


def cut(locks):
    """End a session from the server's side, as a network or a restart would."""
    pid = locks._session.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.fixture
def two(db):
    pair = Locks(), Locks()
    yield pair
    for locks in pair:
        locks.close()


@needs_postgres
def test_a_lock_is_one_session_s_and_dies_with_it(two):
    ours, theirs = two
    assert ours.take(KEY) and ours.holds(KEY)
    assert not theirs.take(KEY)
    cut(ours)
    eventually(lambda: theirs.take(KEY))
    assert not ours.holds(KEY)
    assert not ours.take(KEY)
    theirs.free(KEY)
    assert ours.take(KEY)


@needs_postgres
def test_an_app_is_worked_on_by_one(db, monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE", 0.1)
    ours, theirs, app = Company(), Company(), uuid.uuid4()
    with ours.alone(app):
        with ours.alone(app):
            ours.assure(app)
        with pytest.raises(Busy), theirs.alone(app):
            pass
        with theirs.alone(uuid.uuid4()):
            pass
        cut(ours._locks)
        with pytest.raises(EngineError, match="is lost"):
            ours.assure(app)
    with theirs.alone(app):
        theirs.assure(app)
    for each in (ours, theirs):
        each.leave()


@needs_postgres
def test_one_leads_until_it_steps_down(db):
    ours, theirs = Company(), Company()
    assert ours.leads() and ours.leads() and not theirs.leads()
    ours.step_down()
    assert theirs.leads() and not ours.leads()
    for each in (ours, theirs):
        each.leave()


def test_who_is_not_on_duty_has_no_driver():
    duty = OnDuty(lambda: pytest.fail("nobody asked for it"))
    with pytest.raises(NotOnDuty):
        duty.observe("an app")
    duty.end()
    assert (duty.level, duty.controllers) == ("", [])


class Pair:
    """Two conductors that share all but their process."""

    def __init__(self, stage):
        self.stage = stage
        self.made = [self.make(n) for n in range(2)]

    def make(self, n):
        def driver():
            return LocalDriver(
                self.stage.data / "dynos",
                sink=self.stage.logs,
                tree=self.stage.slugs.tree,
                instance="crew-tests",
                ports=PORTS[n * 100 : n * 100 + 100],
            )

        stage = self.stage
        parts = Parts(OnDuty(driver), stage.router, stage.logs, stage.slugs, stage.data, crew=Company())
        conductor = Conductor(parts)
        conductor.start()
        return conductor

    @property
    def leader(self):
        leading = [each for each in self.made if each.leads]
        return leading[0] if len(leading) == 1 else None


@pytest.fixture
def pair(stage, settings, monkeypatch):
    monkeypatch.setattr(status, "several", lambda: True)
    settings.LEASE_SECONDS, settings.HEARTBEAT_SECONDS = 3, 1
    pair = Pair(stage)
    yield pair
    for each in pair.made:
        each.stop()


@needs_postgres
def test_another_takes_over_when_the_leader_loses_its_locks(pair, stage, alice):
    first = pair.leader
    app = make_app(owner=alice)
    stage.deployed(app, alice)
    assert Dyno.objects.get(app=app).state == "up"
    cut(first.parts.crew._locks)
    eventually(lambda: pair.leader is not None and Dyno.objects.get(app=app).state == "up", seconds=20)
    set_config(app, {"GREETING": "hello"}, by=alice)
    eventually(lambda: stage.backends(app) and stage.get(app)[1] == "hello", seconds=20)


@needs_postgres
def test_who_stops_hands_over_at_once_and_both_are_listed(pair, stage, alice):
    eventually(lambda: Beat.objects.count() == 2)
    rows = status.processes()
    assert sum(row["role"] == "worker" for row in rows) == 2
    assert sum(row["role"] == "scheduler" and row["state"] == "up" for row in rows) == 1
    first = pair.leader
    first.stop()
    pair.made.remove(first)
    eventually(lambda: pair.leader is not None, seconds=10)
    assert Beat.objects.count() == 1


@needs_postgres
def test_builds_are_shared_and_their_releases_are_the_leader_s(pair, stage, source, alice):
    apps = [make_app(owner=alice) for _ in range(4)]
    builds = [create_build(app, source(app), by=alice) for app in apps]
    for build in builds:
        assert ended(build, 60).status == "succeeded", build.reason
    for build in Build.objects.select_related("release"):
        assert ended(build.release, 30).status == "succeeded"
