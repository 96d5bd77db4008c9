"""How long the Platform API takes to answer, in process, and how many queries that takes.

    python bench/api.py [--apps 200] [--rounds 50]

Targets: `GET /apps/<app>` within 6 ms, `GET /apps` with 200 apps within 25 ms, `PATCH …/config-vars` (what
`heroku config:set` waits for, the release included) within 50 ms.
"""

import argparse
import base64
import json
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

from accounts.actions import create_token
from tests.factories import make_app, make_user


def main() -> None:
    """Print a line for each call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--apps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    alice = make_user("alice@example.com", name="Alice Liddell")
    for number in range(options.apps):
        make_app(f"app-{number}", owner=alice, released=True)
    _, token = create_token(alice, by=alice)
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
    numbers = iter(range(10**6))
    calls = {
        "GET /apps/<app>": (6, lambda: client.get("/apps/app-7")),
        f"GET /apps, {options.apps} of them": (25, lambda: client.get("/apps")),
        "PATCH /apps/<app>/config-vars": (
            50,
            lambda: client.patch(
                "/apps/app-7/config-vars",
                json.dumps({"N": str(next(numbers))}),
                content_type="application/json",
            ),
        ),
    }
    for name, (target, call) in calls.items():
        measure(name, target, call, options.rounds)


def measure(name, target, call, rounds):
    """Time one call, after a first that warms up."""
    assert call().status_code == 200
    with CaptureQueriesContext(connection) as queries:
        call()
        asked = len(queries)
    wall, used = [], []
    for _ in range(rounds):
        at, cpu = time.perf_counter(), time.process_time()
        assert call().status_code == 200
        wall.append((time.perf_counter() - at) * 1000)
        used.append((time.process_time() - cpu) * 1000)
    print(
        f"{name}: {statistics.median(wall):.1f} ms median, {min(wall):.1f} best, "
        f"{statistics.median(used):.1f} ms of processor time, {asked} queries (target {target} ms)"
    )


if __name__ == "__main__":
    main()
