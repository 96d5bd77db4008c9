"""Servers that the platform runs itself: they come back, keep what they hold, and leave no process behind."""

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from core.errors import EngineError
from engine.drivers.local.process import started_at
from engine.servers import Servers, programs
from engine.servers.cluster import Cluster
from engine.servers.databases import Databases, Names
from engine.servers.valkey import Wish
from tests.servers import FAST
from tests.waiting import eventually

PORTS = range(18900, 18990)
WISH = Wish("a-password", "another")


@pytest.fixture
def root():
    with tempfile.TemporaryDirectory(prefix="slipway-servers-") as folder:
        yield Path(folder) / "servers"


@pytest.fixture
def make(root):
    """Makes the servers of one life of the platform."""
    lives = []

    def one():
        lives.append(Servers(root, ports=PORTS, settings=FAST))
        return lives[-1]

    yield one
    for servers in lives:
        servers.stop()


def test_a_cluster_comes_back_after_it_was_killed(make):
    servers = make()
    url = servers.postgres.ensure()
    pid = servers.processes()[0]["pid"]
    os.kill(pid, signal.SIGKILL)

    def is_back():
        return servers.processes()[0]["pid"] not in (None, pid) and servers.postgres.supervisor().up

    eventually(is_back, 30)
    with psycopg.connect(url) as inside:
        assert inside.execute("SELECT 1").fetchone() == (1,)


def test_what_is_stored_outlives_a_restart_of_the_platform(make):
    servers, names = make(), Names("a" * 32)
    there = Databases(servers.postgres.ensure())
    url = there.make(names, "pw", connections=5)
    with psycopg.connect(url, autocommit=True) as inside:
        inside.execute("CREATE TABLE t AS SELECT 7 AS n")
        for name in ("rds.allowed_extensions", "extwlist.extensions"):  # what `heroku pg:extensions` asks for
            (told,) = inside.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert set(told.split(",")) == there.trusted_extensions() and "plpgsql" in told
    port = servers.valkeys.ensure("one", WISH)
    with servers.valkeys.connect("one") as client:
        client.set("a", "1")
    servers.stop()
    again = make()
    again.start()
    again.postgres.ensure()
    with psycopg.connect(url) as inside:
        assert inside.execute("SELECT n FROM t").fetchone() == (7,)
    assert again.valkeys.ensure("one", WISH) == port
    with again.valkeys.connect("one") as client:
        assert client.get("a") == "1"


LIFE = """
import sys, time
from pathlib import Path
from engine.servers import Servers
from engine.servers.valkey import Wish
servers = Servers(Path(sys.argv[1]), ports=range(18900, 18990), settings={"fsync": "off"})
servers.postgres.ensure()
servers.valkeys.ensure("one", Wish("a-password", "another"))
print("up", flush=True)
time.sleep(60)
"""


def test_no_server_outlives_a_platform_that_is_killed(root, make):
    life = subprocess.Popen([sys.executable, "-c", LIFE, str(root)], stdout=subprocess.PIPE, text=True)
    assert life.stdout.readline() == "up\n"
    records = [root / "postgresql.process", root / "valkey" / "one.process"]
    noted = [json.loads(record.read_text()) for record in records]
    life.kill()
    life.wait()
    life.stdout.close()
    for each in noted:
        eventually(lambda each=each: started_at(each["pid"]) != each["started"], 20)
    assert make().postgres.ensure()


def test_what_a_former_life_left_is_ended_first(root, make):
    servers = make()
    servers.postgres.ensure()
    servers.stop()
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs don't
    stray = subprocess.Popen(["sleep", "60"], preexec_fn=heed)
    record = {"pid": stray.pid, "started": started_at(stray.pid)}
    (root / "postgresql.process").write_text(json.dumps(record))
    make().postgres.ensure()
    assert stray.wait(5) == -signal.SIGINT


def test_the_servers_run_as_users_that_may_nothing_else(make, root):
    servers = make()
    servers.postgres.ensure()
    servers.valkeys.ensure("one", WISH)
    for each in servers.processes():
        status = Path(f"/proc/{each['pid']}/status").read_text()
        uid = int(status.partition("Uid:")[2].split()[0])
        assert uid == os.geteuid() if os.geteuid() else uid in (29997, 29998)
        command = Path(f"/proc/{each['pid']}/cmdline").read_bytes()
        environ = Path(f"/proc/{each['pid']}/environ").read_bytes()
        assert b"password" not in command + environ
    for secret in (root / "postgresql.admin", root / "valkey" / "one.wish"):
        assert secret.stat().st_mode & 0o077 == 0


def test_a_server_that_cant_start_says_why(make, root):
    servers = make()
    servers.postgres.ensure()
    servers.stop()
    (root / "postgresql" / "data" / "postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(EngineError, match="nonsense"):
        make().postgres.ensure(seconds=3)


@pytest.mark.parametrize("each", programs.postgres_versions(), ids=lambda each: f"{each.major}")
def test_every_version_that_is_installed_makes_a_cluster(root, each, monkeypatch):
    monkeypatch.setattr(programs, "postgres_versions", lambda: (each,))
    cluster = Cluster(root, ports=PORTS, uid=29998, settings=FAST)
    try:
        with psycopg.connect(cluster.ensure()) as inside:
            assert inside.info.server_version // 10000 == each.major
    finally:
        cluster.stop()


def test_a_cluster_of_a_version_that_is_gone_is_left_alone(make, root, monkeypatch):
    servers = make()
    servers.postgres.ensure()
    servers.stop()
    (root / "postgresql" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EngineError, match="PostgreSQL 9, which is not installed") as fault:
        make().postgres.ensure()
    assert fault.value.permanent


def test_many_stores_stop_together(make):
    servers = make()
    for number in range(6):
        servers.valkeys.ensure(f"s{number}", WISH)
    began = time.monotonic()
    servers.stop()
    assert time.monotonic() - began < 10
    assert servers.processes() == []
