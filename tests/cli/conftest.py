"""One platform for all stories, and a shell with the stock Heroku CLI."""

import os
import random
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.cli.terminal import Shell, install
from tests.forge import Forge
from tests.platform.harness import Platform, commit, repository

# An app that needs nothing but the interpreter of the platform.
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ.get("GREETING", "hello") + " from " + os.environ["DYNO"]).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
FILES = {
    "server.py": SERVER,
    "Procfile": "web: python server.py\nworker: while true; do sleep 1; done\nrelease: echo migrated $GREETING\n",
    "requirements.txt": "",
}


@pytest.fixture(scope="session")
def program():
    found = install()
    if isinstance(found, str):
        if os.environ.get("CI"):
            pytest.fail(found)
        pytest.skip(found)
    return found


@pytest.fixture(scope="session")
def github(tmp_path_factory):
    """What stands in for GitHub: a git server on loopback."""
    forge = Forge(tmp_path_factory.mktemp("github"))
    yield forge
    forge.stop()


def own_loopback():
    """An address of this machine's that no other test platform has: the CLI knows no other port than 80."""
    return "127.{}.{}.{}".format(*(random.randint(2, 250) for _ in range(3)))


@pytest.fixture(scope="session")
def platform(github):
    folder = Path(tempfile.mkdtemp(prefix="slipway-cli-"))
    folder.chmod(0o755)
    platform = Platform(
        folder / "data",
        SLIPWAY_OUTBOUND_ALLOW="127.0.0.1",
        SLIPWAY_GITHUB_URL=github.url,
        SLIPWAY_SSH_LISTEN=f"{own_loopback()}:80",
    )
    platform.start()
    platform.sign_up()
    yield platform
    platform.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_shell(platform, program, tmp_path_factory):
    """Makes a shell for a token, or for nobody yet."""
    return lambda token="": Shell(platform, tmp_path_factory.mktemp("home"), program, token)


@pytest.fixture(scope="module")
def heroku(platform, make_shell):
    """Alice's shell, in a folder with a git repository of an app."""
    shell = make_shell(platform.token)
    repository(shell.folder, **FILES)
    return shell


@pytest.fixture(scope="module")
def change(heroku):
    """Commits a change and pushes it."""

    def make(message="Change", remote="heroku", **files):
        commit(heroku.folder, message, **files)
        return heroku.run("git", "push", remote, "main")

    return make


def squeezed(text):
    """Without the alignment of tables."""
    return re.sub(r"[ \t]+", " ", text)


def pytest_collection_modifyitems(items):
    """A story is many starts of the CLI, each of which takes its second or more."""
    for item in items:
        if "/cli/" in str(item.path):
            item.add_marker(pytest.mark.timeout(600))
