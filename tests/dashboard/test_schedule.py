"""The pages of scheduled jobs."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains

from apps.models import App, Dyno
from scheduler import actions
from scheduler.models import ScheduledJob


@pytest.fixture
def app(shop):
    return App.objects.get(name="shop-staging")


@pytest.fixture
def job(app, alice):
    return actions.add_job(app, "rake <b>clean", schedule="30 5 * * 1-5", by=alice)


def asked(**changes):
    return {
        "command": "rake mail",
        "schedule": "0 * * * *",
        "zone": "UTC",
        "size": "eco",
        "overlap": "skip",
        **changes,
    }


def test_a_member_adds_a_job(app, bob, client):
    client.force_login(bob)
    assertContains(client.get("/apps/shop-staging/schedule/"), "Nothing runs by the clock")
    assert client.post("/apps/shop-staging/schedule/", asked()).status_code == 303
    job = ScheduledJob.objects.get()
    assert (job.command, job.schedule, job.size, job.by) == ("rake mail", "0 * * * *", "eco", bob)
    assertContains(client.get("/apps/shop-staging/schedule/"), "Every hour")


def test_what_is_wrong_stays_in_its_field(app, bob, client):
    client.force_login(bob)
    page = client.post("/apps/shop-staging/schedule/", asked(schedule="often"))
    assertContains(page, "This is no schedule that ever comes.", status_code=422)
    assertContains(page, 'value="often"', status_code=422)
    assertContains(page, 'value="rake mail"', status_code=422)


def test_a_viewer_looks_and_changes_nothing(job, vera, client):
    client.force_login(vera)
    page = client.get("/apps/shop-staging/schedule/")
    assertContains(page, "rake &lt;b&gt;clean")
    assertContains(page, "At 05:30 on Monday through Friday")
    assertNotContains(page, "Add job")
    assertNotContains(client.get(f"/apps/shop-staging/schedule/{job.pk}/"), "Run now")
    for way in ("", "pause/", "resumption/", "runs/", "removal/"):
        assert client.post(f"/apps/shop-staging/schedule/{job.pk}/{way}", asked()).status_code == 403
    job.refresh_from_db()
    assert job.schedule == "30 5 * * 1-5"


def test_where_config_is_for_admins_members_schedule_nothing(app, job, alice, bob, client):
    from pipelines.models import Stage

    Stage.objects.filter(pipeline__name="shop", name="staging").update(readers="admins")
    client.force_login(bob)
    assert client.post("/apps/shop-staging/schedule/", asked()).status_code == 403
    assert client.post(f"/apps/shop-staging/schedule/{job.pk}/runs/").status_code == 403
    assert not Dyno.objects.exists()


def test_running_pausing_changing_removing(job, bob, client):
    client.force_login(bob)
    at = f"/apps/shop-staging/schedule/{job.pk}/"
    assert client.post(f"{at}runs/").status_code == 303
    assertContains(client.get(at), Dyno.objects.get().name)
    client.post(f"{at}pause/")
    assertContains(client.get(at), "Resume")
    client.post(f"{at}resumption/")
    client.post(at, asked())
    job.refresh_from_db()
    assert (job.command, job.paused) == ("rake mail", False)
    client.post(f"{at}removal/")
    assert not ScheduledJob.objects.exists()


def test_a_job_is_found_in_its_own_app_only(job, alice, client):
    client.force_login(alice)
    assert client.get(f"/apps/shop-production/schedule/{job.pk}/").status_code == 404
    assert client.post(f"/apps/shop-production/schedule/{job.pk}/removal/").status_code == 404
