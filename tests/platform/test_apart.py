"""Web and conductor as processes of their own, over PostgreSQL and Redis."""

import os
import secrets
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.conftest import eventually
from tests.platform.harness import ROOT, Platform, commit, repository

pytestmark = [pytest.mark.platform, pytest.mark.postgres, pytest.mark.redis]


def absent(text: str) -> None:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(text)


@pytest.fixture
def database():
    """A database of this test alone."""
    server = os.environ.get("TEST_POSTGRES_URL")
    if not server:
        absent("no PostgreSQL: set TEST_POSTGRES_URL to a server whose user may create databases")
    name = f"slipway_apart_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield urlsplit(server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def bus(tmp_path):
    """A Redis server of this test alone."""
    if not shutil.which("redis-server"):
        absent("redis-server is not installed: apt-get install redis-server")
    place = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    eventually(place.exists)
    yield f"unix://{place}"
    server.terminate()
    server.wait()


@pytest.fixture
def apart(fresh, database, bus):
    """A platform in two processes."""
    platform = fresh("apart", DATABASE_URL=database, REDIS_URL=bus)
    keys = subprocess.run(
        [sys.executable, "manage.py", "newkeys"],
        cwd=ROOT,
        env=platform.env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    platform.env |= dict(line.split("=", 1) for line in keys.splitlines())
    platform.data.mkdir()
    platform.data.chmod(0o711)
    platform.manage("migrate", "-v0")
    started = [start(platform, "web", "Serving on"), start(platform, "conduct", "Conducting")]
    platform.sign_up()
    yield platform
    for process in reversed(started):
        process.terminate()
    for process in reversed(started):
        assert process.wait(timeout=120) == 0, platform.text()


def start(platform: Platform, command: str, says: str) -> "subprocess.Popen[bytes]":
    with platform.output.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "manage.py", command],
            cwd=ROOT,
            env=platform.env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    eventually(lambda: says in platform.text() or process.poll() is not None, seconds=40)
    assert process.poll() is None, platform.text()
    return process


def test_push_promote_and_config_over_two_processes(apart, tmp_path):
    pipeline = apart.pipeline("shop", staging="shop-staging", production="shop-live")
    folder = repository(tmp_path / "app", Procfile="web: python3 -m http.server $PORT\n", index__html="one")
    assert "Released v1" in apart.push(folder, "shop-staging").stderr
    assert apart.get("shop-staging") == (200, "one")
    assert [t["status"] for t in apart.promote(pipeline, "shop-staging", "shop-live")] == ["succeeded"]
    assert apart.get("shop-live") == (200, "one")
    apart.api("PATCH", "/apps/shop-live/config-vars", {"A": "1"})
    eventually(lambda: apart.api("GET", "/apps/shop-live/releases")[-1]["current"], seconds=20)
    commit(folder, index__html="two")
    apart.push(folder, "shop-staging")
    assert apart.get("shop-staging") == (200, "two")
    assert "Release v2 created" in apart.log("shop-staging")
    eventually(lambda: apart.audit() == [], seconds=30, every=1)
