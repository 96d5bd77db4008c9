"""An operator's stop, as dynos, visitors and work under way see it."""

from accounts import actions as accounts
from apps import actions as apps
from apps import one_offs, suspension
from apps.models import App, Formation
from releases import actions as releases
from tests.conductor.conftest import SERVER, ended
from tests.conductor.test_builds import SLOW
from tests.conftest import eventually
from tests.factories import make_app


def alive(platform, app):
    found = platform.conductor.parts.driver.observe(str(app.pk))
    return sorted(state.dyno for state in found if state.state in ("starting", "up"))


def route(platform, app):
    return platform.router.routes[str(app.pk)]


def test_a_suspended_team_s_apps_stop_say_so_and_come_back_as_they_were(platform, team, alice):
    app, other = make_app("shop", owner=team), make_app("mine", owner=alice)
    platform.deployed(app, alice, web=SERVER, worker="sleep 1000")
    platform.deployed(other, alice)
    apps.scale(app, {"web": {"quantity": 2}, "worker": {"quantity": 1}}, by=alice)
    eventually(lambda: len(platform.backends(app)) == 2 and len(alive(platform, app)) == 3)
    apps.set_maintenance(app, True, by=alice)
    once = one_offs.run_detached(app, "sleep 1000", release_version=1, by=alice)
    eventually(lambda: f"run.{once.number}" in alive(platform, app))

    suspension.suspend_team(team, by=alice)
    eventually(lambda: not alive(platform, app))
    eventually(lambda: (route(platform, app).why_none, route(platform, app).maintenance) == ("H84", False))
    assert platform.get(other)[0] == "v1"

    suspension.reinstate_team(team, by=alice)
    eventually(lambda: alive(platform, app) == ["web.1", "web.2", "worker.1"])
    eventually(lambda: len(platform.backends(app)) == 2 and route(platform, app).maintenance)


def test_a_build_under_way_ends_with_the_reason(platform, alice, source):
    app = make_app("shop", owner=alice)
    build = releases.create_build(app, source(app, **SLOW), by=alice)
    eventually(lambda: any("pre_compile" in line for line in platform.lines(build.log_stream)), 30)
    suspension.suspend_app(app, True, by=alice)
    assert ended(build, 20).status == "cancelled"
    assert "suspended by an operator" in build.reason


def test_a_build_that_waited_does_not_begin(stage, alice, source):
    app = make_app("shop", owner=alice)
    build = releases.create_build(app, source(app), by=alice)
    suspension.suspend_app(app, True, by=alice)
    stage.start()
    assert ended(build).status == "failed"
    assert build.reason == "shop is suspended by an operator."


def test_a_first_release_beyond_the_limit_starts_no_dyno(platform, team, alice):
    accounts.set_limits(team, max_apps=None, max_dynos=0, max_builds=None, by=alice)
    app = make_app("shop", owner=team)
    platform.deployed(App.objects.get(pk=app.pk), alice)
    assert Formation.objects.get(app=app, type="web").quantity == 0
    assert alive(platform, app) == []
