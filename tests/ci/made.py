"""Test runs as the conductor would have left them."""

from datetime import timedelta

from django.utils import timezone

from apps import logs
from ci import actions, settings
from ci.models import State, TestCase, TestNode, TestRun
from engine.spec import Line
from releases.models import Source

NAMES = [
    "adds to the cart",
    "removes from the cart",
    "keeps the cart",
    "asks for the address",
    "sends a receipt",
]
DIAGNOSTIC = """AssertionError: expected 200, got 500
    at tests/test_cart.py:42
"""


def make_run(pipeline, *, by, state="pending", commit="", branch="main", message="A change", **fields):
    """A run in this state, begun two minutes ago if it has."""
    source = Source.objects.create(user=by, path="sources/none")
    run = actions.start_run_of_source(
        pipeline, source, branch=branch, commit=commit or "a" * 40, message=message, by=by
    )
    over = state in (State.CANCELLED, State.SUCCEEDED, State.FAILED, State.ERRORED)
    now = timezone.now()
    changes = {
        "state": state,
        "status": "ended" if over else "pending" if state == State.PENDING else "running",
        "started_at": None if state == State.PENDING else now - timedelta(minutes=2),
        "finished_at": now if over else None,
        "lease_until": now + timedelta(days=1),
        "nodes_total": 1,
        "author": "Alice Liddell",
        **fields,
    }
    TestRun.objects.filter(pk=run.pk).update(**changes)
    run.refresh_from_db()
    return run


def make_node(run, *, index=0, state="succeeded", exit_code=0, **fields):
    """A node that ran for a minute."""
    begun = timezone.now() - timedelta(minutes=1)
    ended = None if state in (State.RUNNING, State.BUILDING) else timezone.now()
    return TestNode.objects.create(
        run=run, index=index, state=state, exit_code=exit_code, started_at=begun, finished_at=ended, **fields
    )


def make_cases(node, *, failed=(), skipped=(), names=NAMES, number=1):
    """Cases by these names; those `failed` have a diagnostic."""
    for at, name in enumerate(names, number):
        TestCase.objects.create(
            run=node.run,
            node=node,
            number=at,
            description=name,
            passed=name not in failed,
            directive="skip no printer here" if name in skipped else "",
            diagnostic=DIAGNOSTIC if name in failed else "",
            seconds=at / 8,
        )
    cases = TestCase.objects.filter(run=node.run)
    skips = cases.filter(directive__startswith="skip").count()
    TestRun.objects.filter(pk=node.run_id).update(
        failed=cases.filter(passed=False).count(),
        skipped=skips,
        passed=cases.filter(passed=True).count() - skips,
    )


def say(stream, *texts, dyno="test.1"):
    """Lines of output."""
    now = timezone.now().timestamp()
    logs.store().append(stream, [Line("app", dyno, text.encode(), now) for text in texts])


def seed(pipeline, *, by, rows=3):
    """A pipeline with a history of tests: run 1 failed on two nodes, 2 and following passed, the last goes on."""
    settings.set_settings(pipeline, on_push=True, supersede=True, by=by)
    settings.set_vars(pipeline, {"PAYMENTS_KEY": "sk_test_123", "LOCALE": "C.UTF-8"}, by=by)
    first = make_run(
        pipeline, by=by, state="failed", reason="2 tests failed.", nodes_total=2, running_at=timezone.now(),
        message="Ask for the address once",
    )  # fmt: skip
    for index, bad in ((0, ()), (1, NAMES[1:3])):
        node = make_node(first, index=index, state="failed" if bad else "succeeded", exit_code=int(bool(bad)))
        make_cases(node, failed=bad, skipped=NAMES[4:] if index == 0 else ())
        say(node.log_stream, "-----> Running test command `pytest`...", "..F.F")
        logs.store().end(node.log_stream)
    say(first.log_stream, "-----> Python app detected", "-----> Compressing...", dyno="build")
    logs.store().end(first.log_stream)
    for _ in range(rows):
        run = make_run(pipeline, by=by, state="succeeded", running_at=timezone.now())
        make_cases(make_node(run), names=NAMES)
    run = make_run(pipeline, by=by, state="running", running_at=timezone.now(), branch="checkout/" + "x" * 60)
    node = make_node(run, state="running", exit_code=None)
    say(node.log_stream, "-----> Running test command `pytest`...", "....")
    return run
