"""Data services of a Docker engine from the command line: an app in containers stores, migrates, and is backed up."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest
import redis

from tests.cli.terminal import Shell
from tests.databases import image_on
from tests.platform.harness import Platform, repository
from tests.waiting import eventually

pytestmark = pytest.mark.docker
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.popen("redis-cli --no-auth-warning -h $H -p $P -a $S get who; psql -qAt $DATABASE_URL -c 'select n from t'").read().encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
from urllib.parse import urlsplit
store = urlsplit(os.environ["REDIS_URL"])
os.environ.update(H=store.hostname, P=str(store.port), S=store.password)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
FILES = {
    "server.py": SERVER,
    "Procfile": "web: python3 server.py\nrelease: psql -v ON_ERROR_STOP=1 $DATABASE_URL -c 'CREATE TABLE t AS SELECT 7 AS n'\n",
}


@pytest.fixture(scope="module")
def platform(engine):
    folder = Path(tempfile.mkdtemp(prefix="slipway-cli-services-"))
    folder.chmod(0o755)
    images = {f"SLIPWAY_{kind}_IMAGE": image_on(engine) for kind in ("POSTGRES", "VALKEY", "MEMCACHED")}
    started = Platform(folder / "data", ENGINE_URL=engine.engine_url, **images).start()
    ours = started.instance()
    started.sign_up()
    yield started
    started.stop(seconds=40)
    engine.remove(ours)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def heroku(platform, program, tmp_path_factory):
    shell = Shell(platform, tmp_path_factory.mktemp("home"), program, platform.token)
    repository(shell.folder, **FILES)
    shell("apps:create", "shop")
    return shell


def test_an_app_has_a_store_and_a_database_and_keeps_both_when_the_platform_restarts(heroku, platform):
    heroku("addons:create", "heroku-redis", "-a", "shop", "--wait")
    heroku("addons:create", "heroku-postgresql:essential-0", "-a", "shop", "--wait")
    told = heroku("redis:info", "-a", "shop")
    assert re.search(r"(Valkey|Redis): +\d", told) and re.search(r"Clients: +\d+ of \d+", told)
    assert "WROTE" in heroku("pg:psql", "-a", "shop", "-c", "SELECT 'WROTE' AS x")
    heroku("git:remote", "-a", "shop")
    pushed = heroku.run("git", "push", "heroku", "main")
    assert "Released v" in pushed
    store = heroku("config:get", "REDIS_URL", "-a", "shop").strip()
    assert "127.0.0.1" not in store
    with redis.Redis.from_url(store) as client:
        client.set("who", "alice")
    assert platform.get("shop") == (200, "alice\n7\n")
    assert re.search(r"Tables: +1", heroku("pg:info", "-a", "shop"))
    platform.stop(seconds=40)
    platform.start()
    assert platform.get("shop") == (200, "alice\n7\n")


def test_a_database_is_backed_up_and_restored(heroku):
    heroku("pg:backups:capture", "-a", "shop")
    assert re.search(r"b001.*Completed", heroku("pg:backups", "-a", "shop"))
    heroku("pg:psql", "-a", "shop", "-c", "DROP TABLE t")
    heroku("pg:backups:restore", "b001", "DATABASE_URL", "-a", "shop", "--confirm", "shop")
    assert "7" in heroku("pg:psql", "-a", "shop", "-c", "SELECT n FROM t")


def test_nothing_is_left_of_a_store_that_is_given_up(heroku, platform, engine):
    which = {"label": [f"slipway.instance={platform.instance()}", "slipway.server"]}

    def left():
        return [len(part.list(filters=which)) for part in (engine.client.services, engine.client.volumes)]

    assert left() == [2, 2]
    heroku("addons:destroy", "REDIS", "-a", "shop", "--confirm", "shop")
    eventually(lambda: left() == [1, 1], 60)
    assert platform.audit() == []
