"""Databases behind apps, from the order to the last backup: a real conductor, a real PostgreSQL, real files."""

import os
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from addons import actions, backup_files, catalog, databases
from addons.models import Addon, Schedule, Transfer
from addons.orders import order_of
from addons.providers import provider_for
from addons.providers.postgresql import names, server
from apps.config_vars import readable as config_of
from conductor import transfers
from core.errors import Conflict, NotFound, Refusal
from tests.conductor.conftest import ended
from tests.conftest import eventually
from tests.factories import make_app
from tests.servers import _servers, servers  # noqa: F401

pytestmark = pytest.mark.usefixtures("servers")


@pytest.fixture
def app(alice, platform):
    return make_app("shop", owner=alice)


def order(app, by, plan="heroku-postgresql:essential-0"):
    """An add-on that is ready."""
    addon = actions.provision(app, catalog.plan_called(plan), by=by)
    return ready(addon)


def ready(addon):
    def check():
        addon.refresh_from_db()
        return addon.status not in ("pending", "running")

    eventually(check, 30)
    assert addon.state == "provisioned", addon.message
    return Addon.objects.whole().get(pk=addon.pk)


@pytest.fixture
def database(app, alice):
    return order(app, alice)


def url(addon, credential=""):
    return Addon.objects.get(pk=addon.pk).config[credential]["URL"]


def run(addon, *statements):
    with psycopg.connect(url(addon), autocommit=True) as inside:
        for statement in statements:
            cursor = inside.execute(statement)
        return cursor.fetchall() if cursor.description else None


def succeeded(transfer):
    ended(transfer, 40)
    assert transfer.status == "succeeded", transfer.reason
    return transfer


def test_an_app_gets_a_database_that_answers(database, app):
    assert config_of(app)["DATABASE_URL"] == url(database)
    assert run(database, "SELECT 1") == [(1,)]


def test_a_backup_is_proved_and_restored(database, alice):
    run(database, "CREATE TABLE t (n int)", "INSERT INTO t SELECT generate_series(1, 1000)")
    backup = succeeded(databases.capture(database, by=alice))
    assert (str(backup), backup.tables) == ("b001", 1)
    assert backup.proved_at is not None
    assert os.stat(backup_files.path(backup.pk)).st_mode & 0o777 == 0o600

    run(database, "DELETE FROM t", "CREATE TABLE later (n int)")
    restore = succeeded(databases.restore(backup, database, by=alice))
    assert str(restore) == "r002"
    assert run(database, "SELECT count(*) FROM t") == [(1000,)]
    assert run(database, "SELECT to_regclass('later')") == [(None,)]
    assert [path.name for path in backup_files.path(backup.pk).parent.iterdir()] == [f"{backup.pk}.dump"]


