"""A whole platform: a promotion has a share of the requests before it has all, a bad one never gets them, and an app
that sleeps answers whoever comes. No request fails meanwhile."""

import http.client
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.platform.harness import commit, repository
from tests.waiting import eventually

pytestmark = [pytest.mark.platform, pytest.mark.timeout(900)]  # it starts twice
SERVER = """
import os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 4096  # head and body at once

    def do_GET(self):
        time.sleep(PAUSE)
        body = os.environ["SLIPWAY_RELEASE_VERSION"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
GOOD, SLOW = SERVER.replace("PAUSE", "0"), SERVER.replace("PAUSE", "0.3")
FILES = {"Procfile": "web: python3 server.py\n", "requirements__txt": "", "server__py": GOOD}
LINE = """
from accounts.models import User
from flow import actions
from pipelines.models import Stage
stage = Stage.objects.get(name="production")
actions.set_line(stage, mode="hand", watch=False, most_p95=200, canary="share", canary_percent=20, canary_minutes=30,
    by=User.objects.get())
"""
STATES = "SELECT d.state FROM apps_dyno d JOIN apps_app a ON a.id = d.app_id WHERE a.name = 'shop-live'"
SLEEP = """
from apps import sleep
from apps.models import App
sleep.put_to_sleep(App.objects.get(name="shop-live"), by=None)
"""


def ask(platform, count):
    """What so many requests on one connection are answered with: (status, version)."""
    found = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    with closing(connection):
        for _ in range(count):
            connection.request("GET", "/", headers={"Host": f"shop-live.localhost:{platform.port}"})
            answer = connection.getresponse()
            found[answer.status, answer.read().decode()] += 1
    return found


@contextmanager
def load(platform):
    """Requests all the time; yields what they were answered with so far."""
    found, over = Counter(), threading.Event()

    def keep_asking():
        while not over.is_set():
            found.update(ask(platform, 20))

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


def rows(platform, question):
    """Rows of the platform's database, as they are now."""
    with closing(sqlite3.connect(platform.data / "db.sqlite3", timeout=20)) as database:
        found = [list(row) for row in database.execute(question)]
        database.commit()
        return found


def live(platform):
    """Status, step and reason of the newest release of the app that is promoted to."""
    return rows(
        platform,
        "SELECT r.status, r.step, r.reason FROM releases_release r JOIN apps_app a ON a.id = r.app_id"
        " WHERE a.name = 'shop-live' ORDER BY r.version DESC",
    )[0]


def promote(platform, pipeline):
    target = {"app": {"id": "shop-live"}}
    asked = {
        "pipeline": {"id": pipeline["id"]},
        "source": {"app": {"id": "shop-staging"}},
        "targets": [target],
    }
    platform.api("POST", "/pipeline-promotions", asked)


@pytest.mark.promise("I-04")
def test_a_share_first_and_sleep_afterwards(fresh, tmp_path):
    platform = fresh("data", SLIPWAY_FAILPOINTS="1", SLIPWAY_LEASE_SECONDS="3", SLIPWAY_HEARTBEAT_SECONDS="1")
    platform.start(FAILPOINTS="release.canary=kill")
    platform.sign_up()
    pipeline = platform.pipeline("shop", staging="shop-staging", production="shop-live")
    folder = repository(tmp_path / "app", **FILES)
    platform.push(folder, "shop-staging")
    platform.promote(pipeline, "shop-staging", "shop-live")
    platform.manage("shell", "-v0", "-c", LINE)

    # It dies just as the next release got its share, and goes on with that.
    promote(platform, pipeline)
    assert platform.process.wait(timeout=120) == -9
    platform.start(FAILPOINTS="")
    eventually(lambda: {(200, "v1"), (200, "v2")} <= set(ask(platform, 20)), seconds=60)  # both are up again
    found = ask(platform, 2000)
    assert set(found) == {(200, "v1"), (200, "v2")}
    assert 290 < found[200, "v2"] < 510  # 400: six standard deviations to each side
    assert live(platform)[:2] == ["running", 3]
    with load(platform) as answers:
        rows(platform, "UPDATE releases_release SET canary_until = created_at WHERE canary_until IS NOT NULL")
        eventually(lambda: live(platform)[0] == "succeeded", seconds=60)
        eventually(lambda: set(ask(platform, 50)) == {(200, "v2")})
    assert set(answers) <= {(200, "v1"), (200, "v2")}

    # What is slower than it may be is taken back, and nobody was turned away.
    commit(folder, server__py=SLOW)
    platform.push(folder, "shop-staging")
    with load(platform) as answers:
        promote(platform, pipeline)
        eventually(lambda: live(platform)[0] == "failed", seconds=90, every=0.2)
        assert "its p95 was 500 ms; 200 ms is the limit" in live(platform)[2]
        eventually(lambda: set(ask(platform, 50)) == {(200, "v2")})
    assert set(answers) == {(200, "v2"), (200, "v3")}

    # Asleep nothing of it runs; everybody who comes is answered, and it starts once.
    platform.manage("shell", "-v0", "-c", SLEEP)
    assert rows(platform, STATES) == [["idle"]]
    answered, woken = Counter(), {"source": "heroku", "dyno": "web.1"}

    def many_come_at_once():
        with ThreadPoolExecutor(8) as pool:
            answered.update(sum(pool.map(lambda _: ask(platform, 3), range(8)), Counter()))
        return "Unidling" in platform.log("shop-live", **woken)

    # While its dyno still ends, that answers whoever comes, and it need not wake.
    eventually(many_come_at_once, seconds=60, every=1)
    assert set(answered) == {(200, "v2")}
    assert platform.log("shop-live", **woken).count("Unidling") == 1
    assert platform.audit() == []
