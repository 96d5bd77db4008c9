"""Two webs and two conductors over PostgreSQL, Redis, HAProxy and a Docker engine, and what dies of them."""

import json
import signal
import subprocess
import sys
import threading

import pytest

from tests.conftest import eventually
from tests.engine.proxy_rig import demand_haproxy
from tests.platform.harness import ROOT, commit, repository
from tests.platform.test_apart import bus, database  # noqa: F401 - fixtures
from tests.platform.test_swarm import PROCFILE, says, server

pytestmark = [
    pytest.mark.platform,
    pytest.mark.docker,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.timeout(600),
]
LEASE = {"SLIPWAY_LEASE_SECONDS": "6", "SLIPWAY_HEARTBEAT_SECONDS": "2", "SLIPWAY_FAILPOINTS": "1"}


class Several:
    """The processes of a platform, by name."""

    def __init__(self, platform):
        self.platform = platform
        self.processes = {}

    def start(self, name, *command, says="", **env):
        with self.platform.output.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-u", "manage.py", *command],
                cwd=ROOT,
                env={**self.platform.env, **env},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.processes[name] = process
        before = self.platform.text().count(says) if says else 0
        eventually(
            lambda: self.platform.text().count(says) > before or process.poll() is not None, seconds=120
        )
        assert process.poll() is None, self.platform.text()[-3000:]

    def await_router(self):
        def answers():
            try:
                return self.platform.http("GET", "/health/live")[0] == 200
            except OSError:
                return self.processes["router"].poll() is not None

        eventually(answers, seconds=20)
        assert self.processes["router"].poll() is None, self.platform.text()[-3000:]

    def kill(self, name):
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def conductors(self):
        """Process ids of all that are alive, and of the one that leads."""
        rows = json.loads(self.platform.manage("ps", "--json").stdout)
        alive = {row["pid"] for row in rows if row["role"] == "worker" and row["pid"]}
        leading = [row["pid"] for row in rows if row["role"] == "scheduler" and row["pid"]]
        return alive, leading

    def stop(self):
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=120)


@pytest.fixture
def several(fresh, database, bus, engine, tmp_path):  # noqa: F811
    demand_haproxy()
    platform = fresh("several", DATABASE_URL=database, REDIS_URL=bus, ENGINE_URL=engine.engine_url, **LEASE)
    data = platform.data
    sockets = [data.parent / f"web-{n}" / "w" for n in (1, 2)]
    platform.env |= {
        "ROUTER_URL": f"haproxy://{data}/router",
        "SLIPWAY_ROUTER_WEB": ",".join(f"unix@{place}" for place in sockets),
    }
    keys = subprocess.run(
        [sys.executable, "manage.py", "newkeys"],
        cwd=ROOT,
        env=platform.env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    platform.env |= dict(line.split("=", 1) for line in keys.splitlines())
    for folder in (data.parent, data):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=platform.env, check=True, timeout=200
    )
    made, ours = Several(platform), platform.instance()
    try:
        for n, place in enumerate(sockets, 1):
            made.start(f"web-{n}", "web", "--listen", f"unix:{place}", says="Serving on")
        made.start("router", "router")
        made.start("first", "conduct", says="Conducting")
        platform.sign_up()
        made.await_router()
        yield made
    finally:
        made.stop()
        engine.remove(ours)


class Load:
    """Requests to an app, one after the other."""

    def __init__(self, platform, app):
        self.platform, self.app = platform, app
        self.fine, self.failed = 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _ask(self):
        while not self._over.wait(0.02):
            try:
                status, text = self.platform.get(self.app)
            except OSError as error:
                self.failed.append(str(error))
                continue
            if status == 200:
                self.fine += 1
            else:
                self.failed.append(f"{status} {text[:80]}")


def test_any_of_them_may_die(several, tmp_path):
    platform = several.platform
    platform.app("shop")
    folder = repository(tmp_path / "shop", Procfile=PROCFILE, server__py=server("one"))
    assert "Released v1" in platform.push(folder, "shop").stderr
    assert says(platform, "shop")[0] == "one"

    first = several.processes["first"].pid
    several.start("second", "conduct", says="Conducting", FAILPOINTS="release.router_switched=kill")
    second = several.processes["second"].pid
    eventually(lambda: several.conductors() == ({first, second}, [first]), seconds=90, every=1)

    with Load(platform, "shop") as load:
        several.kill("first")  # the second leads, and dies at the switch of the next release
        several.start("third", "conduct", says="Conducting")
        commit(folder, server__py=server("two"))
        assert "Released v2" in platform.push(folder, "shop").stderr
        assert several.processes.pop("second").wait(30) == -signal.SIGKILL
    assert load.failed == [] and load.fine > 20
    assert says(platform, "shop")[0] == "two"
    eventually(
        lambda: several.conductors()[1] == [several.processes["third"].pid],
        seconds=90,
        every=1,
    )
    eventually(lambda: platform.audit() == [], seconds=60, every=2)

    several.kill("web-1")  # the other answers, and pushes go through it
    eventually(lambda: platform.api("GET", "/apps/shop")["name"] == "shop", seconds=60)
    commit(folder, server__py=server("three"))
    assert "Released v3" in platform.push(folder, "shop").stderr

    with Load(platform, "shop") as load:
        for name in ("web-2", "third"):
            several.kill(name)
        eventually(lambda: load.fine > 50, seconds=60)
    assert load.failed == []
    assert says(platform, "shop")[0] == "three"
