"""Maintenance windows: servers start again with a newer program when they may, and not before."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.asserts import assertContains, assertNotContains

from addons import actions, catalog, databases, maintenance
from addons.maintenance import Window
from addons.models import Addon, Transfer
from addons.orders import order_of
from addons.providers import provider_for
from conductor import addons as job
from conductor.work import Held, Kind, run
from core.errors import NotFound, Refusal
from core.models import Event
from engine.servers import programs
from engine.servers.programs import Valkey
from tests.api.conftest import ApiClient
from tests.factories import make_addon, make_app
from tests.servers import _servers, servers  # noqa: F401

SUNDAY = datetime(2026, 11, 29, 3, tzinfo=UTC)
WEDNESDAY = SUNDAY - timedelta(days=4)
HERE = "/apps/shop/addons/store/"
KIND = Kind("addon", Addon, 1, job.advance, job.fail)


def work():
    """Do what the conductor would, until nothing is due."""
    while addon := Addon.objects.all().claim():
        run(Held(KIND, addon))


def verbs(addon):
    return list(Event.objects.filter(object_id=str(addon.pk)).order_by("at").values_list("verb", flat=True))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A Valkey that is this test's own, to be upgraded."""
    found = programs.valkey()
    copy = tmp_path / found.path.name
    shutil.copy2(found.path, copy)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    monkeypatch.setattr(programs, "valkey", lambda: Valkey(found.name, copy))
    monkeypatch.setattr(programs, "look_again", lambda: None)
    return copy


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


@pytest.fixture
def store(app, alice, servers, program):  # noqa: F811
    addon = actions.provision(app, catalog.plan_called("heroku-redis"), by=alice)
    Addon.objects.filter(pk=addon.pk).update(name="store")
    work()
    yield Addon.objects.whole().get(pk=addon.pk)
    provider_for("heroku-redis").deprovision(order_of(addon))


def upgrade(program):
    fresh = program.with_name("fresh")
    shutil.copy(program, fresh)
    fresh.chmod(0o755)
    fresh.replace(program)


def pid(servers):  # noqa: F811
    (keeper,) = servers.valkeys.supervisors()
    return keeper.pid


def again(addon):
    return Addon.objects.whole().get(pk=addon.pk)


def test_a_newer_version_is_announced_and_waits_for_the_next_window(store, servers, program):  # noqa: F811
    before = pid(servers)
    maintenance.look(WEDNESDAY)
    assert maintenance.ANNOUNCES not in verbs(store)
    upgrade(program)
    for now in (WEDNESDAY, WEDNESDAY + timedelta(days=1), SUNDAY - timedelta(minutes=1)):
        maintenance.look(now)
        work()
    assert verbs(store).count(maintenance.ANNOUNCES) == 1
    assert pid(servers) == before
    event = Event.objects.get(verb=maintenance.ANNOUNCES)
    assert (event.app_id, event.details["at"]) == (store.app_id, "2026-11-29 03:00 UTC")


def test_it_starts_again_in_the_window_and_keeps_what_it_holds(store, servers, program):  # noqa: F811
    with servers.valkeys.connect(str(store.pk)) as client:
        client.set("a", "1")
    before = pid(servers)
    upgrade(program)
    maintenance.look(WEDNESDAY)
    maintenance.look(SUNDAY)
    assert again(store).tasks == [["maintain"]]
    work()
    assert pid(servers) != before
    with servers.valkeys.connect(str(store.pk)) as client:
        assert client.get("a") == "1"
    assert verbs(store)[-1] == maintenance.DONE
    maintenance.look(SUNDAY + timedelta(minutes=1))
    assert again(store).tasks == [] and maintenance.ANNOUNCED not in again(store).options


def test_what_comes_during_a_window_waits_for_the_next(store, program):
    upgrade(program)
    inside = SUNDAY + timedelta(hours=1)
    maintenance.look(inside)
    maintenance.look(inside + timedelta(minutes=1))
    assert again(store).tasks == []
    assert maintenance.standing(again(store), inside).at == SUNDAY + timedelta(days=7)


def test_a_missed_window_is_followed_by_the_next(store, program):
    upgrade(program)
    maintenance.look(WEDNESDAY)
    late = SUNDAY + timedelta(hours=5)
    assert maintenance.standing(again(store), late).at == SUNDAY + timedelta(days=7)
    maintenance.look(SUNDAY + timedelta(days=7, hours=1))
    assert again(store).tasks == [["maintain"]]


def test_people_choose_the_hours_and_restart_at_once(store, program, client, alice):
    client.force_login(alice)
    assertContains(client.get(HERE), "Sunday 03:00 to 07:00 UTC")
    wrong = client.post(f"{HERE}window/", {"day": "Monday", "time": "25:00"})
    assertContains(wrong, "No time of day.", status_code=422)
    assertContains(wrong, "25:00", status_code=422)
    client.post(f"{HERE}window/", {"day": "Saturday", "time": "10:30pm"})
    assertContains(client.get(HERE), "Saturday 22:30 to Sunday 02:30 UTC")
    assertNotContains(client.get(HERE), "Restart now")
    upgrade(program)
    assertContains(client.get(HERE), "Restart now")
    client.post(f"{HERE}restarts/")
    assertContains(client.get(HERE), "starts again with a newer version")
    work()
    assert verbs(store)[-2:] == [maintenance.STARTS, maintenance.DONE]
    assertNotContains(client.get(HERE), "newer version is installed.")


