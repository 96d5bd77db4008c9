"""The memcached behind an add-on, spoken to by a client of this file's own, in the binary protocol with SASL."""

import contextlib
import os
import signal
import socket
import struct
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django.asserts import assertContains

from addons import actions, catalog
from addons.models import Addon
from addons.providers import Order, provider_for
from addons.providers.passwords import ROTATED
from apps.models import ConfigVar
from conductor import addons as job
from conductor.audit_addons import held
from conductor.work import Held, Kind, run
from core.errors import EngineError
from engine.servers import Servers, programs
from tests.factories import make_addon, make_app
from tests.servers import PORTS, _servers, servers  # noqa: F401
from tests.waiting import eventually

GET, SET, STATS, AUTH = 0x00, 0x01, 0x10, 0x21
NOT_FOUND, NOT_SIGNED_IN = 0x01, 0x20


@pytest.fixture(autouse=True)
def _program():
    if programs.memcached() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "memcached with SASL is not installed: apt-get install memcached sasl2-bin libsasl2-modules"
        )


@pytest.fixture
def cache(servers):  # noqa: F811
    provider = provider_for("memcachier")
    wanted = Order(
        id=str(uuid.uuid4()), name="memcachier-curly-12345", service="memcachier", plan="dev",
        limits={"memory_mb": 25}, secret=uuid.uuid4().hex,
    )  # fmt: skip
    yield provider, wanted
    provider.deprovision(wanted)


class Client:
    """As apps have one: signs in with what their config vars say."""

    def __init__(self, config, *, sign_in=True):
        host, _, port = config["SERVERS"].partition(":")
        self._line = socket.create_connection((host, int(port)), timeout=20)
        self.signed_in = sign_in and self.ask(
            AUTH, b"PLAIN", f"\0{config['USERNAME']}\0{config['PASSWORD']}".encode()
        )

    def ask(self, opcode, key=b"", value=b"", extras=b""):
        """Status and value of the answer."""
        body = extras + key + value
        self._line.sendall(
            struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, len(body), 0, 0) + body
        )
        _, _, key_size, extra_size, _, status, size, _, _ = struct.unpack(">BBHBBHIIQ", self._take(24))
        return status, self._take(size)[extra_size + key_size :]

    def set(self, key, value):
        return self.ask(SET, key, value, struct.pack(">II", 0, 0))[0]

    def get(self, key):
        return self.ask(GET, key)

    def close(self):
        self._line.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _take(self, size):
        found = b""
        while len(found) < size:
            more = self._line.recv(size - len(found))
            if not more:
                raise ConnectionError("hung up on")
            found += more
        return found


def test_an_app_stores_and_finds_what_it_stored(cache):
    provider, wanted = cache
    with Client(provider.provision(wanted).config) as mine:
        assert mine.set(b"a", b"1") == 0
        assert mine.get(b"a") == (0, b"1")
        assert mine.get(b"b")[0] == NOT_FOUND
    with Client(provider.provision(wanted).config) as again:
        assert again.get(b"a") == (0, b"1")
    facts = dict(provider.facts(wanted))
    assert facts["Entries"] == "1"
    assert facts["Memory"].endswith("of 25 MB")
    assert facts["Found"] == "67% of 3 asked for"


def test_nobody_gets_in_without_the_password_nor_by_the_text_protocol(cache):
    provider, wanted = cache
    config = provider.provision(wanted).config
    with Client(config) as mine:
        mine.set(b"a", b"1")
    with Client(config, sign_in=False) as stranger:
        assert stranger.get(b"a")[0] == NOT_SIGNED_IN
    other = replace(wanted, id=str(uuid.uuid4()), secret=uuid.uuid4().hex)
    try:
        neighbour = provider.provision(other).config
        with Client(config | {k: neighbour[k] for k in ("USERNAME", "PASSWORD")}) as guest:
            assert guest.signed_in[0] == NOT_SIGNED_IN
            assert guest.get(b"a")[0] == NOT_SIGNED_IN
    finally:
        provider.deprovision(other)
    host, _, port = config["SERVERS"].partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        plain.sendall(b"get a\r\n" * 10)
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(100) == b""


def test_a_new_password_replaces_the_old_one_and_the_cache_stays(cache):
    provider, wanted = cache
    old = provider.provision(wanted).config
    with Client(old) as mine:
        mine.set(b"a", b"1")
    new = provider.credential(replace(wanted, options={ROTATED: "1"}), "").config
    with Client(new) as mine, Client(old) as former:
        assert mine.get(b"a") == (0, b"1")
        assert former.signed_in[0] == NOT_SIGNED_IN


