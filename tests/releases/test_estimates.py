"""What to expect of builds and releases, judged by the last ones."""

from datetime import timedelta

import pytest
from django.utils import timezone

from releases import estimates
from releases.models import Build, Release
from tests.factories import make_app, make_release, make_source


@pytest.fixture
def app(alice):
    return make_app("shop", owner=alice)


def built(app, seconds, status="succeeded", **steps):
    began = timezone.now()
    return Build.objects.create(
        app=app,
        source=make_source(app),
        status=status,
        started_at=began,
        finished_at=began + timedelta(seconds=seconds),
        steps=[
            {"name": name.replace("_", " "), "at": began.isoformat(), "seconds": s}
            for name, s in steps.items()
        ],
    )


def test_without_a_past_nothing_is_said(app):
    built(app, 10, status="failed")
    for kind in ("build", "release", "compile", "start"):
        assert estimates.seconds_expected(app, kind) is None
    assert estimates.of_build(app) == {}


def test_it_is_the_median_of_the_last_five_that_ended_well(app, alice):
    for seconds in (500, 500, 500, 38, 41, 40, 39, 90):
        built(app, seconds)
    built(app, 1, status="failed")
    built(make_app("other", owner=alice), 1)
    assert estimates.seconds_expected(app, "build") == 40
    assert estimates.expected(app, "build").runs == 5


def test_steps_are_known_by_name(app):
    built(app, 10, fetch_source=1.0, compile=8.0, release=0.1)
    built(app, 20, fetch_source=3.0, compile=16.0, release=0.1)
    assert estimates.seconds_expected(app, "compile") == 12.0
    found = estimates.of_build(app)
    assert (found["build"].seconds, found["fetch source"].seconds, found["build"].runs) == (15, 2.0, 2)
    assert "release" not in found


def test_releases_that_start_dynos_count_and_no_others(app, alice, django_assert_num_queries):
    began = timezone.now()
    for seconds in (4, 6):
        release = make_release(app, by=alice)
        Release.objects.filter(pk=release.pk).update(
            started_at=began,
            finished_at=began + timedelta(seconds=seconds),
            steps=[{"name": "start", "at": began.isoformat(), "seconds": seconds / 2}],
        )
    other = make_app("other", owner=alice)
    with django_assert_num_queries(1):
        found = estimates.expected_for([app.pk, other.pk], "release")
    assert {key: one.seconds for key, one in found.items()} == {app.pk: 5}
    assert estimates.seconds_expected(app, "start") == 2.5
