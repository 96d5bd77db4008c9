"""The whole way on a Docker engine: push, release, promote under load, and a platform that is killed while dynos run."""

import json
import shutil
import signal
import tempfile
import threading
from pathlib import Path

import docker
import pytest

from tests.conftest import eventually
from tests.platform.harness import Platform, commit, repository
from tests.platform.test_ci import begin, ended, nothing_is_left

pytestmark = [pytest.mark.platform, pytest.mark.docker, pytest.mark.timeout(600)]
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path != "/": print("asked for", self.path, flush=True)
        body = f"VERSION {os.environ.get('GREETING', 'none')} {os.environ['SLIPWAY_DYNO']}\\n".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""
PROCFILE = "web: python3 server.py\nrelease: echo migrating for $GREETING\n"
LOAD = 8


def server(version: str) -> str:
    return SERVER.replace("VERSION", version)


@pytest.fixture(scope="module")
def platform(engine):
    folder = Path(tempfile.mkdtemp(prefix="slipway-swarm-"))
    folder.chmod(0o755)
    started = Platform(folder / "data", ENGINE_URL=engine.engine_url).start()
    ours = started.instance()
    started.sign_up()
    yield started
    started.stop(seconds=40)
    engine.remove(ours)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shop(platform, tmp_path_factory):
    """A pipeline of two apps, the first version of which runs in both."""
    pipeline = platform.pipeline("shop", staging="shop-staging", production="shop-eu")
    folder = repository(tmp_path_factory.mktemp("shop"), Procfile=PROCFILE, server__py=server("one"))
    pushed = platform.push(folder, "shop-staging")
    assert "Released v1" in pushed.stderr
    ended = platform.promote(pipeline, "shop-staging", "shop-eu")
    assert [target["status"] for target in ended] == ["succeeded"]
    return pipeline, folder


def says(platform, app: str) -> list[str]:
    status, text = platform.get(app)
    return text.split() if status == 200 else [str(status)]


def test_what_was_pushed_answers_from_a_container(engine, platform, shop):
    version, greeting, dyno = says(platform, "shop-staging")
    assert (version, greeting) == ("one", "none")
    (service,) = engine.client.services.list(filters={"label": f"slipway.dyno={dyno}"})
    (task,) = service.tasks()
    assert task["Status"]["State"] == "running"
    assert says(platform, "shop-eu")[:2] == ["one", "none"]


def test_config_reaches_the_dyno_and_is_in_no_label(engine, platform, shop):
    platform.api("PATCH", "/apps/shop-eu/config-vars", {"GREETING": "bonjour-hunter2"})
    dyno = eventually(lambda: (found := says(platform, "shop-eu"))[1:2] == ["bonjour-hunter2"] and found[2])
    (service,) = engine.client.services.list(filters={"label": f"slipway.dyno={dyno}"})
    spec = service.attrs["Spec"]
    for text in (
        spec["Labels"],
        spec["TaskTemplate"]["ContainerSpec"]["Labels"],
        container_of(service).labels,
    ):
        assert "hunter2" not in repr(text)
    assert "hunter2" not in repr(spec["TaskTemplate"]["ContainerSpec"]["Command"])


def container_of(service):
    """What runs as a dyno, be it that it was started before it was known as which."""
    client = service.client
    return client.containers.get(service.tasks()[0]["Status"]["ContainerStatus"]["ContainerID"])


@pytest.mark.promise("I-04")
def test_no_request_fails_while_versions_change(platform, shop):
    pipeline, folder = shop
    answers, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(says(platform, "shop-eu"))

    threads = [threading.Thread(target=ask) for _ in range(LOAD)]
    for thread in threads:
        thread.start()
    try:
        commit(folder, "Second version", server__py=server("two"))
        platform.push(folder, "shop-staging")
        platform.promote(pipeline, "shop-staging", "shop-eu")
        eventually(lambda: answers and answers[-1][0] == "two")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {answer[0] for answer in answers} == {"one", "two"}