def test_another_plan_has_another_size_at_the_same_address(cache):
    provider, wanted = cache
    before = provider.provision(wanted).config
    assert provider.change_plan(wanted, "100", {"memory_mb": 100}).config == before
    assert dict(provider.facts(wanted))["Memory"] == "0.0 MB of 100 MB"


def test_a_plan_of_very_few_connections_has_a_cache_all_the_same(cache):
    provider, wanted = cache
    few = replace(wanted, limits={"memory_mb": 25, "connections": 1})
    with Client(provider.provision(few).config) as mine:
        assert mine.set(b"a", b"1") == 0


def test_it_runs_as_a_user_of_its_own_and_no_argument_is_a_secret(cache, servers):  # noqa: F811
    provider, wanted = cache
    config = provider.provision(wanted).config
    (seen,) = [each.seen() for each in servers.memcacheds.supervisors()]
    process = Path(f"/proc/{seen['pid']}")
    uid = int((process / "status").read_text().partition("Uid:")[2].split()[0])
    assert uid == (os.geteuid() or 29996)
    shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert config["PASSWORD"].encode() not in shown
    assert b"127.0.0.1" in shown
    assert all(path.stat().st_mode & 0o077 == 0 for path in servers.memcacheds._root.glob("*/*"))


def test_it_comes_back_when_it_dies_and_with_the_next_life_of_the_platform(cache, servers):  # noqa: F811
    provider, wanted = cache
    config = provider.provision(wanted).config
    (keeper,) = servers.memcacheds.supervisors()
    pid = keeper.pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: keeper.pid not in (None, pid) and keeper.up, 60)
    with Client(config) as mine:
        assert mine.set(b"a", b"1") == 0
    servers.memcacheds.stop()
    next_life = Servers(servers.memcacheds._root.parent, ports=PORTS).memcacheds
    next_life.start()
    try:
        eventually(lambda: [each.up for each in next_life.supervisors()] == [True], 60)
        with Client(config) as mine:
            assert mine.get(b"a")[0] == NOT_FOUND
    finally:
        next_life.stop()


def test_nothing_is_left_of_a_cache(cache, servers):  # noqa: F811
    provider, wanted = cache
    provider.provision(wanted)
    provider.deprovision(wanted)
    provider.deprovision(wanted)
    assert wanted.id not in provider.holds()
    assert servers.memcacheds.supervisors() == []
    assert list(servers.memcacheds._root.glob(f"{wanted.id}*")) == []
    with pytest.raises(EngineError):
        provider.facts(wanted)


def work():
    """Do what the conductor would, until nothing is due."""
    while addon := Addon.objects.all().claim():
        run(Held(Kind("addon", Addon, 1, job.advance, job.fail), addon))


def test_an_app_orders_one_and_gives_it_up(alice, servers):  # noqa: F811
    app = make_app("shop", owner=alice, released=True)
    addon = actions.provision(app, catalog.plan_called("memcachier"), by=alice)
    work()
    config = {row.key.removeprefix("MEMCACHIER_"): row.value for row in ConfigVar.objects.filter(app=app)}
    with Client(config) as mine:
        assert mine.set(b"a", b"1") == 0
    assert list(held()) == []
    addon.refresh_from_db()
    actions.destroy(addon, confirm=addon.name, by=alice)
    work()
    assert not ConfigVar.objects.filter(app=app).exists()
    assert servers.memcacheds.ids() == set()


def test_whoever_changes_the_plan_is_told_that_it_will_be_empty(alice, client):
    app = make_app("shop", owner=alice, released=True)
    make_addon(app, "memcachier:dev", name="quick-one", as_="MEMCACHIER")
    client.force_login(alice)
    assertContains(client.get("/apps/shop/addons/quick-one/plan/"), "the cache is empty then")


def test_the_auditor_finds_a_cache_that_nobody_ordered(cache, db):
    provider, wanted = cache
    provider.provision(wanted)
    assert [(each.object, each.promise) for each in held()] == [(f"memcachier {wanted.id}", "I-19")]


def test_it_is_not_offered_where_the_program_is_missing(cache, monkeypatch):
    provider, wanted = cache
    monkeypatch.setattr(programs, "memcached", lambda: None)
    assert "install Debian's memcached, sasl2-bin" in provider.why_not()
    with pytest.raises(EngineError) as fault:
        provider.provision(wanted)
    assert fault.value.permanent
