"""Apps that sleep when nobody comes, and wake when somebody does."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from apps import sleep
from apps.actions import scale
from apps.models import App, Dyno
from apps.one_offs import run_detached
from conductor import routes, wishes
from conductor.parts import Parts
from conductor.sleepers import Sleepers
from core.errors import Refusal
from metering.meters import settle
from metering.models import Meter
from releases.actions import set_config
from tests.conductor.conftest import SERVER, ended
from tests.conftest import eventually
from tests.factories import make_app, make_release

WORKER = "exec sleep 600"


def states(app):
    return sorted((row.name, row.state) for row in Dyno.objects.filter(app=app, one_off=False))


def route(platform, app):
    return platform.router.routes[str(app.pk)]


@pytest.fixture
def sleeper(platform, alice):
    """An app that sleeps: it has run, and nothing of it does."""
    app = make_app(owner=alice)
    platform.deployed(app, alice, web=SERVER, worker=WORKER)
    sleep.put_to_sleep(app, by=None)
    eventually(
        lambda: route(platform, app).asleep and not platform.conductor.parts.driver.observe(str(app.pk))
    )
    return app


def test_asleep_nothing_runs_and_the_formation_stays(platform, sleeper):
    assert states(sleeper) == [("web.1", "idle")]
    assert sleeper.formation.get(type="web").quantity == 1
    assert not route(platform, sleeper).backends and route(platform, sleeper).why_none == "H20"


def test_who_comes_wakes_it_once(platform, sleeper):
    before = len(platform.router.history[str(sleeper.pk)])
    for _ in range(5):
        platform.conductor.wake(str(sleeper.pk))
    eventually(lambda: platform.backends(sleeper))
    assert states(sleeper) == [("web.1", "up")]
    told = platform.router.history[str(sleeper.pk)][before:]
    assert [r.asleep for r in told] == [True] * (len(told) - 1) + [False]  # requests wait until it is up
    sleeper.refresh_from_db()
    assert sleeper.asleep_since is None and sleeper.woken_at
    assert platform.get(sleeper)[0] == "v1"
    lines = platform.lines(sleeper.log_stream)
    assert lines.count("Unidling") == 1 and lines.count("State changed from idle to starting") == 1


def test_requests_wait_while_its_rows_were_read_just_before_it_woke(stage, alice):
    app = make_app(owner=alice)
    release = make_release(app, slug=stage.slug(app))
    Dyno.objects.create(app=app, type="web", number=1, command=SERVER, release_version=release.version)
    sleep.put_to_sleep(app, by=None)
    view = wishes.view(app.pk)
    sleep.wake(app, by=None)
    view.app.refresh_from_db()
    assert [row.state for row in view.dynos] == ["idle"] and view.app.asleep_since is None
    assert routes.route(view, [], view.dynos).asleep


def test_what_crashes_at_its_start_is_said(platform, alice):
    app = make_app(owner=alice)
    platform.deployed(app, alice)
    sleep.put_to_sleep(app, by=None)
    eventually(lambda: route(platform, app).asleep)
    Dyno.objects.filter(app=app).update(command="exit 3")
    platform.conductor.wake(str(app.pk))
    eventually(lambda: route(platform, app).why_none == "H10")
    assert not route(platform, app).asleep


def test_a_restart_of_the_platform_wakes_nobody(platform, sleeper):
    platform.stop()
    platform.start()
    eventually(lambda: str(sleeper.pk) in platform.router.routes and route(platform, sleeper).asleep)
    platform.conductor.keeper.settle(sleeper.pk)
    assert states(sleeper) == [("web.1", "idle")]
    assert not platform.conductor.parts.driver.observe(str(sleeper.pk))


def test_a_release_comes_up_while_it_sleeps_and_wakes_it(platform, sleeper, alice):
    release = ended(set_config(sleeper, {"GREETING": "hello"}, by=alice))
    assert release.status == "succeeded"
    eventually(lambda: platform.backends(sleeper))
    assert platform.get(sleeper)[:2] == ("v2", "hello")
    sleeper.refresh_from_db()
    assert sleeper.asleep_since is None
    eventually(lambda: states(sleeper) == [("web.1", "up")])


def test_scaling_while_it_sleeps_starts_nothing_until_it_wakes(platform, sleeper, alice):
    scale(sleeper, {"web": {"quantity": 2}}, by=alice)
    eventually(lambda: states(sleeper) == [("web.1", "idle"), ("web.2", "idle")])
    assert not platform.conductor.parts.driver.observe(str(sleeper.pk))
    sleep.wake(sleeper, by=alice)
    eventually(lambda: len(platform.backends(sleeper)) == 2)
    eventually(lambda: "Unidling by user alice@example.com" in platform.lines(sleeper.log_stream))


def test_one_off_dynos_run_while_it_sleeps(platform, sleeper, alice):
    dyno = run_detached(sleeper, "echo awake for a moment", release_version=1, by=alice)
    eventually(lambda: "awake for a moment" in platform.lines(sleeper.log_stream))
    eventually(lambda: Dyno.objects.filter(pk=dyno.pk, state="down", exit_code=0).exists())
    assert states(sleeper) == [("web.1", "idle")]


def test_requests_under_way_end_first(platform, alice):
    app = make_app(owner=alice)
    platform.deployed(app, alice)
    backend = platform.backends(app)[0]
    platform.router.busy[backend.id] = 1
    sleep.put_to_sleep(app, by=None)
    eventually(lambda: route(platform, app).asleep)
    alive = platform.conductor.parts.driver.observe(str(app.pk))
    assert [state.state for state in alive] == ["up"]
    platform.router.busy[backend.id] = 0
    eventually(lambda: not platform.conductor.parts.driver.observe(str(app.pk)))


# --- who is put to sleep ------------------------------------------------------------------------------------------


@pytest.fixture
def quiet(stage, alice):
    """Makes an app that could sleep: it has been up for an hour, and nobody came for as long."""

    def make(type="web"):
        app = make_app(owner=alice)
        make_release(app, by=alice)
        sleep.set_sleep(app, 30, by=alice)
        since = timezone.now() - timedelta(hours=1)
        Dyno.objects.create(
            app=app, type=type, number=1, command="x", release_version=1, state="up", state_at=since
        )
        stage.router.quiet_for[str(app.pk)] = 3600.0
        return app

    return make


def look(stage):
    """Look once, as the conductor does."""
    sleepers = Sleepers(Parts(None, stage.router, stage.logs, stage.slugs, stage.data), lambda app: None)
    sleepers.look()
    return sleepers


def is_asleep(app):
    return App.objects.get(pk=app.pk).asleep_since is not None


def test_who_was_quiet_for_long_enough_sleeps(stage, quiet):
    app = quiet()
    settle(app.pk)
    assert Meter.objects.filter(app_id=app.pk).exists()
    look(stage)
    assert is_asleep(app) and states(app) == [("web.1", "idle")]
    assert "Idling" in stage.lines(app.log_stream)
    assert not Meter.objects.filter(app_id=app.pk).exists()  # what sleeps costs nothing


def test_so_does_one_of_a_machine_that_has_just_started(stage, quiet, monkeypatch):
    app = quiet()
    monkeypatch.setattr("conductor.sleepers.time", SimpleNamespace(monotonic=lambda: 5.0))
    look(stage)
    assert is_asleep(app)


def test_who_was_not_stays_awake(stage, quiet, alice):
    never, lately, woken, starting = quiet(), quiet(), quiet(), quiet()
    App.objects.filter(pk=never.pk).update(sleep_minutes=0)
    stage.router.quiet_for[str(lately.pk)] = 1700.0
    Dyno.objects.filter(app=woken).update(state_at=timezone.now() - timedelta(minutes=29))
    Dyno.objects.filter(app=starting).update(state="starting")
    releasing = quiet()
    set_config(releasing, {"A": "1"}, by=alice)
    look(stage)
    assert not any(map(is_asleep, [never, lately, woken, starting, releasing]))


def test_a_tunnel_that_has_just_ended_counts_as_a_visit(stage, quiet):
    app = quiet()
    stage.router.quiet_for[str(app.pk)] = 0.0
    sleepers = look(stage)
    stage.router.quiet_for[str(app.pk)] = 3600.0  # as HAProxy says, which counts from its beginning
    sleepers.look()
    assert not is_asleep(app)


def test_an_app_without_web_dynos_never_sleeps(stage, quiet):
    app = quiet(type="worker")
    look(stage)
    assert not is_asleep(app)


# --- the setting --------------------------------------------------------------------------------------------------


def test_never_wakes_what_sleeps(stage, quiet, alice):
    app = quiet()
    look(stage)
    sleep.set_sleep(app, 0, by=alice)
    assert not is_asleep(app) and states(app) == [("web.1", "starting")]


@pytest.mark.parametrize("minutes", [-1, sleep.MOST_MINUTES + 1])
def test_odd_minutes_are_refused(stage, quiet, alice, minutes):
    with pytest.raises(Refusal, match="minutes"):
        sleep.set_sleep(quiet(), minutes, by=alice)


def test_the_suspended_are_not_woken_by_their_people(stage, quiet, alice):
    app = quiet()
    look(stage)
    App.objects.filter(pk=app.pk).update(suspended_at=timezone.now())
    app.refresh_from_db()
    with pytest.raises(Refusal):
        sleep.wake(app, by=alice)