def test_a_one_off_dyno_says_what_it_has_to_say(platform, shop):
    platform.api(
        "POST", "/apps/shop-eu/dynos", {"command": "echo one-off says $WORD; exit 7", "env": {"WORD": "ahoy"}}
    )
    eventually(lambda: "one-off says ahoy" in platform.log("shop-eu"), 30)
    eventually(lambda: "Process exited with status 7" in platform.log("shop-eu"))


MAIL = (
    "import os, smtplib; smtp = smtplib.SMTP(os.environ['MAILER_SMTP_HOST'], int(os.environ['MAILER_SMTP_PORT']), timeout=20); "
    "smtp.login(os.environ['MAILER_SMTP_USER'], os.environ['MAILER_SMTP_PASSWORD']); "
    "smtp.sendmail('shop@example.com', ['ines@example.com'], b'Subject: Your order 10-4410')"
)
INBOX = (
    "from django.test import Client; from accounts.models import User; browser = Client(SERVER_NAME='localhost'); "
    "browser.force_login(User.objects.get()); print(browser.get('/apps/shop-eu/addons/{}/mails/').content.decode())"
)


def test_what_an_app_mails_is_in_its_inbox(platform, shop):
    name = platform.api("POST", "/apps/shop-eu/addons", {"plan": "mailer"})["name"]
    releases = "/apps/shop-eu/releases"
    eventually(
        lambda: (
            [each["description"][:13] for each in platform.api("GET", releases) if each["current"]]
            == ["Attach MAILER"]
        ),
        60,
    )
    platform.api("POST", "/apps/shop-eu/dynos", {"command": f'python3 -c "{MAIL}"'})
    eventually(
        lambda: "Your order 10-4410" in platform.manage("shell", "-c", INBOX.format(name)).stdout, 60, 1
    )


@pytest.mark.promise("I-18")
@pytest.mark.promise("I-19")
def test_dynos_outlive_a_platform_that_is_killed(engine, platform, shop):
    before = says(platform, "shop-eu")
    (service,) = engine.client.services.list(filters={"label": f"slipway.dyno={before[2]}"})
    container = container_of(service)
    address = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    port = json.loads(service.attrs["Spec"]["Labels"]["slipway.start"])["port"]
    platform.get("shop-eu", "/before")
    platform.stop(signal.SIGKILL)
    assert ask(address, port, "/meanwhile").split() == before
    platform.start()
    eventually(lambda: says(platform, "shop-eu") == before)
    platform.get("shop-eu", "/after")
    eventually(lambda: "asked for /after" in platform.log("shop-eu"))
    asked = [
        line.split("asked for ")[1] for line in platform.log("shop-eu").splitlines() if "asked for" in line
    ]
    assert asked == ["/before", "/meanwhile", "/after"]
    assert container.id == engine.client.containers.get(container.id).id


def ask(address: str, port: str, path: str) -> str:
    import urllib.request

    with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def test_the_auditor_finds_nothing(platform, shop):
    eventually(lambda: platform.audit() == [], seconds=30, every=1)


@pytest.mark.promise("I-19")
def test_nothing_is_left_of_an_app_that_is_destroyed(engine, platform, shop):
    app = platform.api("GET", "/apps/shop-eu")["id"]
    platform.api("DELETE", "/apps/shop-eu")

    def left() -> list[docker.models.containers.Container]:
        which = {"label": f"slipway.app={app}"}
        return engine.client.containers.list(all=True, filters=which, ignore_removed=True)

    eventually(lambda: not left(), 30)
    assert engine.client.services.list(filters={"label": f"slipway.app={app}"}) == []


def test_code_is_tested_on_two_nodes(platform, tmp_path):
    folder = begin(platform, tmp_path / "tested")
    platform.push(folder, "tested-staging")
    run = ended(platform, 1, seconds=180)
    assert (run["status"], run["message"]) == ("failed", "1 test failed.")
    nodes = platform.api("GET", f"/test-runs/{run['id']}/test-nodes")
    assert [(node["index"], node["exit_code"]) for node in nodes] == [(0, 0), (1, 1)]
    assert "not ok 1 - node 1" in platform.http("GET", nodes[1]["output_stream_url"])[1]
    assert nothing_is_left(platform)
