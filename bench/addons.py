"""How long an app waits for its database: from the order to a release with DATABASE_URL, beside initdb and a start by hand.

    python bench/addons.py [--rounds 5]

The first database of a platform makes the cluster; the second is a database in the cluster that runs. By hand: the same
initdb with the same options, `pg_ctl start -w`, `createdb`. A platform of its own, by the API, as everybody orders.
Figures are medians in seconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.servers import programs
from engine.servers.place import Place
from tests.platform.harness import Platform

FIRST_TARGET, SECOND_TARGET = 2.0, 1.0  # times by hand; seconds


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    found = programs.postgres() or sys.exit("No PostgreSQL is installed.")
    by_hand, first, second = [], [], []
    for _ in range(rounds):
        by_hand.append(start_by_hand(found))
        times = order_two()
        first.append(times[0])
        second.append(times[1])
    hand, one, two = map(statistics.median, (by_hand, first, second))
    ratio = one / hand
    print(f"PostgreSQL {found.major}, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    print(f"  initdb + start + createdb by hand   {hand:6.2f} s")
    print(f"  first database, order to release    {one:6.2f} s   {ratio:.2f}x, at most {FIRST_TARGET}x")
    print(f"  second database, order to release   {two:6.2f} s   at most {SECOND_TARGET} s")
    return 0 if ratio < FIRST_TARGET and two < SECOND_TARGET else 1


def start_by_hand(found: programs.Postgres) -> float:
    """As an administrator would do it, with the same durability."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        place = Place(Path(folder, "cluster"), "bench", 29990, found.needs)
        place.make()
        data = str(place.folder / "data")
        socket = str(place.folder)
        began = time.perf_counter()
        place.run([found.program("initdb"), "-D", data, "-U", "bench", "-A", "trust"], seconds=120)
        ctl, options = found.program("pg_ctl"), f"-p 28990 -k {socket} -c listen_addresses="
        place.run([ctl, "-D", data, "-o", options, "-l", f"{data}/log", "-w", "start"], seconds=60)
        subprocess.run(
            [found.program("createdb"), "-h", socket, "-p", "28990", "-U", "bench", "app"], check=True
        )
        took = time.perf_counter() - began
        place.run([ctl, "-D", data, "-m", "immediate", "-w", "stop"], seconds=60)
    return took


def order_two() -> tuple[float, float]:
    """Two orders for an app of a fresh platform."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        Path(folder).chmod(0o755)
        platform = Platform(Path(folder) / "data")
        platform.start()
        try:
            platform.sign_up()
            platform.api("POST", "/apps", {"name": "bench"})
            return order(platform, "DATABASE_URL"), order(platform, "SECOND_URL")
        finally:
            platform.stop()


def order(platform: Platform, key: str) -> float:
    """From the request until a release has the config var."""
    began = time.perf_counter()
    body = {"plan": "heroku-postgresql:essential-0", "attachment": {"name": key.removesuffix("_URL")}}
    platform.api("POST", "/apps/bench/addons", body)
    while key not in platform.api("GET", "/apps/bench/config-vars"):
        time.sleep(0.01)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
