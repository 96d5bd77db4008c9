"""How long a board takes to draw, in process, and how long until those who watch it see a change.

    python bench/board.py [--cards 3 100 1000] [--rounds 15] [--watchers 20]

Targets: a board of 100 apps in 10 queries, 80 ms and 150 kB, one of 1,000 within a second; twenty browsers on a board
of 100 see a change within a second. A large board draws the first apps of each stage.
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

from bench import watchers as watching

os.environ["SLIPWAY_URL"] = f"http://localhost:{watching.PORT}"  # cookies are named after it
django.setup()
# ruff: noqa: E402 - models can be imported only now

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import actions as account_actions
from accounts.models import User
from dashboard.cards import ROOM
from pipelines.models import Pipeline
from tests.dashboard.test_board import fill
from tests.factories import make_app, make_pipeline, make_user, stage

SMALL, LARGE = 80, 1000  # milliseconds


def make(cards: int) -> tuple[User, Pipeline]:
    """A pipeline of `cards` apps and its owner."""
    alice = make_user(f"alice{cards}@example.com", name="Alice Liddell")
    team = account_actions.create_team(f"team-{cards}", by=alice)
    pipeline = make_pipeline(f"bench-{cards}", owner=team)
    make_app(f"first-{cards}", owner=team, stage=stage(pipeline, "staging"), released=True)
    fill(pipeline, team, alice, cards - 1, prefix=f"bulk{cards}")
    return alice, pipeline


def measure(cards: int, rounds: int) -> bool:
    """Print the queries and times of a board with `cards` apps; whether the targets are met."""
    alice, pipeline = make(cards)
    client = Client(headers={"host": "localhost"})
    client.force_login(alice)
    url = f"/pipelines/{pipeline.name}/"
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        page = client.get(url)
    asked = len(queries)
    assert page.content.count(b'class="card"') >= min(cards, ROOM - 3)
    times, busy = [], []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        client.get(url)
        times.append((time.perf_counter() - began) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    size = len(page.content) // 1000
    print(
        f"{cards:>5} cards  {asked:>3} queries  median {statistics.median(times):7.1f} ms  "
        f"best {min(times):7.1f} ms  CPU {statistics.median(busy):7.1f} ms  {size:>4} kB"
    )
    most = SMALL if cards <= 100 else LARGE
    return asked <= 10 and statistics.median(times) < most and size < 150


def watch(cards: int, watchers: int) -> bool:
    """Print how long `watchers` take to see a change; whether the target is met."""
    alice, pipeline = make(cards)
    client = Client(headers={"host": "localhost"})
    client.force_login(alice)
    app = f"bulk{cards}-0"
    with watching.server():
        cookies = {name: morsel.value for name, morsel in client.cookies.items()}
        took = watching.measure(pipeline.name, app, cookies, watchers=watchers, rounds=10)
    return watching.report(took, watchers, cards)


def main() -> int:
    """Make a database for the purpose, and measure; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cards", type=int, nargs="+", default=[3, 100, 1000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--watchers", type=int, default=20)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    met = [measure(cards, options.rounds) for cards in options.cards]
    if options.watchers:
        met.append(watch(99, options.watchers))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
