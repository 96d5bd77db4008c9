"""The keeper: the dynos that run are those that should, whatever happens to them."""

import os
import signal

import pytest

from apps import actions as app_actions
from apps.models import Domain, Dyno
from conductor import dynos
from conductor.dynos import BACK_OFF
from tests.conductor.conftest import SERVER
from tests.conftest import eventually
from tests.factories import make_app


@pytest.fixture
def app(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice, web=SERVER, worker="sleep 1000")
    return app


def running(platform, app):
    """The names of the dynos that the engine has alive."""
    found = platform.conductor.parts.driver.observe(str(app.pk))
    return sorted(state.dyno for state in found if state.state in ("starting", "up"))


def pid_of(platform, app, dyno):
    found = platform.conductor.parts.driver.observe(str(app.pk))
    return next((s.pid for s in found if s.dyno == dyno and s.state == "up"), None)


def test_scaling_starts_and_stops_dynos(platform, app, alice):
    app_actions.scale(app, {"web": {"quantity": 3}, "worker": {"quantity": 1}}, by=alice)
    eventually(lambda: running(platform, app) == ["web.1", "web.2", "web.3", "worker.1"])
    eventually(lambda: [b.dyno for b in platform.backends(app)] == ["web.1", "web.2", "web.3"])
    app_actions.scale(app, {"web": {"quantity": 1}, "worker": {"quantity": 0}}, by=alice)
    eventually(lambda: running(platform, app) == ["web.1"])
    eventually(lambda: Dyno.objects.filter(app=app).count() == 1)
    assert any(
        "Scaled to web@3:Standard-1X worker@1:Standard-1X by user alice@" in line
        for line in platform.lines(app.log_stream)
    )


def test_scaled_to_none_visitors_hear_so(platform, app, alice):
    app_actions.scale(app, {"web": {"quantity": 0}}, by=alice)
    eventually(lambda: not platform.backends(app))
    assert platform.router.routes[str(app.pk)].why_none == "H14"


def test_another_size_is_a_fresh_dyno(platform, app, alice):
    before = platform.get(app)
    app_actions.scale(app, {"web": {"size": "standard-2x"}}, by=alice)
    eventually(lambda: platform.get(app) != before)
    assert Dyno.objects.get(app=app).size == "standard-2x"


def test_a_restart_serves_throughout(platform, app, alice):
    before = platform.get(app)
    seen = len(platform.router.history[str(app.pk)])
    app_actions.restart(app, by=alice)
    eventually(lambda: platform.get(app) != before)
    eventually(lambda: running(platform, app) == ["web.1"])
    assert all(route.backends for route in platform.router.history[str(app.pk)][seen:])


@pytest.mark.promise("I-20")
def test_a_killed_dyno_starts_again_at_once(platform, app):
    before = platform.get(app)
    os.kill(before[2], signal.SIGKILL)
    eventually(lambda: pid_of(platform, app, "web.1") not in (None, before[2]))
    eventually(lambda: platform.backends(app) and platform.get(app)[2] != before[2])
    assert Dyno.objects.get(app=app).crashes == 1


@pytest.mark.promise("I-20")
def test_crashes_in_a_row_are_answered_with_growing_patience(platform, app, alice):
    for crashes, pause in enumerate(BACK_OFF[:3], 1):
        pid = eventually(lambda: pid_of(platform, app, "web.1"))
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: Dyno.objects.get(app=app).crashes == crashes)
        row = Dyno.objects.get(app=app)
        waits = (row.start_after - row.state_at).total_seconds() if row.start_after else 0
        assert waits == pytest.approx(pause, abs=0.2)
    assert Dyno.objects.get(app=app).state == "crashed"
    eventually(lambda: platform.router.routes[str(app.pk)].why_none == "H10")
    app_actions.restart(app, by=alice)
    eventually(lambda: platform.backends(app))
    assert Dyno.objects.get(app=app).crashes == 0


@pytest.mark.promise("I-20")
def test_a_crash_after_ten_good_minutes_is_a_first_one(platform, app, monkeypatch):
    assert dynos.GOOD_SECONDS == 600
    os.kill(platform.get(app)[2], signal.SIGKILL)
    row = eventually(lambda: Dyno.objects.filter(app=app, state="up", crashes=1).first())
    first = row.incarnation
    monkeypatch.setattr(dynos, "GOOD_SECONDS", 0)  # a row made older could be judged as it was read before
    os.kill(eventually(lambda: pid_of(platform, app, "web.1")), signal.SIGKILL)
    eventually(lambda: Dyno.objects.get(app=app).generation == 1)
    row.refresh_from_db()
    assert (row.crashes, row.start_after) == (1, None)
    assert row.incarnation != first


@pytest.mark.promise("I-20")
def test_a_dyno_that_ignores_sigterm_is_killed(platform, alice, settings):
    settings.STOP_SECONDS = 1
    app = make_app("stubborn", owner=alice)
    platform.deployed(app, alice, web=f"trap '' TERM; {SERVER.removeprefix('exec ')}")
    app_actions.scale(app, {"web": {"quantity": 0}}, by=alice)
    eventually(lambda: not running(platform, app), 5)
    eventually(lambda: any("R12" in line for line in platform.lines(app.log_stream)))


def test_names_maintenance_and_domains_reach_the_router(platform, app, alice):
    app_actions.rename_app(app, "store", by=alice)
    domain = app_actions.add_domain(app, "www.example.com", by=alice)
    app_actions.set_maintenance(app, True, by=alice)

    def route():
        return platform.router.routes[str(app.pk)]

    eventually(lambda: route().maintenance)
    assert route().hosts == {"store.localhost", "www.example.com"}
    app_actions.remove_domain(domain, by=alice)
    eventually(lambda: route().hosts == {"store.localhost"})
    assert not Domain.objects.exists()


@pytest.mark.promise("I-19")
def test_after_a_restart_the_dynos_are_back(platform, app, alice):
    app_actions.scale(app, {"web": {"quantity": 2}}, by=alice)
    eventually(lambda: len(platform.backends(app)) == 2)
    platform.stop()
    platform.start()
    eventually(lambda: running(platform, app) == ["web.1", "web.2"])
    eventually(lambda: len(platform.backends(app)) == 2)


@pytest.mark.promise("I-19")
def test_lost_nudges_are_made_up_for(platform, app, settings):
    from apps.models import Formation

    platform.stop()
    settings.SWEEP_SECONDS = 0.2
    platform.start()
    eventually(lambda: platform.backends(app))
    Formation.objects.filter(app=app, type="worker").update(quantity=1)  # by nobody who tells
    eventually(lambda: running(platform, app) == ["web.1", "worker.1"])


def test_two_conductors_do_not_share_a_folder(platform, stage):
    from conductor.loop import Conductor
    from core.errors import EngineError

    with pytest.raises(EngineError, match="Another conductor"):
        Conductor(platform.conductor.parts).start()


@pytest.mark.promise("I-19")
def test_changes_from_another_process_arrive_with_the_sweep(platform, app, settings):
    """Where the web runs apart, its nudges stay there."""
    from apps.models import App

    platform.stop()
    settings.SWEEP_SECONDS = 0.2
    platform.start()
    eventually(lambda: platform.backends(app))
    App.objects.filter(pk=app.pk).update(maintenance=True)
    eventually(lambda: platform.router.routes[str(app.pk)].maintenance)
