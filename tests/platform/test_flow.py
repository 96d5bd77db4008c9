"""The pipeline that runs itself, on real parts: a commit that is pushed to development reaches production through gates,
and what is bad is stopped, or rolled back when it shows only there."""

import json
import threading
import time

import pytest

from tests.conftest import eventually
from tests.platform.harness import commit, repository

pytestmark = pytest.mark.platform
SERVER = """
import http.server, os
BROKEN = os.environ.get("STAGE") in "ONLY_BREAKS_IN".split()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        broken = BROKEN or (self.path == "/health" and "UNWELL" == "yes")
        body = b"VERSION\\n"
        self.send_response(500 if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SETUP = """
from accounts.models import User
from flow import actions
from pipelines.models import Stage
alice = User.objects.get(email="alice@example.com")
stage = lambda name: Stage.objects.get(pipeline__name="shop", name=name)
staging = actions.set_line(stage("staging"), mode="auto", by=alice, watch=False)
actions.add_gate(staging, "command", {"command": "python3 smoke.py"}, by=alice)
actions.add_gate(staging, "http", {"url": "/health", "contains": ""}, by=alice)
production = actions.set_line(stage("production"), mode="auto", soak_minutes=5, most_errors=20.0, by=alice)
actions.add_gate(production, "healthy", {"minutes": 0, "errors": 50.0}, by=alice)
"""
STANDS = """
import json
from flow.models import Hold, Passage, Watch
print(json.dumps({
    "passages": [
        [p.line.stage.name, p.slug.message, p.state, [[g["kind"], g["state"], g["words"]] for g in p.shown]]
        for p in Passage.objects.select_related("line__stage", "slug")
    ],
    "holds": [[h.cause, h.reason] for h in Hold.objects.filter(lifted_at=None)],
    "watches": [[w.release.version, w.status, w.reason] for w in Watch.objects.select_related("release")],
}))
"""


def files(
    version: str, *, smoke: int = 0, unwell: bool = False, breaks_in: str = "nowhere"
) -> dict[str, str]:
    text = SERVER.replace("VERSION", version).replace("ONLY_BREAKS_IN", breaks_in)
    return {
        "server__py": text.replace("UNWELL", "yes" if unwell else "no"),
        "smoke__py": f"print('smoke'); raise SystemExit({smoke})\n",
    }


def stands(platform):
    return json.loads(platform.manage("shell", "-c", STANDS).stdout.strip().splitlines()[-1])


def passage(platform, stage: str, message: str):
    """State and gates of the newest passage of that commit into the stage; None while there is none."""
    rows = [row for row in stands(platform)["passages"] if row[:2] == [stage, message]]
    return rows[0][2:] if rows else None


class Load:
    """Requests to an app, one after the other in a few threads, and what was answered."""

    def __init__(self, platform, app: str, threads: int = 3) -> None:
        self.answers: list[tuple[float, int, str]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(platform, app)) for _ in range(threads)]

    def _ask(self, platform, app: str) -> None:
        while not self._stop.is_set():
            status, text = platform.get(app)
            self.answers.append((time.monotonic(), status, text.strip()))
            time.sleep(0.02)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *of) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def shop(platform, tmp_path_factory):
    platform.pipeline("shop", development="shop-dev", staging="shop-staging", production="shop-production")
    platform.api("PATCH", "/apps/shop-production/config-vars", {"STAGE": "production"})
    platform.manage("shell", "-c", SETUP)
    folder = repository(tmp_path_factory.mktemp("shop"), Procfile="web: python3 server.py\n", **files("one"))
    platform.push(folder, "shop-dev")
    return folder


@pytest.mark.promise("I-04")
def test_a_commit_reaches_production_by_itself_without_a_failed_request(platform, shop):
    eventually(lambda: platform.get("shop-production") == (200, "one\n"), seconds=90)
    commit(shop, "Version two", **files("two"))
    with Load(platform, "shop-production") as load:
        platform.push(shop, "shop-dev")
        eventually(lambda: {text for _, _, text in load.answers} == {"one", "two"}, seconds=90)
    assert {status for _, status, _ in load.answers} == {200}, "no request failed on the way"
    assert platform.get("shop-production") == (200, "two\n")
    assert passage(platform, "production", "Version two")[0] == "promoted"
    assert platform.audit() == []


@pytest.mark.parametrize(
    ("bad", "kind", "says"),
    [({"smoke": 3}, "command", "status 3"), ({"unwell": True}, "http", "500")],
)
def test_a_bad_commit_is_stopped_by_the_gate_that_sees_it(platform, shop, bad, kind, says):
    message = f"Bad for the {kind} gate"
    commit(shop, message, **files("bad", **bad))
    platform.push(shop, "shop-dev")

    def failed():
        found = passage(platform, "staging", message)
        return found and [one for one in found[1] if one[:2] == [kind, "failed"]]

    (gate,) = eventually(failed, seconds=60, every=0.5)
    assert says in gate[2]
    assert platform.get("shop-dev")[1] == "bad\n"
    assert platform.get("shop-staging") == (200, "two\n")
    assert platform.get("shop-production") == (200, "two\n")


def test_what_breaks_only_in_production_is_rolled_back(platform, shop):
    commit(shop, "Breaks there", **files("three", breaks_in="production"))
    with Load(platform, "shop-production") as load:
        platform.push(shop, "shop-dev")
        eventually(lambda: any(status == 500 for _, status, _ in load.answers), seconds=90)
        found = eventually(lambda: (now := stands(platform))["holds"] and now, seconds=60)
        eventually(lambda: load.answers[-1][1:] == (200, "two"))
    failed = [at for at, status, _ in load.answers if status == 500]
    assert failed[-1] - failed[0] < 30, "from the first error to the last, when it was rolled back"
    (hold,) = found["holds"]
    assert hold[0] == "rolled-back" and "answers were errors; 20 % is the limit" in hold[1]
    assert [status for _, status, _ in found["watches"]].count("failed") == 1
    assert passage(platform, "production", "Breaks there")[0] == "refused"
    assert platform.audit() == []
