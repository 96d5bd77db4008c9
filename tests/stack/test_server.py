"""A server from nothing to a first push, and from its backup to another server."""

import base64
import http.client
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from django.utils.crypto import salted_hmac

from tests.docker import Engine, missing
from tests.platform.harness import git, repository
from tests.ports import free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
STORES = "slipway/test-stores"
WELL = ("Database", "Redis", "Conductor", "Engine", "Stack image", "Keys")  # what the doctor is asked about
pytestmark = [pytest.mark.docker, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(2400)]


class Server:
    """An installation in a folder of its own, beside others on this machine."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.port, self.engine = folder, free_port(), engine
        self.install("--only-files", "--http-port", str(self.port), "--https-port", str(free_port()))
        own = {
            "POSTGRES_IMAGE": STORES,
            "REDIS_IMAGE": STORES,
            "MONITOR_PORT_1": free_port(),
            "MONITOR_PORT_2": free_port(),
            "BIND": "127.0.0.1",
        }
        with (folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in own.items())
        with (folder / "settings.env").open("a") as file:
            file.write(
                f"SLIPWAY_RENDEZVOUS=localhost:{free_port()}\nSLIPWAY_APPS_HOST={folder.name}.localhost\n"
            )

    def install(self, *arguments: str) -> str:
        return run(ROOT / "bin" / "install", "--dir", self.folder, *arguments)

    def compose(self, *arguments: str) -> str:
        command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        return run(*command, *arguments, cwd=self.folder)

    def manage(self, *arguments: str) -> str:
        return self.compose("run", "--rm", "--no-deps", "-T", "web-1", *arguments)

    def ask(self, method: str, path: str, host: str = "localhost", body=None, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Host": f"{host}:{self.port}", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def app(self, name: str):
        return self.ask("GET", "/", f"{name}.{self.folder.name}.localhost")

    def instance(self) -> str:
        """What its dynos are labelled with."""
        lines = (self.folder / "secrets" / "slipway.env").read_text().splitlines()
        key = dict(line.split("=", 1) for line in lines)["SLIPWAY_SECRET_KEY"]
        found = salted_hmac("conductor.instance", f"{self.folder.name}.localhost", secret=key)
        return f"slipway-{found.hexdigest()[:10]}"

    def remove(self) -> None:
        """Everything: containers, volumes, dynos, and the folder."""
        if not self.folder.exists():
            return
        self.compose("down", "-v", "--remove-orphans")
        self.engine.remove(self.instance())
        shutil.rmtree(self.folder, ignore_errors=True)


def run(*command, cwd=ROOT) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=CLEAN, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


@pytest.fixture
def server(engine):
    """Makes servers, whose paths are short since sockets are below, and removes them."""
    if os.getuid() != 0 or not (shutil.which("docker-compose") or shutil.which("docker")):
        missing("root and docker-compose")
    run("docker", "build", "-q", "-t", STORES, ROOT / "tests" / "stack")
    home = Path(tempfile.mkdtemp(prefix="srv-", dir="/tmp"))
    made = []

    def make(name: str) -> Server:
        made.append(Server(home / f"{name}-{home.name[4:].lower().replace('_', '-').strip('-')}", engine))
        return made[-1]

    home.chmod(0o711)
    yield make
    for one in made:
        one.remove()
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.promise("I-48")
def test_from_nothing_to_a_first_push_and_from_its_backup_to_another_server(server, tmp_path):
    first = server("one")
    told = first.install("--base", "slipway/stack:24")
    assert f"http://localhost:{first.port}/setup/" in told
    assert first.ask("GET", "/health/ready") == (200, "ok\n")
    (first.folder / "data" / "password").write_text("a fine long password\n")
    (first.folder / "data" / "password").chmod(0o644)
    first.manage("adduser", "alice@example.com", "--password-file", str(first.folder / "data" / "password"))
    token = first.manage("token", "alice@example.com").split()[-1]
    api = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.heroku+json; version=3",
        "Content-Type": "application/json",
    }
    assert first.ask("POST", "/apps", body=json.dumps({"name": "shop"}), **api)[0] == 201
    source = repository(tmp_path / "shop", Procfile="web: python3 -m http.server $PORT\n", index__html="one")
    basic = base64.b64encode(f"x:{token}".encode()).decode()
    git(source, "-c", f"http.extraHeader=Authorization: Basic {basic}", "push", f"http://localhost:{first.port}/shop.git", "main")  # fmt: skip
    assert first.app("shop") == (200, "one")

    # Just after the start a busy machine may still make one of them late.
    eventually(lambda: set(health(first).values()) == {"ok"}, seconds=60, every=2)
    assert len(health(first)) == len(WELL)
    file = first.folder / "backups" / "one.tar.zst"
    assert "found whole" in first.manage("backup", str(file))
    kept = tmp_path / "one.tar.zst"
    shutil.copy(file, kept)
    keys = (first.folder / "secrets" / "slipway.env").read_bytes()
    first.remove()

    other = server("two")
    secrets = other.folder / "secrets" / "slipway.env"
    secrets.write_bytes(keys)
    file = other.folder / "backups" / "one.tar.zst"
    shutil.copy(kept, file)
    shutil.chown(file, 10001, 10001)
    image = [line for line in told.splitlines() if "Building" in line][-1].split()[-1]
    with (other.folder / ".env").open("a") as env:
        env.write(f"SLIPWAY_IMAGE={image}\nSLIPWAY_ROUTER_IMAGE={image}\n")
    other.compose("up", "-d", "postgres", "redis")
    eventually(lambda: "healthy" in other.compose("ps", "postgres"), seconds=120, every=1)
    assert "Restored" in other.manage("restore", str(file))
    told = other.install()
    assert "/setup/" not in told, "there are accounts"
    eventually(lambda: other.app("shop") == (200, "one"), seconds=120, every=1)
    assert other.ask("GET", "/apps/shop", **api)[0] == 200
    assert "shop" in json.loads(other.ask("GET", "/apps", **api)[1])[0]["name"]


def health(server: Server) -> dict[str, str]:
    """The states of what matters here, as the doctor sees them."""
    return {
        one["name"]: one["state"] for one in json.loads(doctor(server))["findings"] if one["name"] in WELL
    }


def doctor(server: Server) -> str:
    """What it says where the engine is reached; it ends with 1 when there is a problem, and that is for us to judge."""
    command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    words = ["exec", "-T", "conductor-1", "/srv/slipway/bin/container", "doctor", "--json"]
    return subprocess.run(
        [*command, *words], cwd=server.folder, env=CLEAN, capture_output=True, text=True, timeout=300
    ).stdout
