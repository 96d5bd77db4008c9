"""What lines cost, and how soon they act: pipelines with gates in which something waits.

    python bench/flow.py [--pipelines 200] [--seconds 130] [--rounds 10]

Targets: 200 pipelines with gates cost less than 5 % of one core while nothing happens; from the fact that opens the last
gate (an approval, a test run that ends) to the start of the promotion less than one second. What waits is looked at every
two minutes in any case, so the first takes that long. Beside it stands what one question to the database costs, two of
which each look asks; beside the second, the same work done by hand at once.
"""

import argparse
import base64
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the disk is not what is measured
os.environ["SLIPWAY_DATA"] = tempfile.mkdtemp(prefix="slipway-bench-", dir=MEMORY)
os.environ.setdefault("SLIPWAY_SECRET_KEY", base64.b64encode(os.urandom(40)).decode())
os.environ.setdefault("SLIPWAY_KEYS", "bench:" + base64.b64encode(os.urandom(32)).decode())

import django

django.setup()
# ruff: noqa: E402 - models can be imported only now

from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from accounts import actions as account_actions
from accounts.models import Team, User
from ci.models import TestRun
from conductor import flow as conductor_flow
from core import changes, live
from flow import actions, passages
from flow.models import Line, Passage
from pipelines.models import Pipeline, Promotion
from tests.factories import make_app, make_pipeline, make_release, make_user, stage


class Looking:
    """The conductor's look at lines, as its thread does it."""

    def __init__(self) -> None:
        self.flow, self.ended = conductor_flow.Flow(), threading.Event()
        self.cpu = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._deafen = live.listen(self._heard)

    def __enter__(self) -> "Looking":
        self._thread.start()
        return self

    def __exit__(self, *of: object) -> None:
        self.ended.set()
        self.flow.woken.set()
        self._thread.join()
        self._deafen()

    def _heard(self, topic: str) -> None:
        if topic == live.CONDUCTOR:
            self.flow.woken.set()

    def _run(self) -> None:
        while not self.ended.is_set():
            began = time.thread_time()
            self.flow.look()
            self.cpu += time.thread_time() - began
            self.flow.woken.wait(conductor_flow.LOOK_SECONDS)
            self.flow.woken.clear()
        connections.close_all()


def make(count: int, owner: Team, by: User) -> list[Pipeline]:
    """Pipelines in which a release waits for tests, an approval and its health."""
    made = []
    for n in range(count):
        pipeline = make_pipeline(f"shop-{n}", owner=owner)
        make_app(f"staging-{n}", owner=owner, stage=stage(pipeline, "staging"), released=True)
        make_release(make_app(f"production-{n}", owner=owner, stage=stage(pipeline, "production")), by=by)
        line = actions.set_line(stage(pipeline, "production"), mode="auto", by=by)
        actions.add_gate(line, "ci", {}, by=by)
        actions.add_gate(line, "approval", {}, by=by)
        actions.add_gate(line, "healthy", {"minutes": 0, "errors": 1.0}, by=by)
        made.append(pipeline)
    return made


def idle(seconds: float) -> float:
    """Percent of one core."""
    with Looking() as looking:
        while Line.objects.filter(stale=True).exists() or passages.due(timezone.now()):
            time.sleep(0.5)  # what was made just now is looked at first
        before, began = looking.cpu, time.monotonic()
        time.sleep(seconds)
        return 100 * (looking.cpu - before) / (time.monotonic() - began)


def question() -> float:
    """Milliseconds that one question costs."""
    began, rounds = time.thread_time(), 300
    for _ in range(rounds):
        list(Line.objects.filter(stale=True).values_list("pk", flat=True)[:200])
    return 1000 * (time.thread_time() - began) / rounds


def tests_end(pipeline: Pipeline) -> None:
    """The tests of what waits pass."""
    commit = Passage.objects.get(line__stage__pipeline=pipeline).slug.commit
    run = TestRun.objects.create(
        pipeline=pipeline,
        number=1,
        branch="main",
        commit=commit,
        state="succeeded",
        status="ended",
        finished_at=timezone.now(),
    )
    changes.note(changes.Change(run, pipeline_id=pipeline.pk))


def until_promoted(pipeline: Pipeline, last: str, by: User) -> float:
    """Seconds from the fact that opens the last gate until the promotion is there."""
    passage = Passage.objects.get(line__stage__pipeline=pipeline, state="open")
    first, then = ("approve", "tests") if last == "tests" else ("tests", "approve")
    does = {"approve": lambda: actions.approve(passage, by=by), "tests": lambda: tests_end(pipeline)}
    does[first]()
    time.sleep(1.5)
    began = time.monotonic()
    does[then]()
    while not Promotion.objects.filter(pipeline=pipeline).exists():
        if time.monotonic() - began > 20:
            raise SystemExit("It was never promoted.")
        time.sleep(0.005)
    return time.monotonic() - began


def by_hand(pipeline: Pipeline) -> float:
    """Seconds that looking and promoting take when they are asked for at once."""
    related = ("line__stage__pipeline", "line__by", "source", "release", "slug")
    rows = Passage.objects.select_related(*related)
    passage = rows.get(line__stage__pipeline=pipeline, state="open")
    tests_end(pipeline)
    actions.approve(passage, by=User.objects.get(email="bob@example.com"))
    began = time.monotonic()
    passages.look(passage)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=130)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    call_command("migrate", verbosity=0)
    alice, bob = make_user("alice@example.com"), make_user("bob@example.com")
    team = account_actions.create_team("acme", by=alice)
    account_actions.set_role(team, bob, "member", by=alice)
    pipelines = make(asked.pipelines, team, alice)
    Line.objects.update(by=alice)
    for pipeline in pipelines:
        for gate in Line.objects.get(stage__pipeline=pipeline).gates.filter(kind="approval"):
            actions.change_gate(gate, {"people": [str(bob.pk)]}, by=alice)
    print(f"{asked.pipelines} pipelines, each with three gates and a release that waits")
    print(f"  one question to the database            {question():6.2f} ms")
    print(
        f"  looking at lines while nothing happens  {idle(asked.seconds):6.2f} % of a core (target under 5)"
    )
    hand = [by_hand(pipeline) for pipeline in pipelines[:3]]
    print(f"  a look and a promotion, asked at once   {1000 * statistics.median(hand):6.0f} ms")
    with Looking():
        rest = iter(pipelines[3:])
        for last in ("approve", "tests"):
            took = [until_promoted(next(rest), last, bob) for _ in range(asked.rounds)]
            print(
                f"  last gate opened by {last:8s}            {1000 * statistics.median(took):6.0f} ms median, "
                f"{1000 * max(took):.0f} ms worst of {asked.rounds} (target under 1000)"
            )


if __name__ == "__main__":
    main()
