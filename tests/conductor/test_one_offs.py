"""One-off dynos run once."""

import pytest

from apps import actions
from apps.models import Dyno
from tests.conftest import eventually
from tests.factories import make_app


@pytest.fixture
def app(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    return app


def run(app, command, by, **options):
    return actions.run_detached(app, command, release_version=1, by=by, **options)


def down(dyno):
    def check():
        dyno.refresh_from_db()
        return dyno.state == "down"

    eventually(check)
    return dyno


def test_it_runs_with_its_own_variables_and_ends_with_its_status(platform, app, alice):
    dyno = down(run(app, "echo hello $WHO; exit 4", alice, env={"WHO": "you"}))
    assert dyno.exit_code == 4
    eventually(lambda: "hello you" in platform.lines(app.log_stream))
    eventually(lambda: len(platform.conductor.parts.driver.observe(str(app.pk))) == 1)


def test_it_can_be_stopped(platform, app, alice):
    dyno = run(app, "sleep 1000", alice)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "up")
    actions.stop_dyno(app, dyno.name, by=alice)
    assert down(dyno).exit_code != 0


def test_it_ends_with_its_time(platform, app, alice):
    dyno = down(run(app, "sleep 1000", alice, time_to_live=1))
    assert "longer than 1 second" in dyno.reason


def test_it_never_runs_twice(platform, app, alice):
    dyno = run(app, "sleep 1000", alice)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "up")
    platform.stop()
    platform.start()
    assert "ended with the platform" in down(dyno).reason


def test_scaling_leaves_it_alone(platform, app, alice):
    dyno = run(app, "sleep 1000", alice)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "up")
    actions.scale(app, {"web": {"quantity": 0}}, by=alice)
    eventually(lambda: not platform.backends(app))
    eventually(lambda: len(platform.conductor.parts.driver.observe(str(app.pk))) == 1)
    assert Dyno.objects.get(pk=dyno.pk).state == "up"


def test_of_a_release_without_code_it_says_so(platform, alice):
    empty = make_app("empty", owner=alice)
    assert "no code" in down(run(empty, "ls", alice)).reason
