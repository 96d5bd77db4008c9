"""What is due runs once at its time, in a one-off dyno, and its history says what became of it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import connection

from apps import suspension
from apps.models import Dyno
from core import changes
from core.changes import Change
from core.errors import Refusal
from core.models import Event
from releases.models import Release
from scheduler import actions, runs
from scheduler.models import ScheduledJob, ScheduledRun
from tests.factories import make_app, make_release

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = NOON

    monkeypatch.setattr("django.utils.timezone.now", lambda: Clock.now)
    return Clock


@pytest.fixture
def app(alice, clock):
    return make_app("shop", owner=alice, released=True)


def add(app, by, schedule="*/10 * * * *", command="rake clean", **extra):
    return actions.add_job(app, command, schedule=schedule, by=by, **extra)


def end(run, exit_code=0, reason=""):
    """The dyno of a run ends, as the conductor says it."""
    dyno = Dyno.objects.get(pk=run.dyno_id)
    dyno.state, dyno.exit_code, dyno.reason = Dyno.State.DOWN, exit_code, reason
    dyno.save()
    changes.note(Change(dyno, app_id=dyno.app_id))
    run.refresh_from_db()
    return run


def test_it_runs_at_its_time_with_the_release_of_that_time(app, alice, clock):
    job = add(app, alice)
    assert job.next_at == NOON + 10 * MINUTE
    clock.now += 9 * MINUTE
    assert runs.run_due() == 0
    make_release(app, by=alice)
    clock.now += MINUTE + timedelta(seconds=2)
    assert runs.run_due() == 1 and runs.run_due() == 0
    run = ScheduledRun.objects.get()
    dyno = run.dyno
    assert (dyno.command, dyno.one_off, dyno.type, dyno.by) == ("rake clean", True, "scheduler", None)
    assert dyno.release_version == Release.objects.get(app=app, current=True).version == 2
    assert (run.due_at, run.status) == (NOON + 10 * MINUTE, "running")
    job.refresh_from_db()
    assert job.next_at == NOON + 20 * MINUTE


def test_the_end_of_its_dyno_is_the_end_of_the_run(app, alice, clock):
    job = add(app, alice)
    clock.now += 10 * MINUTE
    runs.run_due()
    clock.now += timedelta(seconds=30)
    run = end(job.runs.get())
    assert (run.status, run.exit_code, run.seconds) == ("succeeded", 0, 30.0)


def test_a_failure_is_told_once_until_it_succeeds(
    app, alice, clock, settings, django_capture_on_commit_callbacks
):
    settings.MAIL = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    job = add(app, alice)
    with django_capture_on_commit_callbacks(execute=True):
        for status in (1, 1, 0, 7):
            clock.now += 10 * MINUTE
            runs.run_due()
            end(job.runs.get(status="running"), status)
    job.refresh_from_db()
    assert job.failures == 1
    assert [letter.subject for letter in mail.outbox] == ["shop: a scheduled job failed"] * 2
    assert "It exited with status 7." in mail.outbox[1].body
    assert Event.objects.filter(verb="failed to run").count() == 3


@pytest.mark.parametrize(
    ("overlap", "statuses"), [("skip", ["running", "skipped"]), ("together", ["running"] * 2)]
)
def test_a_run_that_goes_on_is_not_overtaken_unless_it_may(app, alice, clock, overlap, statuses):
    job = add(app, alice, overlap=overlap)
    for _ in range(2):
        clock.now += 10 * MINUTE
        runs.run_due()
    assert [run.status for run in job.runs.order_by("due_at")] == statuses
    job.refresh_from_db()
    assert job.failures == 0


def test_what_was_missed_runs_once(app, alice, clock):
    job = add(app, alice)
    clock.now += timedelta(hours=5, minutes=3)
    assert runs.run_due() == 1
    job.refresh_from_db()
    assert job.next_at == NOON + timedelta(hours=5, minutes=10)


@pytest.mark.parametrize("why", ["no code", "suspended"])
def test_what_cannot_run_says_why(alice, clock, why):
    app = make_app("bare", owner=alice, released=why != "no code")
    job = add(app, alice)
    if why == "suspended":
        suspension.suspend_app(app, True, by=None)
    clock.now += 10 * MINUTE
    runs.run_due()
    run = job.runs.get()
    assert run.status == "failed" and why.split()[-1] in run.reason and run.dyno is None
    assert not Dyno.objects.exists()


def test_paused_it_rests_and_resumed_it_starts_afresh(app, alice, clock):
    job = actions.pause_job(add(app, alice), True, by=alice)
    clock.now += timedelta(days=1)
    assert runs.run_due() == 0
    job = actions.pause_job(job, False, by=alice)
    assert job.next_at == clock.now + 10 * MINUTE and runs.run_due() == 0


def test_it_runs_by_the_clocks_of_its_zone(app, alice, clock):
    clock.now = datetime(2026, 3, 27, 12, tzinfo=UTC)  # two days before clocks go forward there
    job = add(app, alice, "30 5 * * *", zone="Europe/Berlin")
    due = []
    for _ in range(3):
        due.append(job.next_at)
        job.next_at = job.after(job.next_at)
    assert [moment.hour for moment in due] == [4, 3, 3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "* * * *"},
        {"schedule": "0 0 31 2 *"},
        {"schedule": "* * * * * *"},
        {"schedule": "@reboot"},
        {"schedule": "a b c d e"},
        {"schedule": "*/0 * * * *"},
        {"schedule": ""},
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"size": "huge"},
        {"overlap": "maybe"},
        {"command": "  "},
        {"command": "x" * 2001},
        {"command": "a\0b"},
    ],
)
def test_what_is_wrong_is_refused_at_its_field(app, alice, wrong):
    with pytest.raises(Refusal) as refused:
        add(app, alice, **wrong)
    assert set(refused.value.fields) == set(wrong)
    assert not ScheduledJob.objects.exists()


def test_nicknames_are_understood(app, alice):
    assert add(app, alice, " @daily ").schedule == "0 0 * * *"


@pytest.mark.promise("I-16")
@pytest.mark.django_db(transaction=True)
def test_of_many_who_look_one_runs_it(app, alice, clock):
    job = add(app, alice)
    clock.now += 10 * MINUTE

    def look():
        try:
            runs.run_due()
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert job.runs.count() == Dyno.objects.count() == 1


def test_history_is_bounded(app, alice, clock, monkeypatch):
    monkeypatch.setattr("scheduler.runs.KEEP", 3)
    job = add(app, alice, overlap="together")
    for _ in range(6):
        clock.now += 10 * MINUTE
        runs.run_due()
    assert job.runs.count() == 3
