"""How long a release takes from "start" to its first answer: the local driver beside the same gunicorn by hand.

    python bench/start.py [--rounds 11]

Both start the same gunicorn + Flask app from the same files in turns; figures are medians in milliseconds.
"""

import argparse
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.drivers.local import LocalDriver
from engine.spec import ProcessSpec

TARGET = 1.3
PORTS = range(21000, 21999)
APP = """
from flask import Flask
app = Flask(__name__)

@app.get("/")
def home():
    return "hello"
"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=11)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        tree = make_slug(Path(folder, "slug"))
        driver = LocalDriver(
            Path(folder, "driver"), sink=lambda *_: None, tree=lambda _: tree, instance="bench", ports=PORTS
        )
        try:
            by_hand(tree), by_driver(driver, "warm-up")
            pairs = [(by_hand(tree), by_driver(driver, str(n))) for n in range(rounds)]
        finally:
            driver.close()
    return report(pairs, driver.isolation)


def make_slug(tree: Path) -> Path:
    tree.mkdir()
    tree.joinpath("app.py").write_text(APP)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or sys.exit(
        "uv is absent"
    )
    into = ["--target", str(tree / "packages"), "--compile-bytecode", "--quiet", "--python", sys.executable]
    subprocess.run([uv, "pip", "install", *into, "flask", "gunicorn"], check=True)
    return tree


def command() -> str:
    return f"{shlex.quote(os.path.realpath(sys.executable))} -m gunicorn --bind 127.0.0.1:$PORT --workers 1 app:app"


def by_hand(tree: Path) -> tuple[float, float]:
    port = free_port()
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "packages", "PORT": str(port), "HOME": str(tree)}
    start = time.perf_counter()
    server = subprocess.Popen(
        ["/bin/bash", "-c", "exec " + command()],
        cwd=tree,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return first_answer(port, start), 0.0
    finally:
        server.terminate()
        server.wait()


def by_driver(driver: LocalDriver, id: str) -> tuple[float, float]:
    up = threading.Event()
    driver.on_change(lambda app: up.set() if app == id and is_up(driver, id) else None)
    spec = ProcessSpec(
        id=id,
        app=id,
        dyno="web.1",
        command=command(),
        slug="sha256:0",
        env={"PYTHONPATH": "packages"},
        slot=1,
        web=True,
    )
    start = time.perf_counter()
    driver.apply(id, [spec])
    if not up.wait(30):
        sys.exit(f"The dyno did not come up: {driver.observe(id)}")
    seen = time.perf_counter() - start
    answered = first_answer(driver.observe(id)[0].port or 0, start)
    driver.apply(id, [])
    while driver.observe(id):
        time.sleep(0.005)
    return answered, seen


def is_up(driver: LocalDriver, app: str) -> bool:
    return any(state.state == "up" for state in driver.observe(app))


def first_answer(port: int, start: float) -> float:
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                answer.read()
                return time.perf_counter() - start
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.002)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(pairs: list[tuple[tuple[float, float], tuple[float, float]]], isolation: str) -> int:
    hand = [pair[0][0] * 1000 for pair in pairs]
    driver = [pair[1][0] * 1000 for pair in pairs]
    seen = [pair[1][1] * 1000 for pair in pairs]
    ratio = statistics.median(driver) / statistics.median(hand)
    print(isolation)
    for what, figures in (
        ("by hand: first answer", hand),
        ("driver: seen as up", seen),
        ("driver: first answer", driver),
    ):
        print(f"{what:24} {statistics.median(figures):6.0f} ms  ({min(figures):.0f}..{max(figures):.0f})")
    print(f"ratio {ratio:.2f} (target: at most {TARGET})")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
