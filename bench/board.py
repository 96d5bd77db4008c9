"""How long a board takes to draw, in process: queries and milliseconds for boards of several sizes.

    python bench/board.py [--cards 3 100 1000] [--rounds 15]

The target is a board of 100 cards in at most 10 queries and 50 ms; the number of queries never grows.
"""

import argparse
import base64
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ["SLIPWAY_DATA"] = tempfile.mkdtemp(prefix="slipway-bench-")
os.environ.setdefault("SLIPWAY_SECRET_KEY", base64.b64encode(os.urandom(40)).decode())
os.environ.setdefault("SLIPWAY_KEYS", "bench:" + base64.b64encode(os.urandom(32)).decode())

import django

django.setup()
# ruff: noqa: E402 - models can be imported only now

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import actions as account_actions
from tests.dashboard.test_board import fill
from tests.factories import make_app, make_pipeline, make_user, stage

TARGET = 50


def measure(cards: int, rounds: int) -> None:
    """Print the queries and times of a board with `cards` cards."""
    alice = make_user(f"alice{cards}@example.com", name="Alice Liddell")
    team = account_actions.create_team(f"team-{cards}", by=alice)
    pipeline = make_pipeline(f"bench-{cards}", owner=team)
    make_app(f"first-{cards}", owner=team, stage=stage(pipeline, "staging"), released=True)
    fill(pipeline, team, alice, cards - 1, prefix=f"bulk{cards}")
    client = Client(headers={"host": "localhost"})
    client.force_login(alice)
    url = f"/pipelines/{pipeline.name}/"
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        page = client.get(url)
    asked = len(queries)
    assert page.content.count(b'class="card"') == cards
    times, busy = [], []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        client.get(url)
        times.append((time.perf_counter() - began) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    size = len(page.content) // 1024
    print(
        f"{cards:>5} cards  {asked:>3} queries  median {statistics.median(times):7.1f} ms  "
        f"best {min(times):7.1f} ms  CPU {statistics.median(busy):7.1f} ms  {size:>5} KiB"
    )


def main() -> None:
    """Make a database for the purpose, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cards", type=int, nargs="+", default=[3, 100, 1000])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    for cards in options.cards:
        measure(cards, options.rounds)
    print(f"target: 100 cards in 10 queries and {TARGET} ms")


if __name__ == "__main__":
    main()
