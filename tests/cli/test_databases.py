"""Databases from the command line: the stock CLI's pg:* and redis:*, against real servers."""

import re

import pytest


@pytest.fixture(scope="module")
def database(heroku, app):
    """The app has a database, with a table."""
    heroku("addons:create", "heroku-postgresql:essential-0", "-a", app, "--wait")
    heroku("pg:wait", "-a", app)
    sql(heroku, app, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    return heroku("config:get", "DATABASE_URL", "-a", app).strip()


@pytest.fixture(scope="module")
def app(heroku):
    heroku("apps:create", "data-shop", "--no-remote")
    return "data-shop"


def sql(heroku, app, text, database="DATABASE"):
    return heroku("pg:psql", database, "-a", app, "-c", text)


def test_it_tells_of_itself_and_answers_questions(heroku, app, database):
    told = heroku("pg:info", "-a", app)
    assert re.search(r"DATABASE_URL", told)
    assert re.search(r"Connections:\s+\d+/20", told)
    assert "1000" in sql(heroku, app, "SELECT count(*) FROM t")
    assert "public" in heroku("pg:table-size", "-a", app) or "t " in heroku("pg:table-size", "-a", app)
    assert "Connection Count" in heroku("pg:diagnose", "-a", app)


def test_a_backup_is_captured_fetched_and_restored(heroku, app, database):
    heroku("pg:backups:capture", "-a", app)
    assert re.search(r"b001.*Completed", heroku("pg:backups", "-a", app))
    heroku("pg:backups:download", "b001", "-a", app, "-o", "latest.dump")
    assert (heroku.folder / "latest.dump").read_bytes().startswith(b"PGDMP")
    sql(heroku, app, "DROP TABLE t")
    heroku("pg:backups:restore", "b001", "DATABASE_URL", "-a", app, "--confirm", app)
    assert "1000" in sql(heroku, app, "SELECT count(*) FROM t")
    assert "r002" in heroku("pg:backups", "-a", app)


def test_backups_are_scheduled(heroku, app, database):
    heroku("pg:backups:schedule", "DATABASE_URL", "--at", "02:00 Europe/Paris", "-a", app)
    assert re.search(r"DATABASE_URL.*2:00.*Europe/Paris", heroku("pg:backups:schedules", "-a", app))
    heroku("pg:backups:unschedule", "DATABASE_URL", "-a", app)


def test_a_second_database_is_copied_to_and_promoted(heroku, app, database):
    made = heroku("addons:create", "heroku-postgresql:essential-0", "-a", app, "--wait")
    second = re.search(r"HEROKU_POSTGRESQL_[A-Z]+", made)[0]
    heroku("pg:copy", "DATABASE_URL", second, "-a", app, "--confirm", second.rpartition("_")[2])
    assert "1000" in sql(heroku, app, "SELECT count(*) FROM t", second)
    heroku("pg:promote", second, "-a", app)
    assert heroku("config:get", "DATABASE_URL", "-a", app).strip() != database


def test_everybody_is_hung_up_on_and_everything_deleted(heroku, app, database):
    heroku("pg:killall", "-a", app)
    heroku("pg:reset", "DATABASE_URL", "-a", app, "--confirm", app)
    assert "gone" in sql(heroku, app, "SELECT coalesce(to_regclass('t')::text, 'gone')")


def test_a_password_is_told_and_replaced(heroku, app, database):
    before = heroku("pg:credentials:url", "DATABASE", "-a", app)
    assert "postgres://" in before
    heroku("pg:credentials:rotate", "DATABASE", "-a", app, "--confirm", app)
    heroku("pg:wait", "-a", app)
    after = heroku("pg:credentials:url", "DATABASE", "-a", app)
    assert after != before


def test_a_store_is_looked_at_and_configured(heroku, app):
    heroku("addons:create", "heroku-redis:mini", "-a", app, "--wait")
    assert "noeviction" in heroku("redis:info", "-a", app)
    heroku("redis:wait", "-a", app)
    assert "set to allkeys-lru" in heroku("redis:maxmemory", "-p", "allkeys-lru", "-a", app)
    heroku("redis:wait", "-a", app)
    assert "60 seconds" in heroku("redis:timeout", "-s", "60", "-a", app)
    assert "redis://" in heroku("redis:credentials", "-a", app)
    answer = heroku("redis:cli", "-a", app, "--confirm", app, input="PING\n")
    assert "PONG" in answer


def test_a_maintenance_window_is_chosen_and_seen(heroku):
    heroku("apps:create", "upkeep-shop", "--no-remote")
    made = heroku("addons:create", "heroku-redis:mini", "-a", "upkeep-shop", "--wait")
    name = re.search(r"redis-[a-z]+-\d+", made)[0]
    told = heroku("data:maintenances:window:update", name, "monday", "1:30PM")
    assert "Sunday 03:00 to 07:00 UTC" in told and "Monday 13:30 to 17:30 UTC" in told
    listed = heroku("data:maintenances", "-a", "upkeep-shop", "--json")
    assert '"Monday 13:30 to 17:30 UTC"' in listed and '"status": "none"' in listed
