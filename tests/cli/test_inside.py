"""Getting into a dyno that runs."""

import subprocess

import pytest

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module", autouse=True)
def app(heroku):
    heroku("create", "insider")
    heroku.run("git", "push", "heroku", "main")
    return "insider"


def test_a_command_runs_where_the_dyno_runs(heroku):
    said = heroku("run:inside", "web.1", "echo $DYNO on $PORT; ls", "-a", "insider")
    assert "web.1 on" in said and "server.py" in said
    heroku("run:inside", "-x", "web.1", "sh -c 'exit 7'", "-a", "insider", status=7)


def test_a_shell_at_a_terminal(heroku):
    said = heroku.at_terminal(
        "run:inside",
        "web.1",
        "read -p 'Who? ' who; echo hello $who",
        "-a",
        "insider",
        answers={"Who? ": "Ada\r"},
    )
    assert "hello Ada" in said and heroku.status == 0


def test_who_wants_ssh_is_told_what_to_do_instead(heroku):
    for command in (["ps:exec"], ["ps:copy", "other.py"], ["ps:forward", "5000"], ["ps:socks"]):
        assert "heroku run:inside DYNO bash" in " ".join(
            heroku(*command, "-a", "insider", status=2).replace("›", " ").split()
        )
    copied = subprocess.run(
        ["heroku", "run:inside", "web.1", "cat server.py", "-a", "insider"],
        cwd=heroku.folder, env=heroku.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert copied.stdout == (heroku.folder / "server.py").read_text()


def test_a_dyno_that_is_not_there(heroku):
    assert "find that dyno" in heroku("run:inside", "web.9", "true", "-a", "insider", status=2)
