"""The first page's figures, against rows and files that say so."""

import json
import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from apps import actions as apps
from apps import suspension
from apps.models import App, Dyno
from conductor import disk, status
from releases import actions
from releases.models import Build, Release
from tests.admin.conftest import list_of, page_of
from tests.factories import make_app, make_release, make_source


@pytest.fixture
def data(settings, tmp_path):
    settings.DATA = tmp_path
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture
def page(operator, client, data):
    return lambda: client.get("/admin/figures/").text.replace("\xa0", " ")


def conducting(data, **more):
    import os

    said = {
        "at": time.time(),
        "pid": os.getpid(),
        "stopped": False,
        "started": time.time() - 7300,
        "swept": time.time() - 3,
        "roles": [],
        "jobs": [{}],
        "dynos": {},
        "node": {
            "hostname": "harbour-1",
            "level": "own user, own view",
            "isolation": "Every app runs as a system user of its own.",
            "controllers": ["cpu", "memory"],
        },
        **more,
    }
    (data / "run" / "status.json").write_text(json.dumps(said))


def test_queues_say_what_waits_and_how_long(page, alice):
    for n in range(3):
        app = make_app(owner=alice)
        build = actions.create_build(app, make_source(app), by=alice)
    Build.objects.filter(pk=build.pk).update(
        status="running", started_at=timezone.now() - timedelta(seconds=65)
    )
    Build.objects.filter(status="pending").update(created_at=timezone.now() - timedelta(minutes=12))
    text = page()
    assert "<b>1</b> running" in text and "<b>2</b> waiting" in text
    assert "The oldest has waited 12 min" in text
    assert re.search(r"\b1:[0-5]\d\b", text) and page_of(build) in text


def test_failing_apps_are_named_with_the_reason_and_a_link(page, alice, operator):
    crashing, failed, recovered = (
        make_app(name, owner=alice, released=True) for name in ("crashy", "faily", "finey")
    )
    Dyno.objects.create(
        app=crashing,
        type="web",
        number=1,
        command="x",
        release_version=1,
        state="crashed",
        crashes=4,
        reason="Error R10",
    )
    for app in (failed, recovered):
        make_release(app, by=alice, status="failed", current=False)
    Release.objects.filter(status="failed").update(reason="The release command exited with status 1.")
    make_release(recovered, by=alice)
    text = page()
    assert "web.1 crashed 4 times in a row" in text and "Error R10" in text and page_of(crashing) in text
    assert (
        "v2 failed" in text
        and "The release command exited with status 1." in text
        and page_of(failed) in text
    )
    assert page_of(recovered) not in text
    apps.destroy_app(failed, confirm="faily", by=alice)
    assert page_of(failed) not in page()


def test_dynos_are_counted_by_state_and_suspended_apps(page, alice, operator):
    app = make_app(owner=alice)
    for number, state in enumerate(["up", "up", "starting", "crashed"], 1):
        Dyno.objects.create(app=app, type="web", number=number, command="x", release_version=1, state=state)
    suspension.suspend_app(app, True, by=operator)
    text = page()
    assert "<b>2</b> up" in text and "<b>1</b> starting" in text and "<b>1</b> crashed" in text
    assert "1 app suspended" in text


def test_the_node_and_the_conductor_tell_of_themselves(page, data):
    conducting(data)
    text = page()
    assert "harbour-1" in text
    assert "own user, own view" in text and "Every app runs as a system user of its own." in text
    assert "cpu, memory" in text
    assert "alive" in text and "3 s ago" in text and "1 job" in text and "2 h" in text
    assert "No conductor is alive." not in text


def test_a_dead_conductor_is_an_alarm(page, data):
    assert "No conductor is alive." in page()
    conducting(data, at=time.time() - 60)
    assert "No conductor is alive." in page()


def test_the_disk_is_told_by_part_and_warned_about(page, data, monkeypatch):
    (data / "slugs").mkdir()
    (data / "slugs" / "slug").write_bytes(b"x" * 3_000_000)
    disk.measure(data)
    text = page()
    assert "2.9 MB" in text and "Slugs" in text and "Repositories" in text
    assert "The disk is nearly full" not in text
    (data / "run" / "disk.json").write_text(json.dumps({"at": time.time(), "parts": {"logs": None}}))
    assert "too much to measure" in page()


def test_a_disk_nearly_full_is_an_alarm(page, monkeypatch):
    import shutil
    from types import SimpleNamespace

    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(total=100 * 2**30, used=0, free=9 * 2**30)
    )
    assert "The disk is nearly full: 9.0 GB of 100.0 GB are free." in page()


def test_the_whole_page_asks_for_its_figures_again(operator, client, data):
    text = client.get("/admin/").text
    assert 'hx-get="/admin/figures/"' in text and 'hx-trigger="every 5s' in text
    assert "SQLite" in text or "PostgreSQL" in text


def test_badges_say_what_wants_to_be_looked_at(operator, client, data, alice):
    app = make_app(owner=alice)
    actions.create_build(app, make_source(app), by=alice)
    suspension.suspend_app(app, True, by=operator)
    text = " ".join(client.get(list_of(App)).text.split())
    assert "<span>Builds</span> <span" in text and "<span>Apps</span> <span" in text
    assert "<span>Releases</span> <span" not in text


def test_what_the_conductor_writes_is_what_the_page_reads(data, transactional_db):
    from conductor.loop import Conductor
    from conductor.parts import NoRouter, Parts
    from engine.builder.slugs import SlugStore
    from engine.drivers.local import LocalDriver
    from engine.logstore import LogStore
    from tests.waiting import eventually

    slugs, logs = SlugStore(data / "slugs"), LogStore(data / "logs")
    driver = LocalDriver(
        data / "dynos", sink=logs, tree=slugs.tree, instance="admin-tests", ports=range(12300, 12310)
    )
    conductor = Conductor(Parts(driver, NoRouter(), logs, slugs, data))
    conductor.start()
    try:
        eventually(lambda: (status.read() or {}).get("swept"))
        eventually(disk.read)
        node = status.read()["node"]
    finally:
        conductor.stop()
    assert node["level"] in ("own user, own view", "own user, a copy", "own view", "none")
    assert node["isolation"] == driver.isolation
    assert set(disk.read()["parts"]) == {*disk.PARTS, "database"}
