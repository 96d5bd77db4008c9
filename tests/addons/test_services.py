"""Servers of add-ons as services of a real Docker engine: who reaches them, what outlives what, and what is left."""

import json
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from addons.providers import Order, provider_for
from addons.providers.passwords import ROTATED
from addons.providers.postgresql import names
from conductor.audit_addons import held
from core.errors import EngineError
from engine.drivers.swarm import network
from engine.drivers.swarm.client import Client
from engine.servers.swarm import body, keeper
from tests.addons.test_memcached import NOT_SIGNED_IN
from tests.addons.test_memcached import Client as Memcache
from tests.databases import lives, services  # noqa: F401
from tests.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def order(service, **changes):
    base = Order(
        id=str(uuid.uuid4()), name="curly-12345", service=service, plan="mini",
        limits={"connections": 5, "memory_mb": 25}, secret=uuid.uuid4().hex,
    )  # fmt: skip
    return replace(base, **changes)


class Killed(BaseException):
    """As if the process ended here."""


def die():
    raise Killed


@pytest.fixture
def ordered(services):  # noqa: F811
    """Provider and order of a service; what was made of it goes in the end."""
    made = []

    def one(service):
        made.append((provider_for(service), order(service)))
        return made[-1]

    yield one
    for provider, wanted in made:
        provider.deprovision(wanted)


def run(url, *statements):
    with psycopg.connect(url, autocommit=True) as inside:
        for statement in statements:
            cursor = inside.execute(statement)
        return cursor.fetchall() if cursor.description else None


def shown(lives, kind):  # noqa: F811
    """All that the engine tells of a service, its tasks and their containers, to whoever may ask."""
    service = lives.service(kind)
    tasks = service.tasks()
    ids = [task["Status"].get("ContainerStatus", {}).get("ContainerID") for task in tasks]
    api = lives.engine.client.api
    found = [service.attrs, tasks, *(api.inspect_container(id) for id in ids if id)]
    running = [api.inspect_container(id)["State"]["Pid"] for id in ids if id]
    found += [
        Path(f"/proc/{pid}/cmdline").read_text() for pid in running if pid and Path(f"/proc/{pid}").exists()
    ]
    return json.dumps(found)


# --- PostgreSQL ---------------------------------------------------------------------------------------------------------


