"""The page of a database or a key-value store."""

import psycopg
import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from addons import backup_files, databases
from addons.models import Addon, Schedule, Transfer
from addons.orders import order_of
from addons.providers import provider_for
from tests.factories import make_addon, make_app
from tests.servers import _servers, servers  # noqa: F401


@pytest.fixture
def app(team):
    return make_app("store", owner=team)


@pytest.fixture
def database(app, servers):  # noqa: F811
    """A database with a server behind it."""
    addon = Addon.objects.whole().get(
        pk=make_addon(app, "heroku-postgresql:essential-0", name="orders-db").pk
    )
    addon.config = {"": dict(provider_for("heroku-postgresql").provision(order_of(addon)).config)}
    addon.save()
    yield addon
    provider_for("heroku-postgresql").deprovision(order_of(addon))


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice)
    return client


HERE = "/apps/store/addons/orders-db/data/"


def test_it_says_how_full_it_is_and_who_is_in(database, as_alice):
    url = databases.url_of(database)
    with psycopg.connect(url) as inside, psycopg.connect(url):
        inside.execute("SELECT 'a statement to find'")
        page = as_alice.get(HERE)
    assertContains(page, "2 of 20")
    assertContains(page, "1 idle, not shown")
    assertContains(page, "a statement to find")
    assertNotContains(page, databases.url_of(database).split(":")[2].split("@")[0])


def test_it_warns_before_connections_run_out(database, as_alice):
    opened = [psycopg.connect(databases.url_of(database)) for _ in range(16)]
    page = as_alice.get(HERE)
    for each in opened:
        each.close()
    assertContains(page, "Connections: 16 of 20")


def test_a_session_is_ended(database, as_alice):
    with psycopg.connect(databases.url_of(database)) as inside:
        pid = inside.info.backend_pid
        answer = as_alice.post(f"{HERE}sessions/{pid}/end/")
        assertRedirects(answer, HERE, status_code=303, fetch_redirect_response=False)
        with pytest.raises(psycopg.OperationalError):
            inside.execute("SELECT 1")


def test_backups_are_captured_restored_by_name_and_deleted(database, as_alice, settings, tmp_path):
    settings.DATA = tmp_path
    as_alice.post(f"{HERE}backups/")
    backup = Transfer.objects.get()
    assertContains(as_alice.get(HERE), "Waiting")
    Transfer.objects.update(status="succeeded", processed_bytes=2048)
    backup_files.path(backup.pk).write_bytes(b"PGDMP")
    assertContains(as_alice.get(HERE), "2.0 kB")
    link = as_alice.post(f"{HERE}backups/{backup.pk}/links/")
    assert link.headers["Location"].startswith(f"/database-backups/{backup.pk}/")

    there = f"{HERE}backups/{backup.pk}/restores/"
    wrong = as_alice.post(there, {"confirm": "orders"})
    assertContains(wrong, "Type orders-db to confirm.", status_code=422)
    as_alice.post(there, {"confirm": "orders-db"})
    assert Transfer.objects.filter(kind="restore", backup=backup).exists()
    as_alice.post(f"{HERE}backups/{backup.pk}/removal/")
    assert not Transfer.objects.kept().exists()


def test_a_copy_asks_for_the_name_and_keeps_what_was_typed(database, app, as_alice):
    source = make_addon(app, "heroku-postgresql:essential-0", as_="OTHER")
    fields = {"source": str(source.pk), "script": "UPDATE people SET email = ''", "confirm": ""}
    refused = as_alice.post(f"{HERE}copies/", fields)
    assertContains(refused, "UPDATE people SET email", status_code=422)
    as_alice.post(f"{HERE}copies/", {**fields, "confirm": "orders-db"})
    made = Transfer.objects.get()
    assert (made.source_id, made.target_id, made.script) == (source.pk, database.pk, fields["script"])


def test_backups_are_scheduled_and_stopped(database, as_alice):
    as_alice.post(f"{HERE}schedule/", {"hour": "4", "zone": "Europe/Paris"})
    assert str(Schedule.objects.get()) == "04:00 Europe/Paris"
    wrong = as_alice.post(f"{HERE}schedule/", {"hour": "4", "zone": "Atlantis"})
    assertContains(wrong, "A name like Europe/Paris or UTC.", status_code=422)
    assertContains(wrong, 'value="Atlantis"', status_code=422)
    as_alice.post(f"{HERE}schedule/removal/")
    assert not Schedule.objects.exists()


def test_a_new_password_is_asked_for(database, as_alice):
    as_alice.post(f"{HERE}passwords/", {"credential": "default"})
    database.refresh_from_db()
    assert database.tasks == [["credential", ""]]


def test_a_server_that_is_away_is_said(app, as_alice, settings):
    settings.POSTGRES_ADDONS_URL = "postgres://u:secret-word@127.0.0.1:1/postgres"
    addon = make_addon(app, "heroku-postgresql:essential-0", name="orders-db")
    addon.config = {"": {"URL": "postgres://u:secret-word@127.0.0.1:1/d"}}
    addon.save()
    page = as_alice.get(HERE)
    assertContains(page, "127.0.0.1:1")
    assertNotContains(page, "secret-word")


def test_a_store_is_configured(app, as_alice):
    store = make_addon(app, "heroku-redis:mini", name="orders-db", as_="REDIS")
    assertContains(as_alice.get(HERE), "When its memory is full")
    as_alice.post(f"{HERE}settings/", {"policy": "allkeys-lru", "timeout": "60"})
    store.refresh_from_db()
    assert store.options == {"maxmemory_policy": "allkeys-lru", "timeout": "60"}


def test_what_has_no_content_has_no_such_page(app, as_alice):
    make_addon(app, "memcachier:dev", name="orders-db", as_="CACHE")
    assert as_alice.get(HERE).status_code == 404


def test_a_viewer_sees_how_it_is_and_can_do_nothing(database, client, vera):
    client.force_login(vera)
    page = client.get(HERE)
    assertContains(page, "0 of 20")
    assertNotContains(page, "Capture backup")
    assert client.post(f"{HERE}backups/").status_code == 403


def test_it_asks_the_platforms_database_little(database, as_alice, django_assert_max_num_queries):
    for _ in range(3):
        row = databases.capture(database, by=None)
        Transfer.objects.filter(pk=row.pk).update(status="failed")
    with django_assert_max_num_queries(14):
        as_alice.get(HERE)
