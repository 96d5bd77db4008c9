"""A push of changed code on a Docker engine, beside the same by hand: until the new version answers.

    python -m bench.containers [--runs 5]

By hand: unpack the source beside packages that are there already, start a container of the stack image on it, ask it until it answers,
end the old one. Ours is a `git push` with all that belongs to it: build in a container, slug, release, router. Both take turns, so that
a busy machine is as busy for both. Prints one JSON object: medians in seconds, and their ratio. What it made is removed.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import docker

from bench.deploy import FILES, UV, source, timed, wait_for
from tests.docker import STACK, find
from tests.platform.harness import Platform, commit, repository

PORT = "22900"


class ByHand:
    """One app, kept by nobody but us."""

    def __init__(self, client: docker.DockerClient, folder: Path) -> None:
        self.client, self.folder, self.old = client, folder, None
        self.packages = folder / "packages"
        subprocess.run(
            [
                UV,
                "pip",
                "install",
                "-q",
                "--python-version",
                "3.11",
                "--target",
                str(self.packages),
                "flask",
                "gunicorn",
            ],
            check=True,
        )

    def push(self, number: int) -> None:
        archive, app = self.folder / f"{number}.tar", self.folder / f"app-{number}"
        code = self.folder / f"code-{number}"
        code.mkdir()
        (code / "app.py").write_text(source(number))
        subprocess.run(["tar", "-C", str(code), "-cf", str(archive), "."], check=True)
        app.mkdir()
        subprocess.run(["tar", "-C", str(app), "-xf", str(archive)], check=True)
        made = self.client.containers.run(
            STACK,
            ["python3", "-m", "gunicorn", "-b", f"0.0.0.0:{PORT}", "app:app"],
            environment={"PYTHONPATH": "/packages:/app"},
            volumes={str(app): {"bind": "/app"}, str(self.packages): {"bind": "/packages"}},
            labels={"slipway.instance": "bench-containers"},
            detach=True,
        )
        made.reload()
        address = made.attrs["NetworkSettings"]["IPAddress"]
        wait_for(lambda: _get(f"http://{address}:{PORT}/"), f"version {number}")
        if self.old:
            self.old.kill()
        self.old = made


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    engine = find()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        platform = Platform(folder / "data", ENGINE_URL=engine.engine_url)
        platform.run_module("config.keys")
        asked = "from conductor.compose import instance; print(instance())"
        instance = platform.manage("shell", "-v0", "-c", asked).stdout.split()[-1]
        platform.start()
        try:
            print(json.dumps(_measure(platform, ByHand(engine.client, folder), folder, runs)))
        finally:
            platform.stop(seconds=60)
            time.sleep(2)
            for each in (instance, "bench-containers"):
                engine.remove(each)


def _measure(platform: Platform, hand: ByHand, folder: Path, runs: int) -> dict[str, float]:
    platform.sign_up()
    platform.app("bench")
    code = repository(folder / "code", **FILES, app__py=source(0))
    first = timed(lambda: platform.push(code, "bench"))
    hand.push(0)
    ours, floor = [], []
    for number in range(1, runs + 1):
        floor.append(timed(lambda number=number: hand.push(number)))
        commit(code, app__py=source(number))
        ours.append(timed(lambda: platform.push(code, "bench")))
        assert platform.get("bench") == (200, f"version {number}")
    found = {"push": statistics.median(ours), "floor": statistics.median(floor)}
    return {"first_push": first, **found, "ratio": found["push"] / found["floor"]}


if __name__ == "__main__":
    main()
