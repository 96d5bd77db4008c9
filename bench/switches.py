"""Releases on a Docker engine while 16 connections ask without a pause: how many requests fail.

    python -m bench.switches [--switches 10]

Each switch is a change of a config var: a release, new dynos, and the router turned to them; the old ones drain. Prints one
JSON object. What it made is removed.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

from bench.deploy import load, wait_for
from tests.docker import find
from tests.platform.harness import Platform, repository

APP = """
import os
from flask import Flask
app = Flask(__name__)
@app.get("/")
def index():
    return os.environ.get("NUMBER", "0")
"""
FILES = {"Procfile": "web: gunicorn --threads 4 app:app\n", "requirements__txt": "flask\ngunicorn\n"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--switches", type=int, default=10)
    switches = parser.parse_args().switches
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
            platform.sign_up()
            platform.app("bench")
            platform.push(repository(folder / "code", **FILES, app__py=APP), "bench")
            print(json.dumps(asyncio.run(_measure(platform, switches))))
        finally:
            platform.stop(seconds=60)
            time.sleep(2)
            engine.remove(instance)


async def _measure(platform: Platform, switches: int) -> dict[str, object]:
    stop = asyncio.Event()
    asking = asyncio.create_task(load(platform.port, "bench.localhost", stop))
    took = []
    for number in range(1, switches + 1):
        started = time.perf_counter()
        await asyncio.to_thread(_switch, platform, number)
        took.append(round(time.perf_counter() - started, 2))
    await asyncio.sleep(2)  # the last one drains
    stop.set()
    done, lost = await asking
    return {
        "switches": switches,
        "requests": done,
        "lost": lost,
        "seconds": took,
        "load": os.getloadavg(),
    }


def _switch(platform: Platform, number: int) -> None:
    platform.api("PATCH", "/apps/bench/config-vars", {"NUMBER": str(number)})
    wait_for(lambda: platform.get("bench")[1], str(number))


if __name__ == "__main__":
    main()
