"""A whole platform: what its router sees of an app becomes figures, and gates that try things out let a release pass or
keep it back; killed while one of them runs, it goes on."""

import sqlite3
from contextlib import closing

import pytest

from tests.platform.harness import commit, repository
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.timeout(600)]  # it starts twice
SERVER = """
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.4)
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FILES = {
    "Procfile": "web: python3 server.py\n",
    "requirements__txt": "",
    "server__py": SERVER,
    "smoke": "sleep 1; echo smoke of $SLIPWAY_APP_NAME\n",
}
GATES = """
from accounts.models import User
from flow import actions
from pipelines.models import Stage
alice, stage = User.objects.get(), Stage.objects.get(name="production")
line = actions.line_of(stage)
actions.add_gate(line, "command", {"command": "sh smoke", "seconds": 60}, by=alice)
actions.add_gate(line, "http", {"url": "/health", "contains": "ok"}, by=alice)
actions.set_line(stage, mode="auto", by=alice)
"""


def rows(platform, question):
    """Rows of the platform's database, as they are now."""
    with closing(sqlite3.connect(platform.data / "db.sqlite3", timeout=20)) as database:
        return [list(row) for row in database.execute(question)]


def traffic(platform):
    """Requests and errors of the first release."""
    return rows(platform, "SELECT sum(requests), sum(errors) FROM apps_traffic WHERE release_version = 1")[0]


def probes(platform):
    """Kind, status and reason of each probe, in the order in which they were made."""
    return rows(
        platform,
        "SELECT gate.kind, probe.status, probe.reason FROM flow_probe probe JOIN flow_gate gate"
        " ON gate.id = probe.gate_id ORDER BY probe.created_at",
    )


def test_figures_and_gates_of_a_real_app(fresh, tmp_path):
    platform = fresh("data", SLIPWAY_FAILPOINTS="1", SLIPWAY_LEASE_SECONDS="3", SLIPWAY_HEARTBEAT_SECONDS="1")
    platform.start(FAILPOINTS="flow.probe_started=kill")
    platform.sign_up()
    platform.pipeline("shop", staging="shop-staging", production="shop-live")
    folder = repository(tmp_path / "app", **FILES)
    platform.push(folder, "shop-staging")
    for path, count in (("/", 30), ("/broken", 3), ("/slow", 3)):
        for _ in range(count):
            platform.get("shop-staging", path)
    eventually(lambda: traffic(platform) == [36, 3], seconds=30)

    platform.manage("shell", "-v0", "-c", GATES)
    assert platform.process.wait(timeout=120) == -9
    platform.start(FAILPOINTS="")
    eventually(lambda: [status for _, status, _ in probes(platform)] == ["succeeded"] * 2, seconds=60)
    eventually(lambda: platform.get("shop-live")[0] == 200, seconds=60)
    assert rows(platform, "SELECT count(*) FROM apps_dyno WHERE type = 'gate'")[0][0] <= 2

    commit(folder, smoke="exit 5\n", server__py=SERVER.replace('"/broken"', '"/health"'))
    platform.push(folder, "shop-staging")
    eventually(lambda: [status for _, status, _ in probes(platform)].count("failed") == 2, seconds=60)
    found = probes(platform)
    assert ["command", "failed", "It exited with status 5 on shop-staging."] in found
    assert ["http", "failed", "shop-staging/health answers 500, not 200."] in found
    assert rows(platform, "SELECT count(*) FROM pipelines_promotion") == [[1]]
    assert platform.audit() == []
