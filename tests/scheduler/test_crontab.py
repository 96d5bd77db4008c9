"""The jobs of an app.json come and go with the release that is current."""

import pytest

from core.errors import Conflict, Refusal
from scheduler import actions, crontab
from scheduler.models import ScheduledJob
from tests.factories import make_app


def bring(app, *jobs):
    crontab.bring(app, crontab.read({"cron": [{"command": c, "schedule": s} for c, s in jobs]}))


def have(app):
    return {(job.command, job.schedule) for job in app.scheduled_jobs.all()}


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice, released=True)


def test_they_come_stay_and_go(app, alice):
    actions.add_job(app, "by hand", schedule="0 * * * *", by=alice)
    bring(app, ("clean", "@daily"), ("mail", "*/5 * * * *"))
    job = ScheduledJob.objects.get(command="mail")
    actions.pause_job(job, True, by=alice)
    bring(app, ("mail", "*/5 * * * *"), ("new", "0 1 * * *"))
    assert have(app) == {("by hand", "0 * * * *"), ("mail", "*/5 * * * *"), ("new", "0 1 * * *")}
    assert ScheduledJob.objects.get(command="mail").paused
    bring(app)
    assert have(app) == {("by hand", "0 * * * *")}


def test_they_are_changed_in_app_json_only(app, alice):
    bring(app, ("clean", "@daily"))
    job = ScheduledJob.objects.get()
    with pytest.raises(Conflict):
        actions.remove_job(job, by=alice)
    with pytest.raises(Conflict):
        actions.change_job(job, "x", schedule="@daily", zone="UTC", size="eco", overlap="skip", by=alice)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("@daily", "has to be a list"),
        ([["clean"]], "cron[0] has to be an object"),
        ([{"schedule": "@daily"}], "cron[0] needs a command"),
        ([{"command": "x", "schedule": 5}], "cron[0] needs a schedule"),
        (
            [{"command": "x", "schedule": "@daily"}, {"command": "x", "schedule": "often"}],
            "cron[1]: often is no",
        ),
        ([{"command": "x", "schedule": "@daily"}] * 101, "100 jobs at most"),
    ],
)
def test_what_is_wrong_names_its_place(cron, said):
    with pytest.raises(Refusal) as refused:
        crontab.read({"cron": cron})
    assert said in refused.value.message
