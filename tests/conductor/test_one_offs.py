"""One-off dynos run once."""

import os

import pytest
from django.utils import timezone

from accounts import actions as account_actions
from accounts.models import ApiToken
from apps import actions, one_offs
from apps.models import Dyno
from scheduler import actions as scheduler_actions
from scheduler.models import ScheduledJob, ScheduledRun
from tests.conftest import eventually
from tests.factories import make_app


@pytest.fixture
def app(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice)
    return app


def run(app, command, by, **options):
    return one_offs.run_detached(app, command, release_version=1, by=by, **options)


def down(dyno):
    def check():
        dyno.refresh_from_db()
        return dyno.state == "down"

    eventually(check)
    return dyno


def test_one_that_the_clock_asks_for_waits_for_no_sweep(stage, alice, settings):
    settings.SWEEP_SECONDS = 3600
    stage.start()
    app = make_app("shop", owner=alice)
    stage.deployed(app, alice)
    job = scheduler_actions.add_job(app, "echo hello", schedule="0 * * * *", by=alice)
    ScheduledJob.objects.filter(pk=job.pk).update(next_at=timezone.now())
    eventually(lambda: ScheduledRun.objects.filter(job=job, status="succeeded").exists(), 20)


def test_it_runs_with_its_own_variables_and_ends_with_its_status(platform, app, alice):
    dyno = down(run(app, "echo hello $WHO; exit 4", alice, env={"WHO": "you"}))
    assert dyno.exit_code == 4
    eventually(lambda: "hello you" in platform.lines(app.log_stream))
    eventually(lambda: len(platform.conductor.parts.driver.observe(str(app.pk))) == 1)


def test_it_can_be_stopped(platform, app, alice):
    dyno = run(app, "sleep 1000", alice)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "up")
    actions.stop_dyno(app, dyno.name, by=alice)
    assert down(dyno).exit_code != 0


def test_it_ends_with_its_time(platform, app, alice):
    dyno = down(run(app, "sleep 1000", alice, time_to_live=1))
    assert "longer than 1 second" in dyno.reason


def test_it_never_runs_twice(platform, app, alice):
    dyno = run(app, "sleep 1000", alice)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "up")
    platform.stop()
    platform.start()
    assert "ended with the platform" in down(dyno).reason


def test_scaling_leaves_it_alone(platform, app, alice):
    dyno = run(app, "sleep 1000", alice)
    eventually(lambda: Dyno.objects.get(pk=dyno.pk).state == "up")
    actions.scale(app, {"web": {"quantity": 0}}, by=alice)
    eventually(lambda: not platform.backends(app))
    eventually(lambda: len(platform.conductor.parts.driver.observe(str(app.pk))) == 1)
    assert Dyno.objects.get(pk=dyno.pk).state == "up"


def test_of_a_release_without_code_it_says_so(platform, alice):
    empty = make_app("empty", owner=alice)
    assert "no code" in down(run(empty, "ls", alice)).reason


def attached(app, command, by, **options):
    return one_offs.run_attached(app, command, tty=False, release_version=1, by=by, **options)


def said(guest):
    """Everything that comes from the dyno until it ends."""
    os.set_blocking(guest.streams.reader, True)
    with os.fdopen(guest.streams.reader, "rb", closefd=False) as reader:
        text = reader.read()
    guest.streams.close()
    return text


def test_who_attaches_gets_what_it_says_and_the_log_does_not(platform, app, alice):
    dyno, secret = attached(app, "echo hello; exit 4", alice)
    guest = platform.conductor.find_guest(secret)
    assert said(guest) == b"hello\n"
    assert down(dyno).exit_code == 4
    assert "hello" not in platform.lines(app.log_stream)
    assert any("Starting process with command `echo hello" in line for line in platform.lines(app.log_stream))


def test_its_secret_works_once_and_others_never(platform, app, alice):
    _, secret = attached(app, "sleep 1000", alice)
    platform.conductor.find_guest(secret).leave()
    for wrong in (secret, "", "rendezvous-nobody"):
        with pytest.raises(LookupError, match="can't be attached"):
            platform.conductor.find_guest(wrong)


def test_it_ends_when_its_guest_has_gone(platform, app, alice):
    dyno, secret = attached(app, "sleep 1000", alice)
    guest = platform.conductor.find_guest(secret)
    guest.streams.close()
    guest.leave()
    down(dyno)


@pytest.mark.promise("I-31")
def test_its_guest_may_stay_as_long_as_they_might_start_it(platform, app, alice, bob):
    share = actions.share(app, bob, ["view", "deploy"], by=alice)
    token, shown = account_actions.create_token(bob, by=bob)
    programs = ApiToken.objects.presented(shown).user
    guests = []
    for by in (bob, programs):
        _, secret = attached(app, "sleep 1000", by)
        guests.append(platform.conductor.find_guest(secret))
    _, unused = attached(app, "sleep 1000", programs)
    assert [guest.may_stay() for guest in guests] == [True, True]
    account_actions.revoke_token(token, by=bob)
    assert [guest.may_stay() for guest in guests] == [True, False]
    with pytest.raises(LookupError, match="can't be attached"):
        platform.conductor.find_guest(unused)
    actions.unshare(share, by=alice)
    assert [guest.may_stay() for guest in guests] == [False, False]
    for guest in guests:
        guest.streams.close()
        guest.leave()


def test_who_comes_for_one_that_cannot_start_is_told_why(platform, app, alice):
    dyno, secret = one_offs.run_attached(app, "true", tty=False, release_version=99, by=alice)
    with pytest.raises(LookupError, match="no code in v99"):
        platform.conductor.find_guest(secret)
    down(dyno)
