"""An app with a database of its own in each stage: it migrates in its release phase, and is promoted."""

import json
import signal

import pytest

from tests.conftest import eventually
from tests.platform.harness import repository, wait_gone

pytestmark = pytest.mark.platform
SERVER = """
import http.server, os, psycopg
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with psycopg.connect(os.environ["DATABASE_URL"]) as database:
            rows = database.execute("SELECT stage FROM visits ORDER BY 1").fetchall()
        body = " ".join(row[0] for row in rows).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
MIGRATE = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as database:
    database.execute("CREATE TABLE IF NOT EXISTS visits (stage text)")
    database.execute("INSERT INTO visits VALUES (%s)", [os.environ["STAGE"]])
"""
FILES = {
    "server__py": SERVER,
    "migrate__py": MIGRATE,
    "Procfile": "web: python server.py\nrelease: python migrate.py\n",
    "requirements__txt": "psycopg[binary]\n",
}


@pytest.mark.timeout(600)
def test_each_stage_has_its_own_database_and_migrates_it(platform, tmp_path):
    pipeline = platform.pipeline("shop", staging="shop-staging", production="shop-production")
    urls = set()
    for stage in ("staging", "production"):
        platform.api("PATCH", f"/apps/shop-{stage}/config-vars", {"STAGE": stage})
        platform.api("POST", f"/apps/shop-{stage}/addons", {"plan": "heroku-postgresql:essential-0"})
        urls.add(eventually(lambda stage=stage: url_of(platform, f"shop-{stage}"), 120))
    assert len(urls) == 2

    platform.push(repository(tmp_path / "shop", **FILES), "shop-staging")
    assert platform.get("shop-staging") == (200, "staging")
    ended = platform.promote(pipeline, "shop-staging", "shop-production")
    assert [target["status"] for target in ended] == ["succeeded"]
    assert platform.get("shop-production") == (200, "production")
    assert platform.get("shop-staging") == (200, "staging")

    servers = [row for row in json.loads(platform.manage("ps", "--json").stdout) if row["role"] == "server"]
    assert [row["state"] for row in servers] == ["up"]
    platform.process.send_signal(signal.SIGKILL)
    platform.process.wait()
    wait_gone(servers[0]["pid"], seconds=30)
    platform.start()
    eventually(lambda: platform.get("shop-production") == (200, "production"), 60)
    eventually(lambda: platform.audit() == [], 60, 1)


def url_of(platform, app):
    return platform.api("GET", f"/apps/{app}/config-vars").get("DATABASE_URL")