def test_databases_are_on_one_service_which_outlives_the_platform_and_its_containers(lives, ordered):  # noqa: F811
    provider, wanted = ordered("heroku-postgresql")
    url = provider.provision(wanted).config["URL"]
    run(url, "CREATE TABLE t AS SELECT 7 AS n", "CREATE EXTENSION pgcrypto")
    with psycopg.connect(f"{url}?sslmode=require") as inside:
        assert inside.pgconn.ssl_in_use, "the CLI insists on it"
    assert provider.provision(wanted).config["URL"] == url
    other, second = ordered("heroku-postgresql")
    theirs = other.provision(second).config["URL"]
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        run(f"{url.rpartition('/')[0]}/{names(second).database}", "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        run(theirs.replace(theirs.split(":")[2].split("@")[0], "wrong"), "SELECT 1")
    assert {wanted.id, second.id} <= provider.holds()
    (task,) = [each for each in lives.service("postgresql").tasks() if each["Status"]["State"] == "running"]
    lives.engine.client.containers.get(task["Status"]["ContainerStatus"]["ContainerID"]).kill()
    eventually(lambda: rows(url) == [(7,)], 60)
    facts = dict(provider.facts(wanted))
    assert facts["Tables"] == "1" and facts["Connections"] == "0 of 5"


def rows(url):
    try:
        return run(url, "SELECT n FROM t")
    except psycopg.OperationalError:
        return None


def test_the_cluster_comes_back_with_its_data_after_all_but_its_volume_is_lost(lives, ordered, services):  # noqa: F811
    provider, wanted = ordered("heroku-postgresql")
    url = provider.provision(wanted).config["URL"]
    run(url, "CREATE TABLE t AS SELECT 7 AS n")
    lives.service("postgresql").remove()
    admin = lives.root / "swarm" / "postgresql.admin"
    former = admin.read_text()
    admin.unlink()  # the administrator's password as well
    eventually(lambda: rows(url) is None, 60)
    lives.next().postgres.ensure()
    assert admin.read_text() != former
    assert rows(url) == [(7,)]
    assert wanted.id in provider.holds()


def test_the_password_is_neither_shown_nor_an_argument_and_the_user_has_no_rights(lives, ordered, services):  # noqa: F811
    provider, wanted = ordered("heroku-postgresql")
    provider.provision(wanted)
    told = shown(lives, "postgresql")
    assert (lives.root / "swarm" / "postgresql.admin").read_text() not in told
    spec = lives.service("postgresql").attrs["Spec"]["TaskTemplate"]
    assert spec["ContainerSpec"]["User"] == f"{body.UID}:{body.UID}"
    assert spec["ContainerSpec"]["CapabilityDrop"] == ["ALL"] or "CapabilityAdd" not in spec["ContainerSpec"]
    assert spec["ContainerSpec"]["ReadOnly"]
    assert spec["RestartPolicy"]["Condition"] == "any"


def test_what_takes_too_much_memory_ends_and_the_databases_come_back(lives, ordered, services):  # noqa: F811
    provider, wanted = ordered("heroku-postgresql")
    url = provider.provision(wanted).config["URL"]
    run(url, "CREATE TABLE t AS SELECT 7 AS n")
    limited = lives.next(memory=300 * body.MB)
    limited.postgres.see_to()  # as the first look of a platform that begins with another setting
    limits = lives.service("postgresql").attrs["Spec"]["TaskTemplate"]["Resources"]["Limits"]
    assert limits == {"MemoryBytes": 300 * body.MB, "Pids": 1000}
    eventually(lambda: rows(url) == [(7,)], 60)
    assert run(url, "SHOW shared_buffers") == [("75MB",)]
    greedy = "SELECT count(*) FROM (SELECT DISTINCT n, repeat('x', 100) FROM generate_series(1, 6000000) n) s"
    with pytest.raises(psycopg.OperationalError):
        run(url, "SET work_mem = '2GB'", greedy)
    eventually(lambda: rows(url) == [(7,)], 60)
    provider.change_plan(wanted, "standard-0", {"connections": 9})
    limit = "SELECT datconnlimit FROM pg_database WHERE datname = current_database()"
    assert run(url, limit) == [(9,)], "which a plan is about"


# --- Valkey -------------------------------------------------------------------------------------------------------------


def test_a_store_keeps_what_is_in_it_whatever_is_changed_and_nothing_is_left_of_it(lives, ordered):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    url = provider.provision(wanted).config["URL"]
    with redis.Redis.from_url(url) as client:
        client.set("a", "1")
    assert provider.provision(wanted).config["URL"] == url
    assert provider.change_plan(wanted, "premium-0", {"memory_mb": 50, "connections": 9}).config["URL"] == url
    larger = replace(wanted, limits={"memory_mb": 50, "connections": 9})
    facts = dict(provider.facts(larger))
    assert facts["Memory"].endswith("of 50 MB") and facts["Clients"] == "0 of 9" and facts["Keys"] == "1"
    rotated = replace(larger, options={ROTATED: "1", "maxmemory_policy": "allkeys-lru"})
    new = provider.credential(rotated, "").config["URL"]
    with redis.Redis.from_url(new) as client:
        assert client.get("a") == b"1"
        with pytest.raises(redis.ResponseError, match=r"unknown command|permission"):
            client.config_get("maxmemory-policy")
    with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(url) as client:
        client.get("a")
    for secret in (url, new):
        assert secret.split(":")[2].split("@")[0] not in shown(lives, "valkey")
    assert len(lives.engine.client.secrets.list(filters={"label": f"slipway.server=valkey/{wanted.id}"})) == 1
    limits = lives.service("valkey").attrs["Spec"]["TaskTemplate"]["Resources"]["Limits"]
    assert limits == {"NanoCPUs": body.NANO, "MemoryBytes": (2 * 50 + 64) * body.MB, "Pids": 100}
    assert wanted.id in provider.holds()
    provider.deprovision(wanted)
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()
    mark = {"label": f"slipway.server=valkey/{wanted.id}"}
    client = lives.engine.client
    assert [*client.volumes.list(filters=mark), *client.secrets.list(filters=mark)] == []
    assert list((lives.root / "swarm" / "valkey").glob(f"{wanted.id}*")) == []


def test_dynos_reach_a_store_and_need_its_password(lives, ordered):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    url = provider.provision(wanted).config["URL"]
    network.make(Client(lives.engine.url), lives.instance, "127.0.0.1")
    assert "PONG" in ask_from_a_dyno(lives, url)
    assert "NOAUTH" in ask_from_a_dyno(lives, f"redis://{url.rpartition('@')[2]}")


def ask_from_a_dyno(lives, url):  # noqa: F811
    """What the command-line client says in a container as dynos are."""
    parts = urlsplit(url)
    return lives.engine.client.containers.run(
        lives.engine.stack,
        ["redis-cli", "-h", str(parts.hostname), "-p", str(parts.port), "ping"],
        environment={"REDISCLI_AUTH": parts.password} if parts.password else {},
        network=network.name(lives.instance),
        remove=True,
        stderr=True,
    ).decode()


def test_what_was_removed_by_hand_is_made_again_with_its_data(lives, ordered, services):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    url = provider.provision(wanted).config["URL"]
    with redis.Redis.from_url(url) as client:
        client.set("a", "1")
    lives.service("valkey").remove()
    following = lives.next()
    following.start()

    def is_back():
        try:
            with redis.Redis.from_url(url) as client:
                return following.keeper.runs("valkey", wanted.id) and client.get("a") == b"1"
        except redis.RedisError:
            return False

    eventually(is_back, 90)
    following.stop()
    assert {"name": "valkey service", "state": "service"}.items() <= following.processes()[-1].items()


def test_a_newer_image_is_seen_and_runs_from_its_maintenance_on(lives, ordered, services):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    url = provider.provision(wanted).config["URL"]
    with redis.Redis.from_url(url) as client:
        client.set("a", "1")
    services.keeper.look()
    assert not provider.outdated(wanted.id)
    newer = lives.engine.client.containers.create(lives.images["valkey"], ["true"])
    reference = f"slipway/{lives.instance}/newer:1"
    newer.commit(*reference.rsplit(":", 1), message="newer")
    newer.remove()
    services.keeper.images = services.keeper.images | {"valkey": reference}
    services.keeper.look()
    assert provider.outdated(wanted.id)
    provider.provision(wanted)
    assert provider.outdated(wanted.id), "only its maintenance starts it again"
    provider.renew(wanted)
    assert not provider.outdated(wanted.id)
    with redis.Redis.from_url(url) as client:
        assert client.get("a") == b"1"


# --- memcached ----------------------------------------------------------------------------------------------------------


def test_a_cache_asks_for_its_password_and_has_no_volume(lives, ordered):  # noqa: F811
    provider, wanted = ordered("memcachier")
    wanted = replace(wanted, limits={"memory_mb": 25})
    config = provider.provision(wanted).config
    with Memcache(config) as mine:
        assert mine.set(b"a", b"1") == 0
        assert mine.get(b"a") == (0, b"1")
    with Memcache(config, sign_in=False) as stranger:
        assert stranger.get(b"a")[0] == NOT_SIGNED_IN
    assert dict(provider.facts(wanted))["Entries"] == "1"
    assert config["PASSWORD"] not in shown(lives, "memcached")
    new = provider.credential(replace(wanted, options={ROTATED: "1"}), "").config
    with Memcache(new) as mine, Memcache(config) as former:
        assert mine.get(b"a")[0] == 1
        assert former.signed_in[0] == NOT_SIGNED_IN
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()


# --- trouble ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["have_secret", "create_service", "tasks_of"])
def test_whoever_is_killed_half_way_leaves_what_the_next_finds(lives, ordered, services, step, monkeypatch):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    engine = services.keeper._engine()
    with monkeypatch.context() as patched:
        patched.setattr(engine, step, lambda *_, **__: die())
        with pytest.raises(Killed):
            provider.provision(wanted)
    assert wanted.id in provider.holds(), "the audit would see it"
    with redis.Redis.from_url(provider.provision(wanted).config["URL"]) as client:
        assert client.ping()
    with monkeypatch.context() as patched:
        patched.setattr(engine, "remove_volume", lambda *_: die())
        with pytest.raises(Killed):
            provider.deprovision(wanted)
    assert wanted.id in provider.holds()
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()


def test_the_auditor_finds_a_volume_that_nobody_ordered(lives, ordered, db):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    provider.provision(wanted)
    lives.service("valkey").remove()
    for path in (lives.root / "swarm" / "valkey").glob(f"{wanted.id}.*"):
        path.unlink()
    assert f"heroku-redis {wanted.id}" in [each.object for each in held()]


def test_an_image_that_cannot_be_had_makes_it_unavailable_until_it_can(lives, ordered, services, monkeypatch):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    assert provider.why_not() == ""
    monkeypatch.setattr(services.keeper, "images", {"valkey": "127.0.0.1:9/no/such:1"})
    with pytest.raises(EngineError, match=r"^The image 127.0.0.1:9/no/such:1 can't be had: ") as told:
        eventually(lambda: provider.provision(wanted), 60)
    assert provider.why_not() == str(told.value)
    assert not services.keeper.look()
    assert provider.why_not().endswith("name another (docs/addons.md).")
    monkeypatch.undo()
    services.keeper.look()
    assert services.why_not("valkey") == ""


def test_a_registry_that_hangs_is_told_of(services, monkeypatch):  # noqa: F811
    provider, hanging = provider_for("heroku-redis"), threading.Event()
    engine = services.keeper._engine()
    monkeypatch.setattr(engine, "has_image", lambda _: False)
    monkeypatch.setattr(engine, "image", lambda _: hanging.wait(60))
    assert provider.provision(order("heroku-redis")) is None
    monkeypatch.setattr(keeper, "FETCH_SECONDS", 0)
    with pytest.raises(EngineError, match="can't be had: it has been fetched for 0 minutes"):
        provider.provision(order("heroku-redis"))
    hanging.set()


def test_an_image_without_the_program_is_told_by_its_own_words(lives, ordered, services, monkeypatch):  # noqa: F811
    provider, wanted = ordered("heroku-redis")
    monkeypatch.setattr(services.keeper, "images", {"valkey": lives.engine.stack})
    with pytest.raises(
        EngineError, match="does not start: This image has neither valkey-server nor redis-server"
    ):
        provider.provision(wanted)
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()
