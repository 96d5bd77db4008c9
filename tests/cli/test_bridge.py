"""The commands whose hosts are fixed in the CLI, through the bridge."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import squeezed
from tests.cli.terminal import Shell, variables
from tests.platform.harness import ROOT, commit, repository
from tests.waiting import eventually


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
