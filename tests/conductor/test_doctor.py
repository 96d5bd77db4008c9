"""The doctor finds what is wrong, and says what to do."""

import io
import json
import os
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from apps.models import Certificate
from conductor import doctor, status
from conductor.backups import history, schedule
from conductor.doctor import keeping, machine, servers
from releases import actions
from tests import cnb
from tests.factories import make_app


@pytest.fixture(autouse=True)
def data(tmp_path, settings, db):
    settings.DATA = tmp_path / "data"
    settings.BACKUP_DIR = str(tmp_path / "backups")
    settings.URL = "http://localhost:1"
    (settings.DATA / "run").mkdir(parents=True)
    return settings.DATA


def states(check):
    return {(finding.name, finding.state) for finding in check()}


def test_each_finding_that_is_not_well_says_what_to_do():
    found = doctor.examine()
    assert {"Versions", "git", "Disk", "fsync", "Database", "Keys", "Backup", "Conductor"} <= {
        f.name for f in found
    }
    assert {f.state for f in found} <= {"ok", "warning", "problem"}
    assert all(bool(f.advice) == (f.state != "ok") for f in found)


def test_the_command_tells_people_and_programs_and_ends_with_a_status(capsys):
    text = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("doctor", stdout=text)
    assert end.value.code == 1 and "PROBLEM  Conductor: none is alive" in text.getvalue()
    text = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=text)
    told = json.loads(text.getvalue())
    assert told["ok"] is False and {"name", "state", "text", "advice"} == set(told["findings"][0])


def test_a_check_that_breaks_hides_no_other(monkeypatch):
    def broken_thing():
        raise RuntimeError("secret detail")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken_thing, machine.versions))
    one, other = doctor.examine()
    assert (one.name, one.state, other.state) == ("Broken thing", "problem", "ok")
    assert "secret detail" not in one.text


def test_weak_and_missing_keys(alice, settings):
    assert states(keeping.keys) == {("Keys", "ok")}
    actions.set_config(make_app("shop", owner=alice), {"A": "1"}, by=alice)
    known = settings.SLIPWAY_KEYS
    fresh = "new:" + "A" * 43 + "="
    settings.SLIPWAY_KEYS = [fresh, *known]
    assert states(keeping.keys) == {("Keys", "warning")}
    settings.SLIPWAY_KEYS = [fresh]
    assert states(keeping.keys) == {("Keys", "problem")}
    settings.SLIPWAY_KEYS, settings.SECRET_KEY = ["weak:c2hvcnQ=", *known], "short"
    found = list(keeping.keys())
    assert ("Secret key", "problem") in states(keeping.keys) and "weak" in found[0].text
    assert "c2hvcnQ=" not in str(found) and "short" not in found[1].text.split()[-1]


def test_keys_that_others_can_read(data):
    (data / "keys.env").write_text("")
    (data / "keys.env").chmod(0o644)
    assert states(machine.data_folder) == {("Keys file", "problem")}
    (data / "keys.env").chmod(0o600)
    assert states(machine.data_folder) == set()


def test_backups_none_old_failed_and_young(settings):
    assert states(keeping.backups) == {("Backup", "warning")}
    history.note(time.time() - 3 * 24 * 3600, file="/x", bytes=1, seconds=1)
    assert states(keeping.backups) == {("Backup", "warning")}
    settings.BACKUP_HOURS = 24
    assert states(keeping.backups) == {("Backup", "problem")}
    history.note_failure("No space left on device")
    assert "No space left" in next(keeping.backups()).text
    history.note(time.time() - 60, file="/x", bytes=1, seconds=1)
    assert states(keeping.backups) == {("Backup", "ok")}


def test_scheduled_backups_are_made_when_due_and_the_oldest_go(settings, transactional_db, tmp_path):
    assert schedule.look() is False
    settings.BACKUP_HOURS, settings.BACKUP_KEEP = 24, 2
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("slipway-20200101-000000.tar.zst", "slipway-20200102-000000.tar.zst", "mine.tar"):
        (folder / name).touch()
    assert schedule.look() is True and schedule.look() is False
    assert {"mine.tar", "slipway-20200102-000000.tar.zst"} < {file.name for file in folder.iterdir()}
    assert not (folder / "slipway-20200101-000000.tar.zst").exists()
    assert schedule.age() < 60