def test_the_cli_sees_it_and_runs_it(store, program, alice):
    api, there = ApiClient(alice), f"/data/maintenances/v1/{store.pk}"
    assert api.get(there).json()["status"] == "none"
    upgrade(program)
    told = api.get(there).json()
    assert (told["status"], told["method"], told["addon"]["kind"]) == ("pending", "restart", "redis")
    assert [
        each["addon"]["name"]
        for each in api.get(f"/data/maintenances/v1/apps/{store.app_id}").json()["maintenances"]
    ] == ["store"]
    answer = api.post(f"{there}/window", {"day_of_week": "sunday", "time_of_day": "1:30PM"}).json()
    assert (answer["window"], answer["previous_window"]) == (
        "Sunday 13:30 to 17:30 UTC",
        "Sunday 03:00 to 07:00 UTC",
    )
    assert api.post(f"{there}/run").status_code == 200
    assert api.get(there).json()["status"] == "running"
    work()
    (done,) = api.get(f"{there}/history/?limit=5").json()["maintenances"]
    assert done["status"] == "completed" and done["completed_at"].endswith("Z")
    assert api.post(f"{there}/run").status_code == 422


def test_who_may_only_look_may_not_maintain(team, vera, servers, program, alice):  # noqa: F811
    app = make_app("shop", owner=team)
    addon = make_addon(app, "heroku-redis:mini", name="store", as_="REDIS")
    api, there = ApiClient(vera), f"/data/maintenances/v1/{addon.name}"
    assert api.get(f"{there}/window").status_code == 200
    assert api.post(f"{there}/run").status_code == 403
    assert api.post(f"{there}/window", {"day_of_week": "monday", "time_of_day": "1:00"}).status_code == 403


def test_databases_start_again_together_in_the_platforms_window(app, alice, servers, settings):  # noqa: F811
    settings.MAINTENANCE_WINDOW = "Wed 23:00"
    addon = actions.provision(app, catalog.plan_called("heroku-postgresql"), by=alice)
    work()
    addon = again(addon)
    with pytest.raises(Refusal, match="share one server"):
        maintenance.set_window(addon, "Monday", "10:00", by=alice)
    record = servers.postgres.folder.with_suffix(".process")
    record.write_text(
        json.dumps(json.loads(record.read_text()) | {"stamp": [0, 0, 0]})
    )  # as after an upgrade
    with pytest.raises(Refusal, match="Wednesday 23:00 to Thursday 03:00 UTC"):
        maintenance.run(addon, by=alice)
    before, move = servers.postgres.supervisor().pid, databases.capture(addon, by=alice)
    maintenance.look(WEDNESDAY)
    maintenance.look(WEDNESDAY.replace(hour=23))
    held = Held(KIND, Addon.objects.all().claim())
    assert run(held) == job.NOT_READY, "a backup is not cut off"
    Transfer.objects.filter(pk=move.pk).update(status="succeeded")
    assert run(held) is None
    assert servers.postgres.supervisor().pid != before
    assert os.stat(f"/proc/{servers.postgres.supervisor().pid}")
    assert verbs(addon)[-2:] == [maintenance.ANNOUNCES, maintenance.DONE]
    provider_for("heroku-postgresql").deprovision(order_of(addon))


def test_what_is_no_server_of_ours_has_no_window(app, settings):
    papertrail = make_addon(app, "papertrail:choklad", as_="PAPERTRAIL")
    with pytest.raises(NotFound):
        maintenance.demand(papertrail)
    settings.POSTGRES_ADDONS_URL = "postgres://u:p@127.0.0.1:1/postgres"
    assert maintenance.standing(make_addon(app, "heroku-postgresql:mini")) is None


@pytest.mark.parametrize(
    ("day", "time", "told"),
    [
        ("sun", "00:00", "Sunday 00:00 to 04:00 UTC"),
        ("Monday", "12:05 am", "Monday 00:05 to 04:05 UTC"),
        ("friday", "9PM", "Friday 21:00 to Saturday 01:00 UTC"),
    ],
)
def test_hours_are_read_as_people_write_them(day, time, told):
    assert str(Window.parse(day, time)) == told


@pytest.mark.parametrize(
    ("day", "time"),
    [("", "3:00"), ("su", "3:00"), ("sunday", "24:00"), ("sunday", "13pm"), ("sunday", "soon")],
)
def test_hours_that_make_no_sense_are_refused(day, time):
    with pytest.raises(Refusal):
        Window.parse(day, time)


def test_a_setting_that_makes_no_sense_says_so():
    with pytest.raises(ImproperlyConfigured, match="like Sunday 03:00"):
        maintenance.default_window("whenever")
