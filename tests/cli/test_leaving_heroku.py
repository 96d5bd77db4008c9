"""Someone leaves Heroku with their habits: one app, from `create` to `destroy`. Each step builds on those before it."""

import re

from tests.cli.conftest import squeezed
from tests.waiting import eventually


def test_create_makes_the_git_remote(heroku, platform):
    said = heroku("create", "leaver")
    assert f"http://leaver.localhost:{platform.port}/ | https://localhost:{platform.port}/leaver.git" in said
    assert heroku.run("git", "remote", "get-url", "heroku") == f"https://localhost:{platform.port}/leaver.git"
    assert heroku("whoami") == "alice@example.com"
    assert "leaver" in heroku("apps")


def test_config_before_the_first_push_is_a_release(heroku):
    assert "done, v1" in heroku("config:set", "GREETING=bonjour", "OTHER=x=y z")
    assert heroku("config:get", "OTHER") == "x=y z"
    assert "v2" in heroku("config:unset", "OTHER")
    assert squeezed(heroku("config")).splitlines()[-1] == "GREETING: bonjour"


def test_push_builds_releases_and_serves(heroku, platform):
    said = heroku.run("git", "push", "heroku", "main")
    assert "remote: -----> Released v3" in said
    assert "migrated bonjour" in said  # the release phase, live
    assert platform.get("leaver") == (200, "bonjour from web.1")


def test_a_push_that_cannot_be_built_is_declined(heroku, platform):
    heroku.run("git", "checkout", "-q", "-b", "broken")
    (heroku.folder / "requirements.txt").write_text("no-such-package-of-slipway==1\n")
    heroku.run("git", "commit", "-qam", "Broken")
    assert "pre-receive hook declined" in heroku.run("git", "push", "heroku", "broken:main", status=1)
    heroku.run("git", "checkout", "-q", "main")
    assert platform.get("leaver") == (200, "bonjour from web.1")


def test_ps_shows_and_scales(heroku):
    assert re.search(r"=== web \(Standard-1X\): python server.py \(1\)", heroku("ps"))
    assert "running web at 2:Standard-1X" in heroku("ps:scale", "web=2")
    assert "running worker at 1:Standard-2X" in heroku("ps:scale", "worker+1:Standard-2X")
    heroku("ps:wait")
    assert set(re.findall(r"^(\S+): up", heroku("ps"), re.M)) == {"web.1", "web.2", "worker.1"}
    assert "Standard-2X" in heroku("ps:type")
    assert "nothing" in heroku("ps:scale", "nothing=1", status=2)
    heroku("ps:restart", "-d", "worker.1")
    heroku("ps:stop", "-d", "web.2")
    assert "running web at 1" in heroku("ps:scale", "web=1", "worker=0")
    sizes = dict(re.findall(r"^ *(release|web|worker) +(\S+)", heroku("ps:type", "basic"), re.M))
    assert sizes == {"release": "Standard-1X", "web": "Basic", "worker": "Basic"}


def test_run_at_a_terminal(heroku):
    shown = heroku.at_terminal(
        "run", "read -p 'Your name? ' name; echo dear $name; tty; stty size", answers={"Your name? ": "Ada\r"}
    )
    assert "dear Ada" in shown
    assert "/dev/pts/" in shown
    assert heroku.status == 0


def test_run_without_a_terminal_passes_input_output_and_status(heroku):
    assert "3 bytes" in heroku("run", "--no-tty", "echo $(wc -c) bytes", input="abc")
    assert "Process exited with code 7" in heroku("run", "--exit-code", "sh -c 'exit 7'", status=7)
    assert "x: command not found" in heroku("run", "--exit-code", "x", status=127)
    assert "value and bonjour" in heroku("run", "-e", "EXTRA=value", "echo $EXTRA and $GREETING")


def test_a_detached_dyno_writes_into_the_log(heroku):
    said = heroku("run:detached", "echo detached says hello")
    name = re.search(r"run\.\d+", said)[0]
    eventually(lambda: f"app[{name}]: detached says hello" in heroku("logs", "-d", name), seconds=30)
    platform_only = heroku("logs", "--source", "heroku", "-n", "500")
    assert "heroku[web.1]" in platform_only and " app[" not in platform_only


def test_releases_and_back(heroku, change, platform):
    change("Second version", Procfile="web: GREETING=second python server.py\n")
    assert platform.get("leaver") == (200, "second from web.1")
    listed = heroku("releases")
    assert (
        re.search(r"Current: v4", listed)
        and "Deploy" in listed
        and "Unset OTHER" in listed.replace("Remove", "Unset")
    )
    assert "GREETING: bonjour" in squeezed(heroku("releases:info", "v3"))
    assert "done, v5" in heroku("rollback", "v3")
    assert platform.get("leaver") == (200, "bonjour from web.1")
    assert "migrated bonjour" in heroku("releases:output", "v5")


def test_maintenance_domains_and_buildpacks(heroku, platform):
    heroku("maintenance:on")
    eventually(lambda: platform.get("leaver")[0] == 503)
    assert heroku("maintenance") == "on"
    heroku("maintenance:off")
    heroku("domains:add", "www.leaver.test")
    heroku("domains:wait", "www.leaver.test")
    eventually(lambda: platform.http("GET", "/", host="www.leaver.test")[0] == 200)
    assert "www.leaver.test" in heroku("domains")
    assert platform.http("GET", "/", host="www.leaver.test") == (200, "bonjour from web.1")
    heroku("domains:clear")
    assert "heroku/python" in heroku("buildpacks:set", "heroku/python")
    assert "1. heroku/nodejs" in heroku("buildpacks:add", "--index", "1", "heroku/nodejs")
    assert "heroku/python" in heroku("buildpacks:remove", "heroku/nodejs")
    assert heroku("buildpacks").splitlines()[-1] == "heroku/python"
    heroku("buildpacks:clear")


def test_rename_and_destroy(heroku, platform):
    assert "leaver-2" in heroku("apps:rename", "leaver-2")
    assert heroku.run("git", "remote", "get-url", "heroku").endswith("/leaver-2.git")
    assert "leaver-2" in heroku("apps:info")
    heroku("apps:destroy", "--app", "leaver-2", "--confirm", "leaver-2")
    assert "Couldn't find that app." in heroku("apps:info", "-a", "leaver-2", status=2)
    assert heroku.run("git", "remote") == ""
    assert platform.audit() == []