def test_a_scheduled_backup_that_fails_is_tried_again_later(settings, transactional_db, tmp_path):
    settings.BACKUP_HOURS = 24
    (tmp_path / "backups").touch()  # no folder can be there
    assert schedule.look() is False
    assert history.last()["failed"] and schedule.due() is False


def test_certificates_that_end(alice):
    app = make_app("shop", owner=alice)
    for name, days in {"over": -1, "soon": 3, "later": 90}.items():
        Certificate.objects.create(
            app=app, name=name, chain="", sealed_key="", subject="", issuer="", cert_domains=[], trusted=True,
            self_signed=False, starts_at=timezone.now(), expires_at=timezone.now() + timedelta(days=days),
        )  # fmt: skip
    assert [finding.state for finding in keeping.certificates()] == ["problem", "warning"]


def test_open_doors(settings):
    assert states(keeping.doors) == set()
    settings.URL, settings.HOST, settings.BIND, settings.MONITOR = (
        "http://x.org",
        "x.org",
        "0.0.0.0",
        "0.0.0.0:9",
    )
    settings.APPS_HOST = "x.org"
    assert {name for name, _ in states(keeping.doors)} == {"Address", "Ports", "Domains"}


def test_a_database_of_another_version():
    assert states(servers.database) == {("Database", "ok")}
    MigrationRecorder.Migration.objects.order_by("-id").first().delete()
    (found,) = servers.database()
    assert found.state == "problem" and "manage.py migrate" in found.advice


def test_servers_that_do_not_answer(settings):
    settings.REDIS_URL = "redis://:hidden@127.0.0.1:1/0"
    settings.ENGINE_URL = "swarm+unix:///nowhere/docker.sock"
    assert states(servers.bus) == {("Redis", "problem")}
    assert states(servers.engine) == {("Engine", "problem")}
    assert states(servers.front_door) == {("Front door", "warning")}
    assert "hidden" not in str([*servers.bus(), *servers.engine()])


@pytest.mark.docker
def test_the_builder_of_the_stack_cnb(engine, settings):
    settings.ENGINE_URL, settings.STACK_IMAGE = engine.engine_url, engine.stack
    instance = engine.instance()
    name = f"slipway/{instance}/builder:1"

    def made(run_image, **labels):
        told = {**cnb.labels(run_image), **labels, "slipway.instance": instance}
        engine.client.images.build(
            fileobj=io.BytesIO(b"FROM scratch\nENV CNB_USER_ID=1777 CNB_GROUP_ID=1777\n"),
            tag=name,
            labels=told,
            rm=True,
        )

    def said():
        return [(found.state, found.text) for found in servers.engine() if found.name == "Builder"]

    try:
        assert said() == []
        settings.CNB_BUILDER = name
        assert said() == [("warning", f"{name} is not there yet")]
        made(engine.stack)
        assert said() == [("ok", f"{name}, Platform API 0.14, 2 buildpacks")]
        made("slipway/nowhere:1")
        assert said() == [("warning", f"The run image slipway/nowhere:1 of {name} is not there yet")]
        made(engine.stack, **{"io.buildpacks.builder.metadata": "{}"})
        assert [state for state, _ in said()] == ["problem"]
    finally:
        engine.remove(instance)


def test_what_the_conductor_found_is_kept_for_the_page():
    assert doctor.last() is None
    doctor.note()
    told = doctor.last()
    assert time.time() - told["at"] < 60 and {"Disk", "Keys"} <= {row["name"] for row in told["findings"]}


def test_a_conductor_that_can_not_write_for_want_of_room_is_not_taken_for_dead(data):
    said = {"at": time.time() - 3600, "pid": os.getpid(), "stopped": False, "dynos": {}, "jobs": []}
    status.path().write_text(json.dumps(said))
    assert status.conductors() == []
    status.path().with_suffix(".new").touch()  # all that a full disk leaves of its next try
    assert status.conductors() == [said]
