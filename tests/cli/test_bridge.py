"""The commands whose hosts are fixed in the CLI, through the bridge."""

import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException

import pytest

from tests.cli.conftest import squeezed
from tests.cli.terminal import Shell, variables
from tests.platform.harness import ROOT, commit, repository
from tests.waiting import eventually

ENABLE = ("ps:autoscale:enable", "-a", "bridged-slow", "--min", "1", "--max", "2")


@pytest.fixture(scope="module")
def bridge(platform):
    """Runs as a person starts it; tells its address."""
    with (platform.data.parent / "bridge.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "clibridge", "--listen", "0"],
            cwd=platform.data.parent, env=platform.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    address = platform.data / "run" / "bridge"
    eventually(lambda: address.exists() or process.poll() is not None, seconds=60)
    yield address.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not address.exists()


@pytest.fixture(scope="module")
def heroku(platform, program, tmp_path_factory, bridge):
    """Alice's shell, prepared for the bridge."""
    shell = Shell(platform, tmp_path_factory.mktemp("home"), program, platform.token)
    shell.env |= variables(platform, "--bridge", "--token", platform.token)
    assert shell.env["HTTPS_PROXY"] == f"http://{bridge}"
    repository(shell.folder, **{"Procfile": "web: python -m http.server $PORT\n", "requirements.txt": ""})
    shell("create", "bridged-staging", "--remote", "staging")
    shell("create", "bridged-production", "--remote", "production")
    shell("pipelines:create", "bridged", "-a", "bridged-staging", "-s", "staging")
    shell("pipelines:add", "bridged", "-a", "bridged-production", "-s", "production")
    return shell


SLOW = """
import os, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.2)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"slow")
    def log_message(self, *words):
        pass
HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def visitors(platform):
    """Three who ask an app again and again, one answer after the other; begun by its name, until the end of this file."""
    done = threading.Event()

    def visit(app):
        while not done.is_set():
            with suppress(OSError, HTTPException):
                platform.get(app)

    with ThreadPoolExecutor(3) as pool:
        yield lambda app: [pool.submit(visit, app) for _ in range(3)]
        done.set()


def test_autoscaling_is_turned_on_and_off(heroku, platform, visitors):
    heroku("create", "bridged-slow", "--remote", "slow")
    assert "does not have any web dynos" in heroku(*ENABLE, "--p95", "300", status=1)
    heroku.run("git", "checkout", "-q", "-b", "slow")
    commit(heroku.folder, "Slow", **{"Procfile": "web: python slow.py\n", "slow.py": SLOW})
    heroku.run("git", "push", "slow", "slow:main")
    heroku.run("git", "checkout", "-q", "main")
    assert "only available with Performance" in squeezed(heroku(*ENABLE, "--p95", "300", status=1))
    assert "does not have autoscale enabled" in heroku("ps:autoscale:disable", "-a", "bridged-slow", status=1)
    heroku("ps:type", "web=performance-m", "-a", "bridged-slow")
    said = " ".join(
        heroku("ps:autoscale:enable", "-a", "bridged-slow", "--min", "3", "--max", "2", status=2).split()
    )
    assert "The maximum can't be less than the minimum, 3." in said
    assert "Enabling dyno autoscaling... done" in heroku(*ENABLE, "--notifications")
    asked = platform.api("GET", "/apps/bridged-slow/autoscale")
    assert (asked["enabled"], asked["min"], asked["max"], asked["p95"], asked["notify"]) == (
        True,
        1,
        2,
        1000,
        True,
    )
    assert "Disabling dyno autoscaling... done" in heroku("ps:autoscale:disable", "-a", "bridged-slow")
    assert platform.api("GET", "/apps/bridged-slow/autoscale")["enabled"] is False
    assert "Enabling dyno autoscaling... done" in heroku(*ENABLE, "--p95", "300")
    asked = platform.api("GET", "/apps/bridged-slow/autoscale")
    assert (asked["enabled"], asked["max"], asked["p95"], asked["notify"]) == (True, 2, 300, False)
    visitors("bridged-slow")  # what comes of them is seen at the end


def test_favorites(heroku):
    heroku("apps:favorites:add", "-a", "bridged-staging")
    assert "bridged-staging" in heroku("apps:favorites")
    assert "already a favorite" in heroku("apps:favorites:add", "-a", "bridged-staging", status=1)
    assert "App not found" in heroku("apps:favorites:add", "-a", "nothing-at-all", status=2)
    assert "bridged-staging" in heroku("dashboard")
    heroku("apps:favorites:remove", "-a", "bridged-staging")
    assert "bridged-staging" not in heroku("apps:favorites")


def test_diff_before_and_after_a_promotion(heroku):
    assert "No release was found" in heroku("pipelines:diff", "-a", "bridged-staging", status=2)
    assert "Released v1" in heroku.run(
        "git", "push", "staging", "main"
    )  # git goes through the bridge as well
    assert "does not have any releases" in heroku("pipelines:diff", "-a", "bridged-staging")
    heroku("pipelines:promote", "-a", "bridged-staging")
    assert "up to date with" in heroku("pipelines:diff", "-a", "bridged-staging")
    commit(heroku.folder, "Second change", **{"two.txt": "2"})
    commit(heroku.folder, "Third change", **{"three.txt": "3"})
    heroku.run("git", "push", "staging", "main")
    said = squeezed(heroku("pipelines:diff", "-a", "bridged-staging"))
    assert "bridged-staging is ahead of bridged-production by 2 commits" in said
    assert re.search(r"Alice Liddell Third change.*\n.*Alice Liddell Second change", said)


def test_a_failed_build_is_told_until_it_is_read(heroku):
    assert "No unread notifications" in heroku("notifications")
    heroku.run("git", "checkout", "-q", "-b", "broken")
    commit(heroku.folder, "Broken", **{"requirements.txt": "no-such-package-of-slipway==1\n"})
    heroku.run("git", "push", "staging", "broken:main", status=1)
    heroku.run("git", "checkout", "-q", "main")
    assert "A build of bridged-staging failed" in heroku("notifications", "-a", "bridged-staging")
    assert "No unread notifications" in heroku("notifications")
    assert "A build of bridged-staging failed" in heroku("notifications", "--read")


def test_errors_are_counted(heroku, platform):
    heroku("ps:scale", "web=0", "-a", "bridged-production")
    eventually(lambda: platform.get("bridged-production")[0] == 503, seconds=30)
    assert platform.get("bridged-production")[0] == 503
    said = eventually(
        lambda: "H14" in (text := squeezed(heroku("apps:errors", "-a", "bridged-production"))) and text
    )
    assert re.search(r"router H14 critical No web dynos running \d+", said)
    assert "No errors on" in heroku("apps:errors", "-a", "bridged-production", "--dyno")


def test_a_pipeline_is_connected_to_a_public_repository(heroku, platform, github):
    (github.folder / "acme").mkdir()
    github.repository("acme/shop.git")
    heroku("create", "linked-staging", "--remote", "linked")
    heroku("pipelines:create", "linked", "-a", "linked-staging", "-s", "staging")
    assert "Linking to repo... done" in heroku("pipelines:connect", "linked", "-r", "acme/shop")
    said = " ".join(heroku("pipelines:connect", "bridged", "-r", "acme/none", status=1).split())
    assert "There is no repository at" in said and "/pipelines/bridged/repository/" in said


def test_a_pipeline_is_set_up_from_a_public_repository(heroku, platform, github):
    (github.folder / "setup").mkdir()
    github.repository(
        "setup/kit.git",
        **{
            "Procfile": "web: python -m http.server $PORT\n",
            "requirements.txt": "",
            "app.json": '{"name": "kit", "env": {"GREETING": "hello"}}',
        },
    )
    said = heroku("pipelines:setup", "kit", "setup/kit", "-y", seconds=180)
    assert "Configuring pipeline... done" in said
    assert "hello" in heroku("config:get", "GREETING", "-a", "kit-staging")
    stages = squeezed(heroku("pipelines:info", "kit"))
    assert "kit production" in stages and "kit-staging staging" in stages
    follows = platform.api("GET", "/_fixed/kolkrabbi.heroku.com/apps/kit-staging/github")
    assert (follows["auto_deploy"], follows["wait_for_ci"], follows["branch"]) == (True, True, "main")
    reviews = platform.api(
        "GET", f"/pipelines/{platform.api('GET', '/pipelines/kit')['id']}/review-app-config"
    )
    assert (reviews["automatic_review_apps"], reviews["destroy_stale_apps"]) == (True, True)


def test_the_rest_of_the_cli_works_through_it(heroku):
    assert "bridged-staging" in heroku("apps")
    assert "through" in heroku("run", "-a", "bridged-staging", "--no-tty", "echo through")
    assert "heroku[web.1]" in heroku("logs", "-a", "bridged-staging", "--source", "heroku")
    assert "refused" not in heroku("config:set", "A=b", "-a", "bridged-staging")


def test_visitors_who_wait_got_a_dyno_more(heroku, platform):
    assert platform.api("GET", "/apps/bridged-slow/autoscale")["enabled"] is True
    eventually(lambda: "web.2" in heroku("ps", "-a", "bridged-slow"), seconds=90, every=2)
    why = platform.api("GET", "/apps/bridged-slow/autoscale")["reason"]
    assert re.fullmatch(r"p95 \d+ ms over 300 ms", why)
    assert f"Scaled to web@2:Performance-M by the platform: {why}" in heroku(
        "logs", "-a", "bridged-slow", "-n", "1500", "--source", "app"
    )
    heroku("ps:scale", "web=1", "-a", "bridged-slow")
    assert platform.api("GET", "/apps/bridged-slow/autoscale")["enabled"] is False
    assert "web.2" not in heroku("ps", "-a", "bridged-slow")


def test_without_a_bridge_no_variables_are_printed(platform, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    done = platform.manage("clienv", "--bridge", check=False, SLIPWAY_DATA=str(data))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Start bin/cli-bridge" in done.stderr


def test_for_one_command(platform, program):
    def run(*command):
        return subprocess.run(
            [ROOT / "bin" / "cli-bridge", "--token", platform.token, "--", *command],
            env={**platform.env, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(platform.data.parent)},
            cwd=platform.data.parent, capture_output=True, text=True, timeout=90,
        )  # fmt: skip

    done = run(program, "apps:favorites", "--json")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert run("sh", "-c", "exit 7").returncode == 7
    assert "can't be used" in run("no-such-program").stderr


def test_it_refuses_to_listen_elsewhere(platform):
    done = platform.manage("clibridge", "--listen", "0.0.0.0:0", check=False)
    assert done.returncode == 1
    assert "loopback only" in done.stderr
