"""Releases: new dynos beside the old, one switch, nothing lost."""

import pytest

from apps.models import Dyno, Formation
from releases import actions
from releases.models import Release
from tests.conductor.conftest import ended
from tests.conftest import eventually
from tests.factories import make_app

BROKEN = {
    "web: exit": ("exit 3", "web.1 did not come up"),
    "never binds": ("sleep 60", "failed to bind to $PORT"),
}


def test_the_first_release_starts_one_web_dyno(platform, alice):
    app = make_app("shop", owner=alice)
    release = platform.deployed(app, alice, web="exec python3 -S server.py", worker="sleep 100")
    assert release.current
    assert {(f.type, f.quantity) for f in Formation.objects.filter(app=app)} == {("web", 1), ("worker", 0)}
    assert platform.get(app)[0] == "v1"
    assert platform.router.routes[str(app.pk)].hosts == {"shop.localhost"}
    assert [step["name"] for step in release.steps] == ["start", "switch"]
    assert all(step["seconds"] is not None for step in release.steps)
    eventually(lambda: any("Release v1 created by user alice@" in x for x in platform.lines(app.log_stream)))


@pytest.mark.promise("I-04")
def test_the_next_one_takes_over_and_the_old_one_ends(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    platform.deployed(app, alice)
    assert platform.get(app)[0] == "v2"
    eventually(lambda: Dyno.objects.filter(app=app).count() == 1)
    assert Dyno.objects.get(app=app).release_version == 2
    assert all(route.backends for route in platform.router.history[str(app.pk)][1:])
    assert list(Release.objects.filter(current=True).values_list("version", flat=True)) == [2]


@pytest.mark.promise("I-04")
def test_old_dynos_live_until_their_requests_are_answered(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    old = platform.backends(app)[0].id
    platform.router.busy[old] = 1
    platform.deployed(app, alice)

    def observed():
        return {state.id for state in platform.conductor.parts.driver.observe(str(app.pk))}

    assert old in observed()
    platform.router.busy.clear()
    eventually(lambda: old not in observed())


@pytest.mark.promise("I-09")
def test_config_reaches_the_dynos(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    release = ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
    assert release.status == "succeeded"
    assert platform.get(app)[:2] == ("v2", "ahoy")


def test_config_before_any_code_is_a_release_without_dynos(platform, alice):
    app = make_app("shop", owner=alice)
    release = ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
    assert (release.status, release.current, release.slug) == ("succeeded", True, None)
    assert platform.deployed(app, alice).version == 2
    assert platform.get(app)[:2] == ("v2", "ahoy")


@pytest.mark.promise("I-05")
@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_come_up_never_replaces_what_serves(platform, alice, settings, case):
    settings.BOOT_SECONDS = 1
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    before = platform.get(app)
    command, reason = BROKEN[case]
    release = ended(platform.deploy(app, alice, web=command))
    assert release.status == "failed" and reason in release.reason
    assert platform.get(app) == before
    assert Release.objects.current_for(app).version == 1
    eventually(lambda: [d.release_version for d in Dyno.objects.filter(app=app)] == [1])
    eventually(lambda: platform.logs.ended(release.log_stream))
    assert any(reason in line for line in platform.lines(release.log_stream))


@pytest.mark.promise("I-05")
def test_an_unhealthy_one_is_not_let_in(platform, alice, settings):
    settings.BOOT_SECONDS = 1
    app = make_app(
        "shop",
        owner=alice,
    )
    app.health_path = "/healthy"
    app.save()
    not_found = {
        "server.py": "import http.server,os;http.server.test(http.server.SimpleHTTPRequestHandler,port=int(os.environ['PORT']),bind='127.0.0.1')"
    }
    release = ended(platform.deploy(app, alice, files=not_found))
    assert release.status == "failed" and "404" in release.reason
    assert not Release.objects.filter(current=True).exists()
    assert platform.router.routes[str(app.pk)].backends == ()


@pytest.mark.promise("I-03")
@pytest.mark.parametrize(
    ("command", "seconds", "reason"),
    [
        ("echo migrating; exit 7", 60, "exited with status 7"),
        ("kill -9 $$", 60, "exited with status 137"),
        ("sleep 60", 1, "longer than 1 second"),
    ],
)
def test_a_failed_release_phase_changes_nothing(platform, alice, settings, command, seconds, reason):
    settings.RELEASE_PHASE_SECONDS = seconds
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    before = platform.get(app)
    release = ended(platform.deploy(app, alice, web="exec python3 -S server.py", release=command))
    assert release.status == "failed" and reason in release.reason
    assert platform.get(app) == before
    if "echo" in command:
        eventually(lambda: "migrating" in platform.lines(release.log_stream))
    eventually(lambda: any("Release v2 failed" in line for line in platform.lines(app.log_stream)))


def test_the_release_phase_runs_before_the_dynos_start(platform, alice):
    app = make_app("shop", owner=alice)
    ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
    release = platform.deployed(
        app, alice, web="exec python3 -S server.py", release="echo $GREETING from $DYNO"
    )
    eventually(lambda: "ahoy from release.2" in platform.lines(release.log_stream))
    assert [step["name"] for step in release.steps] == ["release phase", "start", "switch"]
    assert "release" not in Formation.objects.filter(app=app).values_list("type", flat=True)


@pytest.mark.promise("I-06")
def test_releases_of_an_app_are_activated_in_order(platform, alice):
    app = make_app("shop", owner=alice)
    releases = [platform.deploy(app, alice) for _ in range(4)]
    assert [ended(release, 40).status for release in releases] == ["succeeded"] * 4
    ends = [release.finished_at for release in releases]
    assert ends == sorted(ends)
    versions = [
        backend.dyno and Dyno.objects.filter(pk=backend.id.split(".")[0]).first()
        for backend in platform.backends(app)
    ]
    assert [dyno.release_version for dyno in versions] == [4]


@pytest.mark.promise("I-02")
def test_a_rollback_runs_the_very_triple_again(platform, alice):
    app = make_app("shop", owner=alice)
    first = platform.deployed(app, alice)
    ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
    platform.deployed(app, alice)
    release = ended(actions.rollback(app, first, by=alice))
    assert (release.version, release.slug, release.config) == (4, first.slug, first.config)
    assert platform.get(app)[:2] == ("v4", "")


def test_a_config_change_behind_a_deploy_takes_its_slug(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    deploy = platform.deploy(app, alice)
    config = ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
    deploy.refresh_from_db()
    assert config.slug == deploy.slug
    assert platform.get(app)[:2] == ("v3", "ahoy")


@pytest.mark.promise("I-14")
def test_a_damaged_slug_is_never_started(platform, alice):
    app = make_app("shop", owner=alice)
    slug = platform.slug(app)
    archive = platform.slugs.path(slug.digest)
    archive.chmod(0o644)
    archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    from django.db import transaction

    with transaction.atomic():
        release = actions.create_release(app, kind="deploy", description="Deploy", by=alice, slug=slug)
    assert ended(release).status == "failed"
    assert "R17" in release.reason


def test_a_suspended_app_has_no_dynos(platform, alice):
    from apps.suspension import suspend_app

    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    suspend_app(app, True, by=None)
    eventually(lambda: not platform.conductor.parts.driver.observe(str(app.pk)))
    release = ended(actions.set_config(app, {"A": "1"}, by=alice))
    assert release.status == "succeeded" and platform.backends(app) == []
    suspend_app(app, False, by=None)
    eventually(lambda: platform.backends(app))
    assert platform.get(app)[0] == "v2"