def test_what_the_disk_has_no_room_for_is_not_begun(database, alice, monkeypatch, settings):
    run(database, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    settings.FAILPOINTS_ALLOWED = True
    monkeypatch.setenv("FAILPOINTS", "backup.stored=error")
    backup = databases.capture(database, by=alice)
    eventually(lambda: Transfer.objects.get(pk=backup.pk).step == 2, 30)
    monkeypatch.setattr(transfers, "ROOM_BYTES", 1 << 62)  # from now on there is too little
    monkeypatch.setenv("FAILPOINTS", "")
    succeeded(backup)
    assert backup.proved_at is None and backup.notes[-2][1] == transfers.UNREAD

    for later in (databases.restore(backup, database, by=alice), databases.capture(database, by=alice)):
        ended(later, 40)
        assert later.status == "failed" and "Try again once whoever operates it has made room" in later.reason
    assert run(database, "SELECT n FROM t") == [(1,)]
    assert [each.name for each in backup_files.path(backup.pk).parent.iterdir()] == [f"{backup.pk}.dump"]


def test_what_could_not_be_removed_is_removed_later(database, alice, monkeypatch, settings):
    backup = succeeded(databases.capture(database, by=alice))
    server().fresh(names(order_of(database)), "next")  # as a restore leaves it that is cut off half-way
    monkeypatch.setattr(transfers, "ROOM_BYTES", 1 << 62)
    settings.POSTGRES_ADDONS_URL = "postgres://slipway:x@127.0.0.1:1/postgres"
    restore = databases.restore(backup, database, by=alice)
    ended(restore, 40)
    assert restore.status == "failed" and restore.notes[-1][1] == transfers.LEFT
    transfers.tidy_left()  # still out of reach
    assert len(Transfer.objects.get(pk=restore.pk).notes) == len(restore.notes)

    settings.POSTGRES_ADDONS_URL = ""
    transfers.tidy_left()
    assert run(database, "SELECT datname FROM pg_database WHERE datname LIKE '%\\_next'") == []
    assert Transfer.objects.get(pk=restore.pk).notes[-1][1] == "What it had begun is removed"


def test_a_copy_is_anonymised_before_anyone_sees_it(database, app, alice):
    review = order(app, alice)
    run(database, "CREATE TABLE people (email text)", "INSERT INTO people VALUES ('ada@example.com')")
    script = "UPDATE people SET email = 'someone@example.com';"
    copy = succeeded(databases.copy(database, review, script=script, by=alice))
    assert run(review, "SELECT email FROM people") == [("someone@example.com",)]
    assert run(database, "SELECT email FROM people") == [("ada@example.com",)]
    assert "The script has run" in [text for _, text in copy.notes]


def test_a_script_that_fails_leaves_the_target_as_it_was(database, app, alice):
    review = order(app, alice)
    run(review, "CREATE TABLE mine (n int)")
    copy = ended(databases.copy(database, review, script="UPDATE nobody SET x = 1", by=alice), 40)
    assert (copy.status, "nobody" in copy.reason) == ("failed", True)
    assert run(review, "SELECT count(*) FROM mine") == [(0,)]
    assert not any(name.endswith("_next") for (name,) in run(review, "SELECT datname FROM pg_database"))


def test_a_platform_that_is_stopped_halfway_finishes_later(database, alice, stage, monkeypatch, settings):
    run(database, "CREATE TABLE t (n int)", "INSERT INTO t SELECT generate_series(1, 1000)")
    backup = succeeded(databases.capture(database, by=alice))
    run(database, "DELETE FROM t")
    settings.FAILPOINTS_ALLOWED = True
    monkeypatch.setenv("FAILPOINTS", "restore.filled=error")
    restore = databases.restore(backup, database, by=alice)
    eventually(lambda: Transfer.objects.get(pk=restore.pk).step == 3, 30)
    stage.stop()
    assert run(database, "SELECT count(*) FROM t") == [(0,)]
    monkeypatch.setenv("FAILPOINTS", "")
    stage.start()
    succeeded(restore)
    assert run(database, "SELECT count(*) FROM t") == [(1000,)]


def test_what_is_cancelled_leaves_nothing(database, alice, stage):
    stage.stop()
    backup = databases.capture(database, by=alice)
    databases.cancel(backup, by=alice)
    stage.start()
    assert ended(backup).status == "cancelled"
    assert not backup_files.path(backup.pk).exists()
    with pytest.raises(Refusal, match="b001 can't be restored"):
        databases.restore(backup, database, by=alice)
    with pytest.raises(Conflict):
        databases.cancel(backup, by=alice)


def test_a_database_leaves_a_last_backup_behind(database, app, alice):
    run(database, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7)")
    actions.destroy(database, confirm=database.name, by=alice)
    eventually(lambda: not Addon.objects.filter(pk=database.pk).exists(), 30)
    assert str(database.pk) not in provider_for("heroku-postgresql").holds()
    kept = Transfer.objects.kept().get()
    assert kept.last and kept.expires_at > timezone.now() + timedelta(days=6)

    other = order(app, alice)
    succeeded(databases.restore(kept, other, by=alice))
    assert run(other, "SELECT n FROM t") == [(7,)]
    Transfer.objects.filter(pk=kept.pk).update(expires_at=timezone.now())
    transfers.prune()
    assert not backup_files.path(kept.pk).exists()


def test_backups_come_every_day_and_only_the_newest_are_kept(database, alice, monkeypatch):
    made = databases.schedule(database, hour=4, zone="Europe/Paris", name="DATABASE_URL", by=alice)
    assert made.next_at > timezone.now()
    monkeypatch.setattr(transfers, "KEPT", 1)
    for _ in range(2):
        Schedule.objects.update(next_at=timezone.now() - timedelta(minutes=1))
        transfers.take_turns()
        for row in Transfer.objects.all():
            succeeded(row)
    transfers.prune()
    assert [str(row) for row in Transfer.objects.kept()] == ["a002"]
    assert Schedule.objects.get().next_at > timezone.now()
    databases.unschedule(database, by=alice)
    assert not Schedule.objects.exists()


def test_an_hour_that_makes_no_sense_is_turned_down(database, alice):
    for hour, zone in ((24, "UTC"), (3, "Middle-earth")):
        with pytest.raises(Refusal):
            databases.schedule(database, hour=hour, zone=zone, name="DATABASE_URL", by=alice)


def test_a_new_password_reaches_the_app_in_one_release(database, app, alice):
    old, before = url(database), app.releases.count()
    databases.rotate(database, [""], by=alice)
    ready(database)
    assert url(database) != old
    assert config_of(app)["DATABASE_URL"] == url(database)
    assert app.releases.count() == before + 1
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(old)


def test_credentials_are_as_many_as_the_plan_says(database, app, alice):
    with pytest.raises(Refusal, match="default credential alone"):
        databases.create_credential(database, "analyst", by=alice)
    large = order(app, alice, "heroku-postgresql:standard-0")
    databases.create_credential(large, "analyst", by=alice)
    large = ready(large)
    with psycopg.connect(url(large, "analyst")) as inside:
        assert inside.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(Refusal, match="lower-case"):
        databases.create_credential(large, "Robert'); DROP", by=alice)
    actions.drop_credential(large, "analyst", by=alice)
    assert "analyst" not in ready(large).config_keys


def test_a_store_is_configured_and_its_password_replaced(app, alice):
    store = order(app, alice, "heroku-redis:mini")
    old = url(store)
    databases.configure_store(store, {"maxmemory_policy": "allkeys-lru"}, by=alice)
    store = ready(store)
    databases.rotate(store, [""], by=alice)
    store = ready(store)
    assert url(store) != old
    facts = dict(provider_for("heroku-redis").facts(order_of(store)))
    assert facts["When memory is full"].startswith("allkeys-lru")
    with pytest.raises(Refusal, match="no maxmemory policy"):
        databases.configure_store(store, {"maxmemory_policy": "forget-all"}, by=alice)
    with pytest.raises(NotFound):
        databases.capture(store, by=alice)
