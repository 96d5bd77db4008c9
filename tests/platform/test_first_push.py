"""Push, build, release, promote: the whole way, on real parts."""

import threading

import pytest

from tests.conftest import eventually
from tests.platform.harness import commit, git, repository

pytestmark = pytest.mark.platform
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (f"VERSION {os.environ.get('GREETING', 'none')}\\n").encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
PROCFILE = "web: python3 server.py\nrelease: echo migrating for $GREETING\n"


def server(version: str) -> str:
    return SERVER.replace("VERSION", version)


@pytest.fixture(scope="module")
def shop(platform, tmp_path_factory):
    """A pipeline with staging and two production apps, and a pushed first version."""
    pipeline = platform.pipeline("shop", staging="shop-staging", production="shop-eu")
    platform.app("shop-us")
    platform.api("POST", "/pipeline-couplings", {"app": "shop-us", "pipeline": "shop", "stage": "production"})
    folder = repository(tmp_path_factory.mktemp("shop"), Procfile=PROCFILE, server__py=server("one"))
    pushed = platform.push(folder, "shop-staging")
    return pipeline, folder, pushed


def test_the_push_shows_the_build_and_the_app_answers(platform, shop):
    _, _, pushed = shop
    assert "remote: ----->" in pushed.stderr
    assert "Released v1" in pushed.stderr
    assert platform.get("shop-staging") == (200, "one none\n")


@pytest.mark.promise("I-07")
def test_a_promotion_runs_the_same_slug_with_each_targets_own_config(platform, shop):
    pipeline, _, _ = shop
    platform.api("PATCH", "/apps/shop-eu/config-vars", {"GREETING": "bonjour"})
    ended = platform.promote(pipeline, "shop-staging", "shop-eu", "shop-us")
    assert [target["status"] for target in ended] == ["succeeded", "succeeded"]
    assert platform.get("shop-eu") == (200, "one bonjour\n")
    assert platform.get("shop-us") == (200, "one none\n")
    assert "migrating for bonjour" in platform.http("GET", output(platform, "shop-eu"))[1]
    slugs = {
        platform.api("GET", f"/apps/{app}/releases")[-1]["slug"]["id"] for app in ("shop-staging", "shop-eu")
    }
    assert len(slugs) == 1


def output(platform, app: str) -> str:
    url = platform.api("GET", f"/apps/{app}/releases")[-1]["output_stream_url"]
    return url.split(str(platform.port), 1)[1]


@pytest.mark.promise("I-04")
def test_no_request_fails_while_versions_change(platform, shop):
    pipeline, folder, _ = shop
    platform.promote(pipeline, "shop-staging", "shop-eu")
    answers, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(platform_get(platform))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        commit(folder, "Second version", server__py=server("two"))
        platform.push(folder, "shop-staging")
        platform.promote(pipeline, "shop-staging", "shop-eu")
        eventually(lambda: answers and answers[-1][1].startswith("two"))
        platform.api("PATCH", "/apps/shop-eu/config-vars", {"GREETING": "salut"})
        eventually(lambda: answers[-1][1] == "two salut\n")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}
    assert {text for _, text in answers} >= {"one bonjour\n", "two salut\n"}


def platform_get(platform) -> tuple[int, str]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    try:
        connection.request("GET", "/", headers={"Host": "shop-eu.localhost"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.promise("I-11")
def test_a_failed_build_rejects_the_push_and_leaves_the_ref(platform, shop):
    _, folder, _ = shop
    before = git(folder, "rev-parse", "HEAD")
    commit(folder, "Break it", Procfile="web python3 server.py\n")
    failed = platform.push(folder, "shop-staging", check=False)
    assert failed.returncode != 0
    assert "Procfile" in failed.stderr
    assert "Line 1" in failed.stderr
    assert (
        git(folder, "ls-remote", with_token(platform, "shop-staging"), "refs/heads/main").split()[0] == before
    )
    assert platform.get("shop-staging")[0] == 200
    git(folder, "reset", "-q", "--hard", before)


@pytest.mark.promise("I-03")
@pytest.mark.promise("I-05")
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"Procfile": "web: python3 server.py\nrelease: echo no such table; exit 3\n"}, "no such table"),
        (
            {"Procfile": "web: python3 broken.py\n", "broken__py": "raise SystemExit('cannot import flask')"},
            "cannot import flask",
        ),
    ],
)
def test_a_release_that_fails_leaves_the_old_one_serving(platform, shop, files, says):
    _, folder, _ = shop
    before = git(folder, "rev-parse", "HEAD")
    current = next(r for r in platform.api("GET", "/apps/shop-staging/releases") if r["current"])
    dynos = platform.api("GET", "/apps/shop-staging/dynos")
    commit(folder, "Fails later", **files)
    failed = platform.push(folder, "shop-staging", check=False)
    assert failed.returncode != 0
    assert says in failed.stderr
    after = platform.api("GET", "/apps/shop-staging/releases")
    assert after[-1]["status"] == "failed"
    assert next(r for r in after if r["current"])["id"] == current["id"]
    assert platform.get("shop-staging")[0] == 200
    assert {d["id"]: d["updated_at"] for d in dynos}.items() <= {
        d["id"]: d["updated_at"] for d in platform.api("GET", "/apps/shop-staging/dynos")
    }.items()
    git(folder, "reset", "-q", "--hard", before)


def test_other_branches_are_kept_and_said_not_to_deploy(platform, shop):
    _, folder, _ = shop
    builds = len(platform.api("GET", "/apps/shop-staging/builds"))
    answer = platform.push(folder, "shop-staging", "HEAD:feature")
    assert "main" in answer.stderr
    assert "master" in answer.stderr
    assert len(platform.api("GET", "/apps/shop-staging/builds")) == builds


def test_scale_restart_maintenance_and_one_off(platform, shop):
    pipeline, _, _ = shop
    platform.promote(pipeline, "shop-staging", "shop-us")
    platform.api("PATCH", "/apps/shop-us/formation/web", {"quantity": 2})
    eventually(lambda: [d["state"] for d in platform.api("GET", "/apps/shop-us/dynos")] == ["up", "up"])
    platform.api("PATCH", "/apps/shop-us", {"maintenance": True})
    eventually(lambda: platform.get("shop-us")[0] == 503)
    platform.api("PATCH", "/apps/shop-us", {"maintenance": False})
    eventually(lambda: platform.get("shop-us")[0] == 200)
    platform.api(
        "POST", "/apps/shop-us/dynos", {"command": "echo one-off says $WORD; exit 7", "env": {"WORD": "ahoy"}}
    )
    eventually(lambda: "one-off says ahoy" in platform.log("shop-us"))
    eventually(lambda: "Process exited with status 7" in platform.log("shop-us"))


def test_rollback_brings_code_and_config_back(platform, shop):
    pipeline, _, _ = shop
    platform.promote(pipeline, "shop-staging", "shop-us")
    version = next(r for r in platform.api("GET", "/apps/shop-us/releases") if r["current"])["version"]
    platform.api("PATCH", "/apps/shop-us/config-vars", {"GREETING": "changed"})
    eventually(lambda: platform.get("shop-us")[1].endswith("changed\n"))
    platform.api("POST", "/apps/shop-us/releases", {"release": str(version)})
    eventually(lambda: platform.get("shop-us")[1].endswith("none\n"))
    assert platform.api("GET", "/apps/shop-us/config-vars") == {}


def test_the_auditor_finds_nothing(platform, shop):
    eventually(lambda: platform.audit() == [], seconds=20, every=1)


def with_token(platform, app: str) -> str:
    return platform.git_url(app).replace("://", f"://x:{platform.token}@")
