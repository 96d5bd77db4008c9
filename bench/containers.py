"""A push of changed code and a promotion on a Docker engine, beside the same by hand: until the new version answers.

    python -m bench.containers [--runs 5] [--without]

By hand: unpack the source beside packages that are there already, start a container of the stack image on it, ask it until it answers,
end the old one; of a promotion the last two alone. Ours is a `git push` with all that belongs to it: build in a container, slug, release, router. A push finds a spare
build container started, as it does a few seconds after the one before (with `--without` there are none); `at_once` is one that
comes too early for that. All take turns, so that a busy machine is as busy for each. Prints one JSON object: medians in seconds,
their ratios to the work by hand, and the load. What it made is removed.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import docker

from bench.deploy import FILES, UV, promote, source, timed, wait_for
from engine.drivers.swarm.describe import DYNO, SPARE
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
        self.start(number)

    def start(self, number: int) -> None:
        """Of what is unpacked already."""
        app = self.folder / f"app-{number}"
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
    parser.add_argument("--without", action="store_true")
    options = parser.parse_args()
    engine = find()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        more = {"SLIPWAY_SPARE_BUILDS": "0", "SLIPWAY_SPARE_DYNOS": "0"} if options.without else {}
        platform = Platform(folder / "data", ENGINE_URL=engine.engine_url, **more)
        platform.run_module("config.keys")
        asked = "from conductor.compose import instance; print(instance())"
        instance = platform.manage("shell", "-v0", "-c", asked).stdout.split()[-1]
        platform.start()
        try:
            hand = ByHand(engine.client, folder)
            ready = partial(time.sleep, 8) if options.without else partial(_spare, engine.client, instance)
            print(json.dumps(_measure(platform, hand, ready, folder, options.runs)))
        finally:
            platform.stop(seconds=60)
            time.sleep(2)
            for each in (instance, "bench-containers"):
                engine.remove(each)


def _spare(client: docker.DockerClient, instance: str) -> None:
    """Wait for a spare build container, and for a dyno's of each of the two apps."""
    ours = f"slipway.instance={instance}"
    builds = {"label": [ours, "slipway.spare"], "name": "slipway-spare-"}
    wait_for(lambda: str(len(client.containers.list(filters=builds))), "1")
    ahead = {"label": [ours, SPARE]}
    used = {"label": [ours, SPARE, DYNO]}
    wait_for(
        lambda: str(len(client.containers.list(filters=ahead)) - len(client.services.list(filters=used))), "2"
    )
    time.sleep(2)  # it loads what it needs


def _measure(
    platform: Platform, hand: ByHand, ready: Callable[[], None], folder: Path, runs: int
) -> dict[str, object]:
    platform.sign_up()
    pipeline = platform.pipeline("bench", staging="bench", production="bench-live")
    code = repository(folder / "code", **FILES, app__py=source(0))

    def push(number: int) -> float:
        commit(code, app__py=source(number))
        took = timed(lambda: platform.push(code, "bench"))
        assert platform.get("bench") == (200, f"version {number}")
        return took

    first = timed(lambda: platform.push(code, "bench"))
    promote(platform, pipeline, "bench", "bench-live", "version 0")
    hand.push(0)
    ours, at_once, floor, promotions, starts = [], [], [], [], []
    for number in range(1, 2 * runs, 2):
        ready()
        floor.append(timed(lambda number=number: hand.push(number)))
        time.sleep(2)  # what ended takes the engine a moment, which is not the next one's fault
        ours.append(push(number))
        ready()
        starts.append(timed(lambda number=number: hand.start(number)))
        time.sleep(2)
        promotions.append(
            timed(
                lambda number=number: promote(platform, pipeline, "bench", "bench-live", f"version {number}")
            )
        )
        ready()
        push(number)
        time.sleep(2)
        at_once.append(push(number + 1))
    by_hand = statistics.median(floor)
    return {
        "first_push": round(first, 2),
        "floor": beside(floor, by_hand),
        "push": beside(ours, by_hand),
        "at_once": beside(at_once, by_hand),
        "start": beside(starts, statistics.median(starts)),
        "promote": beside(promotions, statistics.median(starts)),
        "load": os.getloadavg(),
    }


def beside(found: list[float], floor: float) -> dict[str, object]:
    """Median and range in seconds, and how many times the floor."""
    middle = statistics.median(found)
    return {
        "median": round(middle, 3),
        "range": [round(min(found), 3), round(max(found), 3)],
        "ratio": round(middle / floor, 2),
    }


if __name__ == "__main__":
    main()
