"""Test runs with the stock CLI: `ci:run` and `ci:debug` find out about the pipeline's repository through the bridge."""

import json
import re
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import squeezed
from tests.cli.terminal import Shell, variables
from tests.platform.harness import ROOT, commit, repository
from tests.waiting import eventually

pytestmark = pytest.mark.platform
FAILING = "printf '1..2\\nok 1 - adds\\nnot ok 2 - subtracts\\n'; echo $FLAVOUR; exit 3"
FILES = {"Procfile": "web: python -m http.server $PORT\n", "requirements.txt": ""}


def app_json(command):
    return json.dumps({"environments": {"test": {"scripts": {"test-setup": "echo ready", "test": command}}}})


@pytest.fixture(scope="module")
def heroku(platform, program, tmp_path_factory):
    """Alice's shell, prepared for the bridge, in the repository of an app in a pipeline."""
    with (platform.data.parent / "ci-bridge.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, ROOT / "manage.py", "clibridge", "--listen", "0"],
            cwd=platform.data.parent, env=platform.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    address = platform.data / "run" / "bridge"
    eventually(lambda: address.exists() or process.poll() is not None, seconds=60)
    shell = Shell(platform, tmp_path_factory.mktemp("home"), program, platform.token)
    shell.env |= variables(platform, "--bridge", "--token", platform.token)
    shell.env["NO_PROXY"] = "localhost,127.0.0.1"
    repository(shell.folder, **FILES, **{"app.json": app_json(FAILING)})
    shell("create", "tested-staging", "--remote", "staging")
    shell("pipelines:create", "tested", "-a", "tested-staging", "-s", "staging")
    yield shell
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_config_vars_of_tests(heroku):
    heroku("ci:config:set", "FLAVOUR=vanilla", "OTHER=x", "-a", "tested-staging")
    assert "FLAVOUR: vanilla" in squeezed(heroku("ci:config", "-a", "tested-staging"))
    assert "vanilla" in heroku("ci:config:get", "FLAVOUR", "-a", "tested-staging")
    heroku("ci:config:unset", "OTHER", "-a", "tested-staging")
    assert "OTHER" not in heroku("ci:config", "-a", "tested-staging")


def ci_run(heroku, status=0):
    """`heroku ci:run`. Where git's exit comes before its output, on a busy machine, the CLI takes the one for the other:
    then once more."""
    while True:
        try:
            return heroku("ci:run", "-a", "tested-staging", status=status)
        except AssertionError as error:
            if "running 'git log 0 -1" not in str(error):
                raise


def test_tests_run_with_their_output_and_exit_status(heroku):
    said = ci_run(heroku, status=3)
    assert "not ok 2 - subtracts" in said and "vanilla" in said and "Running test-setup" in said
    assert "-----> Python app detected" in said
    assert "#1 main:" in said and "failed" in said
    commit(heroku.folder, "Mend it", **{"app.json": app_json("echo fine")})
    assert "succeeded" in ci_run(heroku)


def test_runs_are_listed_shown_and_run_again(heroku):
    listed = squeezed(heroku("ci", "-a", "tested-staging"))
    assert "2 main" in listed and "failed" in listed and "succeeded" in listed
    assert "not ok 2" in heroku("ci:info", "1", "-a", "tested-staging", status=3)
    assert "fine" in heroku("ci:last", "-a", "tested-staging")
    assert "Rerunning test run #1" in heroku("ci:rerun", "1", "-a", "tested-staging", status=3)


def test_runs_are_watched(heroku, platform):
    shown = heroku.folder.parent / "watched"
    with shown.open("wb") as output:
        watching = subprocess.Popen(
            ["heroku", "ci", "--watch", "-a", "tested-staging"],
            cwd=heroku.folder, env=heroku.env, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        eventually(lambda: "Watching" in shown.read_text(), seconds=60)
        before = len(platform.api("GET", "/pipelines/tested/test-runs"))
        heroku("ci:rerun", "2", "-a", "tested-staging")
        numbered = rf"{before + 1} +main +\w+ +"
        eventually(lambda: re.search(numbered + "pending|" + numbered + "creating", shown.read_text()))
        eventually(lambda: re.search(numbered + "succeeded", shown.read_text()))
    finally:
        watching.terminate()
        watching.wait(20)


def test_a_run_that_can_not_be_built_fails_the_command(heroku):
    commit(heroku.folder, "Break it", Procfile="no process type\n")
    assert "errored" in ci_run(heroku, status=1)
    commit(heroku.folder, "Mend it", Procfile=FILES["Procfile"])


def test_a_shell_to_debug_in(heroku):
    said = heroku.at_terminal(
        "ci:debug", "-a", "tested-staging",
        answers={"ready": "ci test; echo in $CI_NODE_TOTAL node; exit\r"}, seconds=120,
    )  # fmt: skip
    assert "fine" in said and "in 1 node" in said
    assert heroku.status == 0, said
    assert "cancelled" in heroku("ci", "-a", "tested-staging")


def test_nothing_is_left(heroku, platform):
    eventually(lambda: "ci-" not in heroku("apps", "--all"), seconds=30)
    assert platform.manage("audit").returncode == 0
