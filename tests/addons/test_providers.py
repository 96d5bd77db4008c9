"""Providers against real servers: what is made, who gets in, what is left."""

import contextlib
import uuid
from dataclasses import replace

import psycopg
import pytest
import redis

from addons.providers import Order, embedded, provider_for
from addons.providers.passwords import ROTATED
from addons.providers.postgresql import Postgresql, names
from core.errors import EngineError
from tests.servers import _servers, servers  # noqa: F401

pytestmark = pytest.mark.usefixtures("servers")


def order(service="heroku-postgresql", **changes):
    base = Order(
        id=str(uuid.uuid4()),
        name="postgresql-curly-12345",
        service=service,
        plan="essential-0",
        limits={"connections": 5, "memory_mb": 25},
        secret=uuid.uuid4().hex,
    )
    return replace(base, **changes)


@pytest.fixture
def postgresql():
    """A provider, and an order that is filled and then cancelled."""
    provider, wanted = provider_for("heroku-postgresql"), order()
    yield provider, wanted
    provider.deprovision(wanted)


def run(url, *statements):
    with psycopg.connect(url, autocommit=True) as inside:
        for statement in statements:
            cursor = inside.execute(statement)
        return cursor.fetchall() if cursor.description else None


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_a_database_is_made_once_however_often_it_is_asked_for(postgresql):
    provider, wanted = postgresql
    first = provider.provision(wanted).config["URL"]
    run(first, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    assert provider.provision(wanted).config["URL"] == first
    assert run(first, "SELECT n FROM t") == [(1,)]
    assert wanted.id in provider.holds()


def test_who_asks_for_another_version_is_told_which_one_it_is(postgresql):
    provider, wanted = postgresql
    made = provider.provision(replace(wanted, options={"version": "9.6"}))
    found = run(made.config["URL"], "SHOW server_version")[0][0].partition(".")[0]
    assert made.message == (
        f"The database is ready. It is of PostgreSQL {found}, the only version there is here, not 9.6."
    )
    again = provider.provision(replace(wanted, options={"version": found}))
    assert again.message == "The database is ready."


def test_no_database_is_begun_that_would_stop_the_others_on_a_full_disk(postgresql, monkeypatch):
    provider, wanted = postgresql
    monkeypatch.setattr(embedded, "ROOM_BYTES", 1 << 62)
    with pytest.raises(
        EngineError, match=r"^The disk of this Slipway has [0-9]+ MB free, too little for another database"
    ):
        provider.provision(wanted)
    assert wanted.id not in provider.holds()


def test_nobody_enters_without_the_password_nor_another_database(postgresql):
    provider, wanted = postgresql
    other = order()
    mine, theirs = provider.provision(wanted).config["URL"], provider.provision(other).config["URL"]
    try:
        elsewhere = mine.rpartition("/")[0]
        for database in (names(other).database, "postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                run(f"{elsewhere}/{database}", "SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            run(theirs.replace(theirs.split(":")[2].split("@")[0], "wrong"), "SELECT 1")
    finally:
        provider.deprovision(other)


def test_a_user_may_neither_make_databases_nor_read_the_machines_files(postgresql):
    provider, wanted = postgresql
    url = provider.provision(wanted).config["URL"]
    for statement in ("CREATE DATABASE x", "CREATE ROLE x", "SELECT pg_read_file('/etc/passwd')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(url, statement)


def test_the_plan_limits_the_connections(postgresql):
    provider, wanted = postgresql
    url = provider.provision(wanted).config["URL"]
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(psycopg.connect(url))
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            psycopg.connect(url)
        provider.change_plan(wanted, "essential-2", {"connections": 8})
        stack.enter_context(psycopg.connect(url))
    assert ("Connections", "0 of 5") in provider.facts(wanted)


def test_a_rotated_password_replaces_the_old_one_and_finds_all_tables(postgresql):
    provider, wanted = postgresql
    old = provider.provision(wanted).config["URL"]
    run(old, "CREATE TABLE t (n int)")
    new = provider.credential(replace(wanted, options={ROTATED: "1"}), "").config["URL"]
    assert run(new, "SELECT count(*) FROM t") == [(0,)]
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        run(old, "SELECT 1")


def test_a_named_credential_may_do_what_it_is_granted(postgresql):
    provider, wanted = postgresql
    url = provider.provision(wanted).config["URL"]
    run(url, "CREATE TABLE t (n int)")
    analyst = provider.credential(wanted, "analyst").config["URL"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(analyst, "SELECT * FROM t")
    run(url, f"GRANT SELECT ON t TO {names(wanted).user('analyst')}")
    assert run(analyst, "SELECT * FROM t") == []
    provider.drop_credential(wanted, "analyst")
    provider.drop_credential(wanted, "analyst")
    with pytest.raises(psycopg.OperationalError):
        run(analyst, "SELECT 1")


def test_nothing_is_left_of_a_database_even_with_someone_in_it(servers):  # noqa: F811
    provider, wanted = provider_for("heroku-postgresql"), order()
    url = provider.provision(wanted).config["URL"]
    provider.credential(wanted, "analyst")
    with psycopg.connect(url):
        provider.deprovision(wanted)
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()
    assert (
        run(servers.postgres.url, f"SELECT rolname FROM pg_roles WHERE rolname ~ '{names(wanted).id}'") == []
    )


def test_no_statement_that_is_seen_holds_the_password(postgresql, servers):  # noqa: F811
    provider, wanted = postgresql
    url = provider.provision(wanted).config["URL"]
    secret = url.split(":")[2].split("@")[0]
    seen = run(servers.postgres.url, "SELECT coalesce(string_agg(query, ' '), '') FROM pg_stat_activity")
    assert secret not in seen[0][0]
    assert secret not in repr(wanted) + repr(provider.provision(wanted))


# --- a server of the operator's --------------------------------------------------------------------------------------


@pytest.fixture
def operators_server(servers, settings):  # noqa: F811
    """The same cluster, as a user who may make databases and roles and no more."""
    admin = servers.postgres.ensure()
    run(
        admin,
        "CREATE ROLE maker LOGIN CREATEDB CREATEROLE PASSWORD 'by-hand'",
        "GRANT CONNECT ON DATABASE postgres TO maker",
    )
    settings.POSTGRES_ADDONS_URL = f"postgres://maker:by-hand@{admin.rpartition('@')[2]}"
    yield settings.POSTGRES_ADDONS_URL
    run(admin, "REVOKE ALL ON DATABASE postgres FROM maker", "DROP ROLE maker")


def test_a_user_with_two_rights_is_enough_on_the_operators_server(operators_server):
    provider, wanted = Postgresql(), order()
    assert provider.why_not() == ""
    url = provider.provision(wanted).config["URL"]
    assert run(url, "CREATE TABLE t (n int)", "SELECT 1") == [(1,)]
    provider.credential(wanted, "analyst")
    with psycopg.connect(url):
        provider.deprovision(wanted)
    assert wanted.id not in provider.holds()


def test_wrong_credentials_are_told_without_the_password(operators_server, settings):
    settings.POSTGRES_ADDONS_URL = operators_server.replace("by-hand", "sesame-street")
    provider = Postgresql()
    assert "password authentication failed" in provider.why_not()
    with pytest.raises(EngineError) as fault:
        provider.provision(order())
    assert fault.value.permanent
    assert "sesame" not in str(fault.value) + provider.why_not()


def test_an_absent_server_is_tried_again(settings):
    settings.POSTGRES_ADDONS_URL = "postgres://maker:by-hand@127.0.0.1:1/postgres"
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1") as fault:
        Postgresql().provision(order())
    assert not fault.value.permanent


def test_where_dynos_run_in_containers_it_is_told_what_the_conductor_noted(settings, monkeypatch, tmp_path):
    monkeypatch.undo()  # the servers are those of the settings
    settings.ENGINE_URL, settings.DATA = "swarm+unix:///nowhere", tmp_path
    why = "The image postgres:16 can't be had: no route to host."
    noted = tmp_path / "servers" / "swarm" / "postgresql.why"
    noted.parent.mkdir(parents=True)
    noted.write_text(why)
    embedded._servers.cache_clear()
    try:
        assert Postgresql().why_not() == why
        assert [provider_for(name).why_not() for name in ("heroku-redis", "memcachier")] == ["", ""]
        settings.ENGINE_URL = "local:"
        assert Postgresql().why_not() == ""
    finally:
        embedded._servers.cache_clear()


# --- Valkey ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store():
    provider, wanted = provider_for("heroku-redis"), order("heroku-redis")
    yield provider, wanted
    provider.deprovision(wanted)


def client(provided):
    return redis.Redis.from_url(provided.config["URL"], decode_responses=True)


def test_a_store_keeps_what_it_is_given_through_a_change_of_plan(store):
    provider, wanted = store
    with client(provider.provision(wanted)) as mine:
        mine.set("a", "1")
        provider.change_plan(wanted, "premium-1", {"memory_mb": 100})
        assert mine.get("a") == "1"
        assert mine.info("memory")["maxmemory"] == 100 * 1024 * 1024


def test_an_app_has_no_say_in_its_stores_limits(store):
    provider, wanted = store
    with client(provider.provision(wanted)) as mine:
        for command in (["CONFIG", "SET", "maxmemory", "0"], ["SHUTDOWN"], ["ACL", "LIST"], ["SAVE"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                mine.execute_command(*command)
        elsewhere = ["127.0.0.1", "1"]  # what listens there is nobody's to reach by way of a store
        for command in (["MIGRATE", *elsewhere, "a", "0", "1"], ["REPLICAOF", *elsewhere]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                mine.execute_command(*command)
        assert mine.flushall()
        assert mine.keys() == []


def test_a_full_store_says_so_or_forgets_as_its_policy_says(store):
    provider, wanted = store
    wanted = replace(wanted, limits={"memory_mb": 3})
    with client(provider.provision(wanted)) as mine:
        with pytest.raises(redis.exceptions.ResponseError, match="maxmemory"):
            for number in range(40):
                mine.set(str(number), "x" * 100_000)
        provider.credential(replace(wanted, options={"maxmemory_policy": "allkeys-lru"}), "")
        assert mine.set("one more", "x" * 100_000)


def test_a_stores_password_is_replaced(store):
    provider, wanted = store
    old, new = provider.provision(wanted), provider.credential(replace(wanted, options={ROTATED: "1"}), "")
    with client(new) as mine:
        assert mine.ping()
    with client(old) as former, pytest.raises(redis.exceptions.AuthenticationError):
        former.ping()


def test_options_that_make_no_sense_are_turned_down(store):
    provider, wanted = store
    for options in ({"maxmemory_policy": "x\nuser y on"}, {"timeout": "-1"}, {"notify_keyspace_events": '"'}):
        with pytest.raises(EngineError) as fault:
            provider.provision(replace(wanted, options=options))
        assert fault.value.permanent


def test_nothing_is_left_of_a_store(store, servers):  # noqa: F811
    provider, wanted = store
    provider.provision(wanted)
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()
    assert [each.seen() for each in servers.valkeys.supervisors()] == []
