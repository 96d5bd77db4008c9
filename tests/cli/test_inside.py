"""Getting into a dyno that runs."""

import socket
import subprocess
import urllib.request

import pytest

from tests.platform.harness import free_port

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


def flat(text):
    return " ".join(text.replace("›", " ").split())


def test_ssh_into_a_dyno(heroku, platform):
    assert "web.1 up running" in flat(heroku("ps:exec", "--status", "-a", "insider"))
    said = heroku("ps:exec", "-a", "insider", "--", "echo", "on", "$DYNO;", "id", "-u;", "ls", "$HOME")
    assert "on web.1" in said and "server.py" in said
    deeds = platform.api("GET", "/apps/insider/dynos")
    assert [one["name"] for one in deeds if one["type"] == "web"] == ["web.1"]


def test_an_ssh_shell_at_a_terminal(heroku):
    said = heroku.at_terminal(
        "ps:exec", "-a", "insider", answers={"$ ": "echo it is $((20 + 3)); exit\r"}, seconds=120
    )
    assert "it is 23" in said and heroku.status == 0


def test_a_file_is_copied_out_of_a_dyno(heroku):
    copy = heroku.folder / "copied.py"
    heroku("ps:copy", "server.py", "-o", copy.name, "-a", "insider")
    assert copy.read_bytes() == (heroku.folder / "server.py").read_bytes()
    heroku("ps:copy", "absent.txt", "-a", "insider", status=2)
    assert not (heroku.folder / "absent.txt").exists()


def waited_for(process, words):
    """Read what a command says until it has said this."""
    said = ""
    while words not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


@pytest.mark.parametrize("command", ["ps:forward", "ps:socks"])
def test_a_port_of_a_dyno_is_forwarded(heroku, command):
    port = int(heroku("run:inside", "web.1", "echo $PORT", "-a", "insider").split()[-1])
    here = free_port()
    args = [command, f"{here}:{port}"] if command == "ps:forward" else [command]
    process = subprocess.Popen(
        ["heroku", *args, "-a", "insider"], cwd=heroku.folder, env=heroku.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        waited_for(process, "CTRL+C")
        if command == "ps:forward":
            with urllib.request.urlopen(f"http://127.0.0.1:{here}/", timeout=60) as answer:
                assert answer.read() == b"hello from web.1"
        else:
            assert b"hello from web.1" in through_socks(port)
    finally:
        process.kill()
        process.wait()


def through_socks(port):
    """Ask the dyno's port by the SOCKS server that the CLI starts."""
    with socket.create_connection(("127.0.0.1", 1080), timeout=60) as link:
        link.sendall(b"\5\1\0")
        assert link.recv(2) == b"\5\0"
        link.sendall(b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
        assert link.recv(10)[:2] == b"\5\0"
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := link.recv(4096):
            answer += data
        return answer


def test_a_dyno_that_is_not_there(heroku):
    assert "find that dyno" in heroku("run:inside", "web.9", "true", "-a", "insider", status=2)
