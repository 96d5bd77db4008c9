"""Apps serve on while what the platform stands on is away, on a Docker engine behind HAProxy and behind the embedded
router; and the platform catches up by itself once it is back."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.docker import missing
from tests.platform.harness import ROOT, commit, pause, repository
from tests.platform.outages import Bus, Cluster, missing_parts
from tests.platform.test_apart import start
from tests.platform.test_several import LEASE, Load, several  # noqa: F401 - a fixture
from tests.platform.test_swarm import PROCFILE, says, server

pytestmark = [
    pytest.mark.platform,
    pytest.mark.docker,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.timeout(600),
]
AWAY_SECONDS = 12.0  # for longer than a lease of these platforms, and than the pool waits for a connection


@pytest.fixture
def place():
    """A folder that other users find their way into."""
    if part := missing_parts():
        missing(part)
    folder = Path(tempfile.mkdtemp(prefix="slipway-outages-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(place):
    made = Cluster(place / "postgres")
    yield made
    made.crash(runs=False)


@pytest.fixture
def redis(place):
    made = Bus(place / "redis")
    yield made
    made.crash()


@pytest.fixture
def database(cluster):
    return cluster.url


@pytest.fixture
def bus(redis):
    return redis.url


@pytest.fixture
def apart(fresh, database, bus, engine):
    """Web and conductor, which has the embedded router, as two processes over the Docker engine."""
    platform = fresh("apart", DATABASE_URL=database, REDIS_URL=bus, ENGINE_URL=engine.engine_url, **LEASE)
    new = [sys.executable, "manage.py", "newkeys"]
    keys = subprocess.run(new, cwd=ROOT, env=platform.env, check=True, capture_output=True, text=True).stdout
    platform.env |= dict(line.split("=", 1) for line in keys.splitlines())
    for folder in (platform.data.parent, platform.data):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    platform.manage("migrate", "-v0")
    ours = platform.instance()
    platform.processes = [start(platform, "web", "Serving on"), start(platform, "conduct", "Conducting")]
    platform.sign_up()
    try:
        yield platform
    finally:
        for process in reversed(platform.processes):
            process.terminate()
        for process in platform.processes:
            process.wait(timeout=120)
        engine.remove(ours)


def first_version(platform, tmp_path):
    platform.app("shop")
    folder = repository(tmp_path / "shop", Procfile=PROCFILE, server__py=server("one"))
    assert "Released v1" in platform.push(folder, "shop").stderr
    assert says(platform, "shop")[0] == "one"
    return folder


def serves_through(platform, part):
    """Take `part` away for a while, under requests."""
    with Load(platform, "shop") as load:
        part.crash()
        before = load.fine
        pause(AWAY_SECONDS)
        if isinstance(part, Cluster):
            refuses_cleanly(platform)
        during = load.fine - before
        part.start()
        eventually(lambda: answers(platform), seconds=60, every=1)
    assert load.failed == []
    assert during > 20


def refuses_cleanly(platform):
    """Who asks the platform itself without its database is told when to come again."""
    status, said = platform.http("GET", "/apps/shop", headers={"Authorization": f"Bearer {platform.token}"})
    assert (status, "psycopg" in said) == (503, False), said
    assert int(platform.headers["Retry-After"]) > 0


def answers(platform) -> bool:
    """Whether the API is there again."""
    try:
        return platform.api("GET", "/apps/shop")["name"] == "shop"
    except (OSError, AssertionError):
        return False


def catches_up(platform, folder, version):
    """It moves pushes forward as before, and the auditor finds nothing."""
    commit(folder, server__py=server(version))
    assert "Released v" in platform.push(folder, "shop").stderr
    assert says(platform, "shop")[0] == version
    eventually(lambda: platform.audit() == [], seconds=60, every=2)


def crashes(platform) -> bool:
    """End the dyno that serves, by its own doing; whether another took over."""
    before = says(platform, "shop")
    platform.api("DELETE", "/apps/shop/dynos/web.1")
    return eventually(lambda: says(platform, "shop") not in (before, ["503"]), seconds=60)


@pytest.mark.promise("I-18")
@pytest.mark.promise("I-47")
def test_apps_serve_on_behind_haproxy(several, cluster, redis, tmp_path):  # noqa: F811
    platform = several.platform
    folder = first_version(platform, tmp_path)

    serves_through(platform, redis)
    catches_up(platform, folder, "two")
    serves_through(platform, cluster)
    catches_up(platform, folder, "three")
    assert crashes(platform)

    with Load(platform, "shop") as load:
        for name in ("web-1", "web-2", "first"):
            several.kill(name)
        cluster.crash()
        redis.crash()
        eventually(lambda: load.fine > 100, seconds=60)
    assert load.failed == []

    cluster.start()
    redis.start()
    several.start("first", "conduct", says="Conducting")
    web = platform.env["SLIPWAY_ROUTER_WEB"].split(",")[0].removeprefix("unix@")
    several.start("web-1", "web", "--listen", f"unix:{web}", says="Serving on")
    eventually(lambda: answers(platform), seconds=90, every=1)
    catches_up(platform, folder, "four")


@pytest.mark.promise("I-18")
@pytest.mark.promise("I-47")
def test_apps_serve_on_behind_the_embedded_router(apart, cluster, redis, tmp_path):
    folder = first_version(apart, tmp_path)

    serves_through(apart, redis)
    catches_up(apart, folder, "two")
    serves_through(apart, cluster)
    catches_up(apart, folder, "three")
    assert crashes(apart)

    web = apart.processes[0]
    with Load(apart, "shop") as load:
        web.kill()
        web.wait()
        cluster.crash()
        redis.crash()
        eventually(lambda: load.fine > 100, seconds=60)
        cluster.start()
        redis.start()
        apart.processes[0] = start(apart, "web", "Serving on")
    assert load.failed == []
