"""A whole platform as a child process, driven as its users do: git, HTTP, commands."""

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port as free_port
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
AUTHOR = {
    "GIT_AUTHOR_NAME": "Alice Liddell",
    "GIT_AUTHOR_EMAIL": "alice@example.com",
    "GIT_COMMITTER_NAME": "Alice Liddell",
    "GIT_COMMITTER_EMAIL": "alice@example.com",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


class Platform:
    """One instance with a data folder and a port of its own."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data, self.port = data, free_port()
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("SLIPWAY_", "DJANGO_", "DATABASE_", "FAILPOINTS"))
        }
        self.env = {
            **clean,
            "SLIPWAY_DATA": str(data),
            "SLIPWAY_PORT": str(self.port),
            "SLIPWAY_SSH_LISTEN": "",  # one address and one port 80 for all would make them rivals
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.output = data.parent / f"{data.name}.log"

    def start(self, *flags: str, **settings: str) -> "Platform":
        self.run_module("config.keys")
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *flags],
                cwd=ROOT,
                env={**self.env, **settings},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        start = len(self.text())
        eventually(
            lambda: "Slipway is up" in self.text()[start:] or self.process.poll() is not None, seconds=90
        )
        assert self.process.poll() is None, self.text()
        return self

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=seconds)

    def text(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def run_module(self, module: str) -> None:
        subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=self.env, check=True)

    def manage(self, *args: str, check: bool = True, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env={**self.env, **env},
            check=check,
            capture_output=True,
            text=True,
            timeout=180,
        )

    def instance(self) -> str:
        """The label of all that is its own on a Docker engine, where others may be at work too."""
        asked = "from apps.stacks import instance; print(instance())"
        return self.manage("shell", "-v0", "-c", asked).stdout.split()[-1]

    def sign_up(self, email: str = "alice@example.com") -> str:
        """An account and a token for it, by the commands that scripts use."""
        password = self.data.parent / "password"
        password.write_text("a fine long password\n")
        both = f"call_command('adduser', {email!r}, password_file={str(password)!r}); call_command('token', {email!r})"
        done = self.manage("shell", "-v0", "-c", f"from django.core.management import call_command; {both}")
        self.token = done.stdout.strip().splitlines()[-1]
        return self.token

    def api(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """Call the Platform API; returns the decoded answer."""
        found, answer = self.http(
            method,
            path,
            json.dumps(body) if body is not None else None,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Accept": "application/vnd.heroku+json; version=3",
            },
        )
        assert found == status if status else found < 300, (found, answer)
        return json.loads(answer)

    def http(
        self, method: str, path: str, body: str | None = None, *, host: str = "localhost", headers: Any = None
    ):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Host": f"{host}:{self.port}", **(headers or {})})
            response = connection.getresponse()
            self.headers = response.headers
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    def get(self, app: str, path: str = "/") -> tuple[int, str]:
        """Ask an app, through the router."""
        return self.http("GET", path, host=f"{app}.localhost")

    def app(self, name: str) -> Any:
        return self.api("POST", "/apps", {"name": name})

    def pipeline(self, name: str, **stages: str) -> Any:
        """A pipeline with apps in stages: `pipeline("shop", staging="shop-staging")`; makes the apps too."""
        made = self.api("POST", "/pipelines", {"name": name})
        for stage, app in stages.items():
            self.app(app)
            self.api("POST", "/pipeline-couplings", {"app": app, "pipeline": made["id"], "stage": stage})
        return made

    def push(
        self, folder: Path, app: str, ref: str = "HEAD:main", *, check: bool = True, force: bool = False
    ):
        basic = base64.b64encode(f"x:{self.token}".encode()).decode()
        secret = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
        }
        done = subprocess.run(
            ["git", "push", *(["--force"] if force else []), self.git_url(app), ref],
            cwd=folder,
            env={**os.environ, **AUTHOR, **secret},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stderr + self.text()
        return done

    def git_url(self, app: str) -> str:
        return f"http://127.0.0.1:{self.port}/{app}.git"

    def promote(self, pipeline: Any, source: str, *targets: str, seconds: float = 60) -> list[Any]:
        """Promote and wait until every target has ended; returns the targets."""
        made = self.api(
            "POST",
            "/pipeline-promotions",
            {
                "pipeline": {"id": pipeline["id"]},
                "source": {"app": {"id": source}},
                "targets": [{"app": {"id": target}} for target in targets],
            },
        )
        path = f"/pipeline-promotions/{made['id']}"
        eventually(lambda: self.api("GET", path)["status"] == "completed", seconds=seconds, every=0.05)
        return self.api("GET", f"{path}/promotion-targets")

    def log(self, app: str, lines: int = 1500, **only: str) -> str:
        """The last lines of an app's log, `only` those of a `source` or a `dyno`."""
        url = self.api("POST", f"/apps/{app}/log-sessions", {"lines": lines, **only})["logplex_url"]
        return self.http("GET", url.split(str(self.port), 1)[1])[1].rstrip("\n")

    def audit(self) -> list[Any]:
        """What the auditor finds; an empty list when every promise holds."""
        done = self.manage("audit", "--json", check=False)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)["violations"]


def repository(folder: Path, **files: str) -> Path:
    """A git repository with these files committed; `__` in a name stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    return commit(folder, "First commit", **files)


def commit(folder: Path, message: str = "Another commit", **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return folder


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", *args], cwd=folder, env={**os.environ, **AUTHOR}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def wait_gone(pid: int, seconds: float = 10) -> None:
    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"

    eventually(gone, seconds=seconds)


def pause(seconds: float) -> None:
    """Let the world go on for a while, where the passing of time itself is what a test is about."""
    time.sleep(seconds)
