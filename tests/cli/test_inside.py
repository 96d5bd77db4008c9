"""Getting into a dyno that runs."""

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


def test_who_wants_ssh_is_told_of_it(heroku):
    assert "run:inside" in heroku("ps:exec", "-a", "insider", status=2)


def test_a_dyno_that_is_not_there(heroku):
    assert "find that dyno" in heroku("run:inside", "web.9", "true", "-a", "insider", status=2)
