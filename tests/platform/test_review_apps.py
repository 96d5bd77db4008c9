"""A branch that is pushed gets an app of its own as its app.json says, is built again, and leaves nothing behind."""

import json
import signal

import pytest

from tests.conftest import eventually
from tests.platform.harness import commit, git, repository

pytestmark = pytest.mark.platform
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        names = ("GREETING", "HEROKU_BRANCH", "MARK")
        body = " ".join([*(os.environ[name] for name in names), str("REDIS_URL" in os.environ)]).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
APP_JSON = {
    "env": {"GREETING": "hello", "MARK": "first"},
    "addons": ["heroku-redis"],
    "scripts": {"postdeploy": "echo seeded once", "pr-predestroy": "echo farewell"},
    "environments": {"review": {"env": {"GREETING": "preview"}}},
}
FILES = {
    "server__py": SERVER,
    "Procfile": "web: python server.py\n",
    "requirements__txt": "",
    "app__json": json.dumps(APP_JSON),
}


@pytest.mark.timeout(600)
def test_a_branch_comes_and_goes_as_an_app_even_when_the_platform_dies(fresh, tmp_path):
    platform = fresh().start()
    platform.sign_up()
    pipeline = platform.pipeline("shop", staging="shop-staging")
    platform.api(
        "PATCH", "/apps/shop-staging/config-vars", {"GREETING": "s", "HEROKU_BRANCH": "s", "MARK": "s"}
    )
    work = repository(tmp_path / "shop", **FILES)
    platform.push(work, "shop-staging")
    git(work, "checkout", "-q", "-b", "feature")
    commit(work, "A feature")
    platform.push(work, "shop-staging", "HEAD:feature")
    platform.api("POST", f"/pipelines/{pipeline['id']}/review-app-config", {"repo": {"id": 1}})

    body = {"branch": "feature", "pipeline": pipeline["id"], "source_blob": {"url": "resolve"}}
    path = f"/review-apps/{platform.api('POST', '/review-apps', body)['id']}"
    eventually(lambda: platform.api("GET", path)["app"], 60)
    platform.stop(signal.SIGKILL)
    platform.start()
    eventually(lambda: platform.api("GET", path)["status"] not in ("pending", "creating"), 120, 0.2)
    made = platform.api("GET", path)
    assert made["status"] == "created", made
    name = platform.api("GET", f"/apps/{made['app']['id']}")["name"]
    assert platform.get(name) == (200, "preview feature first True")
    setup = platform.api("GET", f"/app-setups/{made['app_setup']['id']}")
    assert (setup["status"], setup["postdeploy"]) == (
        "succeeded",
        {"output": "seeded once\n", "exit_code": 0},
    )

    commit(work, "Another", app__json=json.dumps(APP_JSON), server__py=SERVER.replace("join([", "join(['2',"))
    platform.push(work, "shop-staging", "HEAD:feature")
    eventually(lambda: platform.get(name) == (200, "2 preview feature first True"), 90)
    assert platform.get("shop-staging")[0] == 200

    platform.api("DELETE", path)
    eventually(lambda: platform.api("GET", path)["status"] == "deleting", 30)
    platform.stop(signal.SIGKILL)
    platform.start()
    eventually(lambda: platform.api("GET", path)["status"] == "deleted", 120, 0.2)
    assert platform.api("GET", f"/pipelines/{pipeline['id']}/review-apps") == []
    assert [app["name"] for app in platform.api("GET", "/apps")] == ["shop-staging"]
    assert [addon["app"]["name"] for addon in platform.api("GET", "/addons")] == ["shop-staging"]
    eventually(lambda: platform.audit() == [], 60, 1)
