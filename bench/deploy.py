"""Push and promote beside their floors: the same work done by hand with nothing of ours in the way.

    python -m bench.deploy [--runs 5]

Prints one JSON object: medians in seconds, ratios, lost requests, resident memory of the idle platform in MB. The floor of a
push is archive, unpack, (for a first push) uv, and the start of the same gunicorn; the floor of a promotion is the start alone.
Both answer a request before the clock stops. A push comes some seconds after the one before, and finds what is started ahead.
Whoever does it by hand has the packages' bytecode, as a slug has: without it the same start takes twice as long. Everything
happens on loopback.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from tests.platform.harness import Platform, commit, free_port, git, repository

APP = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def index():
    return "version NUMBER"
"""
FILES = {"Procfile": "web: gunicorn app:app\n", "requirements__txt": "flask\ngunicorn\n"}
AHEAD_SECONDS = 8.0
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


def source(number: int) -> str:
    return APP.replace("NUMBER", str(number))


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def wait_for(get: Callable[[], str], text: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if get() == text:
                return
        except OSError:
            pass
        time.sleep(0.01)  # each question takes time of the processors that the work itself would have
    raise TimeoutError(f"{text!r} did not come")


def fetch(port: int, host: str = "localhost") -> str:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class ByHand:
    """The floor: what someone with a shell would do."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder.parent / "by-hand"
        self.venv, self.running = folder.parent / "venv", None

    def unpack(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=self.folder, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", self.place], input=archive, check=True)

    def install(self) -> None:
        shutil.rmtree(self.venv, ignore_errors=True)
        run = {"check": True, "capture_output": True}
        subprocess.run([UV, "venv", "-q", "--python", "/usr/bin/python3", self.venv], **run)
        subprocess.run(
            [UV, "pip", "install", "-q", "--link-mode", "copy", "-r", self.place / "requirements.txt"],
            env={**os.environ, "VIRTUAL_ENV": str(self.venv)},
            **run,
        )

    @contextmanager
    def started(self, text: str):
        port = free_port()
        process = subprocess.Popen(
            [self.venv / "bin/gunicorn", "-b", f"127.0.0.1:{port}", "app:app"],
            cwd=self.place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: fetch(port), text)
            yield
        finally:
            process.terminate()
            process.wait()

    def first(self, text: str) -> float:
        started = time.perf_counter()
        self.unpack()
        self.install()
        with self.started(text):
            return time.perf_counter() - started

    def again(self, text: str) -> float:
        started = time.perf_counter()
        self.unpack()
        with self.started(text):
            return time.perf_counter() - started

    def start(self, text: str) -> float:
        started = time.perf_counter()
        with self.started(text):
            return time.perf_counter() - started


async def load(port: int, host: str, stop: asyncio.Event, connections: int = 16) -> tuple[int, int]:
    """Keep asking over `connections` connections until `stop`; returns how many answers came and how many failed."""
    done = failed = 0
    ask = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    async def one() -> None:
        nonlocal done, failed
        reader = writer = None
        while not stop.is_set():
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(ask)
                head = await reader.readuntil(b"\r\n\r\n")
                lower = head.lower()
                await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
                done += 1
                failed += not head.startswith(b"HTTP/1.1 200")
                if b"connection: close" in lower:
                    writer.close()
                    writer = None
            except (OSError, EOFError, asyncio.IncompleteReadError):
                failed += 1
                writer = None

    await asyncio.gather(*(one() for _ in range(connections)))
    return done, failed


async def switch_under_load(platform: Platform, promote: Callable[[], object]) -> tuple[int, int]:
    stop = asyncio.Event()
    asking = asyncio.create_task(load(platform.port, "bench-live.localhost", stop))
    await asyncio.sleep(1)
    await asyncio.to_thread(promote)
    await asyncio.sleep(1)
    stop.set()
    return await asking


def memory(pid: int) -> float:
    """Resident MB of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    root = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    platform = Platform(root / "data").start()
    try:
        print(json.dumps(measure(platform, root, runs), indent=2))
    finally:
        platform.stop()
        shutil.rmtree(root, ignore_errors=True)


def measure(platform: Platform, root: Path, runs: int) -> dict[str, object]:
    time.sleep(5)
    idle = memory(platform.process.pid)
    platform.sign_up()
    pipeline = platform.pipeline("bench", staging="bench-staging", production="bench-live")
    folder = repository(root / "app", app__py=source(0), **FILES)
    hand = ByHand(folder)
    hand.unpack()
    hand.install()  # fills uv's cache for both
    hand.start("version 0")  # and makes the bytecode

    firsts, first_floor = [], []
    for n in range(max(2, runs // 2)):
        platform.app(f"bench-first-{n}")
        first_floor.append(hand.first("version 0"))
        firsts.append(timed(lambda n=n: push(platform, folder, f"bench-first-{n}", "version 0")))
    push(platform, folder, "bench-staging", "version 0")
    platform.promote(pipeline, "bench-staging", "bench-live")

    pushes, push_floor, promotions, start_floor = [], [], [], []
    for n in range(1, runs + 1):
        commit(folder, f"Version {n}", app__py=source(n))
        time.sleep(AHEAD_SECONDS)
        push_floor.append(hand.again(f"version {n}"))
        pushes.append(timed(lambda n=n: push(platform, folder, "bench-staging", f"version {n}")))
        start_floor.append(hand.start(f"version {n}"))
        promotions.append(
            timed(lambda n=n: promote(platform, pipeline, "bench-staging", "bench-live", f"version {n}"))
        )

    done = lost = 0
    for n in range(runs + 1, runs + 4):
        commit(folder, f"Version {n}", app__py=source(n))
        push(platform, folder, "bench-staging", f"version {n}")
        more, failed = asyncio.run(
            switch_under_load(platform, lambda: platform.promote(pipeline, "bench-staging", "bench-live"))
        )
        done, lost = done + more, lost + failed
    return {
        "first push": beside(firsts, first_floor),
        "code-only push": beside(pushes, push_floor),
        "promote": beside(promotions, start_floor),
        "switch under load": {"requests": done, "lost": lost},
        "idle MB": round(idle, 1),
        "commit": git(Path(__file__).resolve().parents[1], "rev-parse", "--short", "HEAD"),
    }


def push(platform: Platform, folder: Path, app: str, text: str) -> None:
    platform.push(folder, app)
    wait_for(lambda: fetch(platform.port, f"{app}.localhost"), text)


def promote(platform: Platform, pipeline: dict, source: str, target: str, text: str) -> None:
    """Promote one app to another, until that answers with `text`."""
    platform.api(
        "POST",
        "/pipeline-promotions",
        {
            "pipeline": {"id": pipeline["id"]},
            "source": {"app": {"id": source}},
            "targets": [{"app": {"id": target}}],
        },
    )
    wait_for(lambda: fetch(platform.port, f"{target}.localhost"), text)


def beside(ours: list[float], floor: list[float]) -> dict[str, object]:
    mine, by_hand = statistics.median(ours), statistics.median(floor)
    return {
        "ours": round(mine, 3),
        "floor": round(by_hand, 3),
        "ratio": round(mine / by_hand, 2),
        "all": [round(x, 3) for x in ours],
        "floors": [round(x, 3) for x in floor],
    }


if __name__ == "__main__":
    main()
