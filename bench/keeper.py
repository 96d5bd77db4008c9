"""How long the conductor needs to look at everything: 1,000 apps on 10 nodes, with an engine that only keeps records.

    python bench/keeper.py [--apps 1000] [--nodes 10] [--dynos 2] [--rounds 5]

Target: a pass in which nothing has changed takes less than a second. Beside it: the database questions alone, which any
pass needs; a first pass, in which everything is started; and what one lost node costs.
"""

import argparse
import base64
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the disk is not what is measured
os.environ["SLIPWAY_DATA"] = tempfile.mkdtemp(prefix="slipway-bench-", dir=MEMORY)
os.environ.setdefault("SLIPWAY_SECRET_KEY", base64.b64encode(os.urandom(40)).decode())
os.environ.setdefault("SLIPWAY_KEYS", "bench:" + base64.b64encode(os.urandom(32)).decode())

import django

django.setup()
# ruff: noqa: E402 - models can be imported only now

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from apps.models import App, Dyno, Formation
from conductor import wishes
from conductor.dynos import Keeper
from conductor.parts import NoRouter, Parts
from engine.logstore import LogStore
from engine.plan import plan
from engine.spec import DynoState, ProcessSpec
from releases.slugs import store as slugs
from tests.factories import make_app, make_user

LIMIT = 1.0  # seconds for a pass in which nothing has changed


class Recorded:
    """An engine of several nodes on which every dyno is up at once."""

    def __init__(self, nodes: int) -> None:
        self.nodes, self.at = nodes, 0
        self.found: dict[str, dict[str, DynoState]] = defaultdict(dict)

    def apply(self, app: str, wanted: Sequence[ProcessSpec]) -> None:
        """Have exactly `wanted`."""
        here = self.found[app]
        todo = plan(wanted, here.values())
        for spec in todo.start:
            self.at += 1
            host = f"10.0.0.{1 + self.at % self.nodes}"
            here[spec.id] = DynoState(spec.id, spec.dyno, "up", host=host, port=20000, since=time.time())
        for id in (*todo.stop, *todo.forget):
            del here[id]

    def observe(self, app: str) -> list[DynoState]:
        """What is there."""
        return list(self.found[app].values())

    def apps(self) -> set[str]:
        """Which apps have any."""
        return set(self.found)

    def lose(self, host: str) -> int:
        """Take a node away; returns how many dynos were on it."""
        lost = 0
        for here in self.found.values():
            for id, state in list(here.items()):
                if state.host == host:
                    here[id] = DynoState(id, state.dyno, "crashed", exit_code=None, reason="its node is gone")
                    lost += 1
        return lost


class Counting(Keeper):
    """A keeper that notes whom it would look at, so that the two halves of a pass are measured apart."""

    def poke(self, app_id: UUID, *, in_seconds: float = 0) -> None:
        """Only noted."""
        self.poked.append(app_id)

    poked: list[UUID]


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def passing(keeper: Counting) -> tuple[float, float, int]:
    """One pass: seconds for the look, for closing gaps, and in how many apps there were any."""
    keeper.poked = []
    look = timed(keeper.poke_all)
    gaps = list(dict.fromkeys(keeper.poked))
    close = timed(lambda: [keeper.settle(app_id) for app_id in gaps])
    return look, close, len(gaps)


def main() -> int:
    """Measure, print, and say by the exit status whether the target was met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--dynos", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()

    call_command("migrate", verbosity=0)
    with transaction.atomic():
        alice = make_user("alice@example.com", name="Alice Liddell")
        for number in range(asked.apps):
            make_app(f"app-{number}", owner=alice, released=True)
    Formation.objects.all().delete()
    Dyno.objects.all().delete()
    Formation.objects.bulk_create(
        Formation(app=app, type="web", quantity=asked.dynos) for app in App.objects.all()
    )
    engine = Recorded(asked.nodes)
    logs = LogStore(settings.DATA / "bench-logs")
    keeper = Counting(Parts(engine, NoRouter(), logs, slugs(), settings.DATA))  # type: ignore[arg-type]

    _, close, gaps = passing(keeper)
    print(f"{gaps} apps started, {close / max(gaps, 1) * 1000:.1f} ms each")
    while passing(keeper)[2]:  # until rows say what the engine says
        pass
    questions = min(timed(wishes.views) for _ in range(asked.rounds))
    busy = time.process_time()
    looks = [passing(keeper)[0] for _ in range(asked.rounds)]
    busy = (time.process_time() - busy) / asked.rounds
    found = statistics.median(looks)
    print(
        f"a pass over {asked.apps} apps with {asked.apps * asked.dynos} dynos on {asked.nodes} nodes: {found:.2f} s "
        f"({busy:.2f} s of processor time; the questions alone {questions:.2f} s), target {LIMIT} s"
    )
    lost = engine.lose("10.0.0.1")
    look, close, gaps = passing(keeper)
    print(
        f"a node with {lost} dynos is lost: seen in {look:.2f} s, {gaps} apps put right in {close:.2f} s more"
    )
    return int(found > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
