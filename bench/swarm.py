"""How long a dyno takes to come up on a Docker engine in Swarm mode, beside the same container and service by hand.

    python bench/swarm.py [--rounds 5] [--engine unix:///var/run/docker.sock]

Each kind starts a tiny web server from the same mounted slug, in turns; figures are medians in seconds from the call to
the first answer. By hand there is nothing of ours but the body of the request.
"""

import argparse
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.drivers.swarm import SwarmDriver, describe
from engine.drivers.swarm.client import Client
from engine.drivers.swarm.describe import Place
from engine.drivers.swarm.image import run_image
from engine.spec import ProcessSpec

INSTANCE, STACK, PORT = "bench-swarm", "slipway/stack:24", 21990
TARGET = 1.3  # times the start of the same container by hand


def spec(number: int) -> ProcessSpec:
    command = "exec python3 -IS -m http.server $PORT"
    return ProcessSpec(
        id=f"bench-{number}", app="bench", dyno="web.1", command=command, slug="x", env={}, slot=1, web=True
    )


def until_it_answers(address: Callable[[], str]) -> None:
    """Ask as often as possible, 30 s at most."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if where := address():
                return urllib.request.urlopen(f"http://{where}/", timeout=1).close()
        except OSError:
            time.sleep(0.005)
    raise TimeoutError("no answer")


def by_hand(client: Client, place: Place, number: int, *, service: bool) -> float:
    """One container, or one service, made and started; returns the time to its first answer."""
    one, label = spec(number), f"{describe.DYNO}=bench-{number}"
    started = time.perf_counter()
    if service:
        client.create_service(describe.service(one, place))
    else:
        client.start(client.create_container(describe.container(one, place), f"bench-{number}"))

    def address() -> str:
        found = client.containers(label)
        networks = found[0]["NetworkSettings"]["Networks"].values() if found else []
        return next((f"{each['IPAddress']}:{PORT}" for each in networks if each["IPAddress"]), "")

    until_it_answers(address)
    took = time.perf_counter() - started
    if service:
        client.remove_service(describe.name(one, INSTANCE))
    for container in client.containers(label):
        client.remove_container(container["Id"])
    return took


def by_us(driver: SwarmDriver, number: int) -> float:
    """The same by the driver, until it says so."""
    started = time.perf_counter()
    driver.apply("bench", [spec(number)])
    while not any(s.id == f"bench-{number}" and s.state == "up" for s in driver.observe("bench")):
        time.sleep(0.001)
    took = time.perf_counter() - started
    driver.apply("bench", [])
    while driver.observe("bench"):
        time.sleep(0.01)
    return took


def main() -> None:
    """Print the figures; status 1 when the target is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--engine", default="unix:///var/run/docker.sock")
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        tree = Path(folder)
        tree.chmod(0o755)
        (tree / "index.html").write_text("hello")
        driver = SwarmDriver(
            args.engine, sink=lambda *_: None, tree=lambda _: tree, instance=INSTANCE, keep=False
        )
        client = Client(args.engine)
        # What runs all the time keeps the network on the node, as dynos of other apps do.
        driver.run(ProcessSpec("keeps", "keeps", "run.1", "exec sleep 3600", "x", {}, 1, one_off=True))
        place = Place(INSTANCE, run_image(client, STACK), 30001, PORT, 2, tree=tree)
        times: dict[str, list[float]] = {"container by hand": [], "service by hand": [], "driver": []}
        try:
            for number in range(args.rounds):
                times["container by hand"].append(by_hand(client, place, 10 * number, service=False))
                times["service by hand"].append(by_hand(client, place, 10 * number + 1, service=True))
                times["driver"].append(by_us(driver, 10 * number + 2))
        finally:
            driver.close()
            client.close()
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, found in times.items():
        print(f"{name:20} {medians[name]:.3f} s   {min(found):.3f}..{max(found):.3f}")
    ratio = medians["driver"] / medians["container by hand"]
    print(f"driver / container by hand: {ratio:.2f} (target {TARGET})")
    sys.exit(ratio > TARGET)


if __name__ == "__main__":
    main()
