"""The page of an app's metrics."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from apps import actions, alerts, memory
from apps.models import Crash, Dyno, DynoEvent, Formation, Traffic
from dashboard import charts, metric_panels
from engine.spec import MB
from engine.tally import BOUNDS
from releases.models import Release
from tests.factories import make_app, make_release

PAGE, ALERTS = "/apps/shop/metrics/", "/apps/shop/alerts/"


@pytest.fixture
def app(db, alice, client):
    client.force_login(alice)
    return make_app("shop", owner=alice)


def busy(app, *, ago, requests, errors=0):
    spread = [0] * (len(BOUNDS) + 1)
    spread[6] = requests  # between 75 and 100 ms
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=ago)
    Traffic.objects.create(
        app=app, minute=at, release_version=1, requests=requests, errors=errors, spread=spread
    )


def text(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.text))


def test_figures_and_charts_are_those_of_the_span(app, client):
    busy(app, ago=5, requests=300)
    busy(app, ago=200, requests=1000, errors=20)
    hour, half_day = client.get(f"{PAGE}?span=1h"), client.get(PAGE)
    assert "300 requests, 5 a minute" in text(hour) and "0 %, 0 of 300" in text(hour)
    assert "1,300 requests, 1.8 a minute" in text(half_day) and "1.54 %, 20 of 1,300" in text(half_day)
    assert "p50 88 ms" in text(hour) and "p99 100 ms" in text(hour)
    assert hour.text.count('<path class="chart__line') == 5
    assert 'href="/apps/shop/metrics/?span=1h" aria-current="page"' in hour.text
    assert 'href="/apps/shop/metrics/?span=12h" aria-current="page"' in half_day.text


def test_a_span_that_is_none_is_half_a_day(app, client):
    assert 'metrics/?span=12h" aria-current' in client.get(f"{PAGE}?span=<b>").text


def test_an_app_without_requests_says_so(app, client):
    assert "No requests in this time" in client.get(PAGE).text


def test_htmx_gets_the_charts_alone_and_asks_again(app, client):
    answer = client.get(f"{PAGE}?span=1h", headers={"HX-Request": "true"})
    assert "<html" not in answer.text
    assert 'hx-get="/apps/shop/metrics/?span=1h" hx-trigger="every 60s"' in answer.text


def test_trouble_is_told_with_a_way_to_the_log(app, client):
    busy(app, ago=30, requests=100, errors=40)
    page = client.get(PAGE)
    assert "40 of 100 requests ended with a 5xx status." in text(page)
    assert "/apps/shop/logs/?level=error" in page.text
    Traffic.objects.update(errors=1)
    assert "ended with a 5xx status" not in client.get(PAGE).text


def test_crashes_of_that_time_are_listed(app, client):
    make_release(app)
    Crash.objects.create(app=app, release_version=1, dyno="web.3", exit_code=137, reason="<b>R15")
    Crash.objects.create(app=app, release_version=1, dyno="web.4", at=timezone.now() - timedelta(hours=13))
    page = client.get(PAGE)
    assert "web.3" in page.text and "Status 137" in page.text and "&lt;b&gt;R15" in page.text
    assert "web.4" not in page.text


def test_releases_are_marked_where_they_took_over(app, client):
    for ago in (600, 590, 60):
        release = make_release(app)
        Release.objects.filter(pk=release.pk).update(finished_at=timezone.now() - timedelta(minutes=ago))
    marks = metric_panels.context(app, "12h")["marks"]
    assert [mark.name for mark in marks] == ["v3", "v2", ""]  # v1 stands too near
    assert 90 < marks[0].x < 94 and 15 < marks[1].x < 20 and marks[2].x < marks[1].x


def test_of_a_stranger_nothing_is_seen(app, client, bob):
    client.force_login(bob)
    assert client.get(PAGE).status_code == 404


@pytest.mark.parametrize(
    ("highest", "least", "top"),
    [
        (0, 100, 100),
        (100, 100, 100),
        (101, 100, 200),
        (260, 100, 500),
        (501, 100, 1000),
        (1001, 100, 2000),
        (3, 1, 5),
    ],
)
def test_a_scale_ends_where_it_can_be_halved(highest, least, top):
    assert charts.ceiling(highest, least) == top


def test_a_line_is_interrupted_where_there_is_nothing():
    line = charts.line([0, 50, None, 100, None], 100, "c1")
    assert line.path == "M0.0 100.0L250.0 50.0M750.0 0.0L752.0 0.0"
    assert charts.line([None, None], 100, "c1").path == ""
    assert charts.fill([0, 50, None], 100, "c1").path == "M0.0 100.0L500.0 50.0L500.0 100L0.0 100Z"


def test_names_of_lines_that_meet_stand_apart():
    lines = [charts.line([value], 100, "c1", name) for name, value in (("p99", 4), ("p95", 3), ("p50", 60))]
    assert [line.end for line in charts.apart(lines, "md")] == [90.0, 97.0, 40.0]
    assert [line.end for line in charts.apart(lines)] == [86.0, 97.0, 40.0]
    assert [line.name for line in charts.apart(lines)] == ["p99", "p95", "p50"]


def test_memory_is_drawn_for_each_process_type_against_its_size(app, client):
    Formation.objects.create(app=app, type="web", quantity=1, size="standard-1x")
    memory.add({(app.pk, "web"): [128 * MB, 256 * MB], (app.pk, "clock"): [10 * MB]}, timezone.now())
    page = client.get(PAGE)
    assert "at most 256 MB of 512 MB" in text(page)
    assert "Memory of web" in page.text and "Memory of clock" in page.text
    assert "at most 256 MB, 192 MB in the mean" in page.text
    assert page.text.count('class="chart__limit" d="M0 0.0L1000 0.0"') == 1
    Formation.objects.update(size="eco")
    memory.add({(app.pk, "web"): [700 * MB]}, timezone.now())
    assert 'class="chart__limit" d="M0 50.0L1000 50.0"' in client.get(PAGE).text


def test_the_overview_shows_the_last_hour_of_an_app_that_is_asked_something(app, client):
    make_release(app)
    assert "Throughput" not in client.get("/apps/shop/").text
    busy(app, ago=70, requests=900)
    assert "Throughput" not in client.get("/apps/shop/").text
    busy(app, ago=10, requests=300, errors=3)
    page = text(client.get("/apps/shop/"))
    assert "Response time, p95" in page and "99 ms" in page and "300 in the last hour" in page
    assert "1 %" in page and "3 of 300 requests" in page


def test_an_hour_without_requests_has_no_figures(app, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert metric_panels.last_hour(app) == []


def happened(app, ago, before, state, *, dyno="web.1", reason=""):
    DynoEvent.objects.create(
        app=app,
        release_version=1,
        dyno=dyno,
        before=before,
        state=state,
        reason=reason,
        at=timezone.now() - timedelta(minutes=ago),
    )


def test_each_dyno_has_a_lane_of_what_became_of_it(app, client):
    make_release(app)
    long_ago = timezone.now() - timedelta(days=9)
    make = {
        "app": app,
        "type": "web",
        "command": "x",
        "release_version": 1,
        "state": "up",
        "state_at": long_ago,
    }
    Dyno.objects.create(number=1, **make)
    Dyno.objects.create(number=2, **make)
    happened(app, 360, "up", "crashed", reason="Error R15 (Memory quota vastly exceeded)")
    happened(app, 300, "crashed", "starting")
    happened(app, 299, "starting", "up")
    page = client.get(PAGE)
    assert page.text.count("<dt title=") == 2
    assert page.text.count('class="up"') == 3 and page.text.count('class="boot"') == 1
    down = re.search(r'<rect class="down" x="([\d.]+)%" width="([\d.]+)%"', page.text)
    assert 47 < float(down[1]) < 52 and 8 < float(down[2]) < 9  # an hour of twelve, from the middle on
    assert ">R15</text>" in page.text
    assert "began to start again" in text(page)
    assert 'aria-label="web.2, nothing happened. Up now."' in page.text


def test_what_sleeps_says_so_and_what_is_above_its_memory(app, client):
    make_release(app)
    happened(app, 20, "up", "up", dyno="web.2", reason="Error R14 (Memory quota exceeded)")
    happened(app, 20, "up", "idle")
    happened(app, 5, "idle", "starting")
    page = client.get(f"{PAGE}?span=1h")
    assert page.text.count('class="over"') == 1
    assert ">asleep</text>" in page.text and ">R14</text>" in page.text
    assert "was woken" in text(page) and "warned: Error R14 (Memory quota exceeded)" in text(page)
    assert "Not there now." in page.text


def test_crashes_in_a_row_are_told_in_one_word(app, client):
    make_release(app)
    for ago in (20, 19, 18):
        happened(app, ago, "up", "crashed")
    happened(app, 40, "up", "idle")
    page = client.get(f"{PAGE}?span=1h")
    assert ">crashed ×3</text>" in page.text and ">asleep</text>" in page.text
    day = client.get(f"{PAGE}?span=24h")
    assert ">crashed ×3</text>" in day.text and ">asleep</text>" not in day.text


def test_an_app_without_dynos_has_no_lanes(app, client):
    assert "No dyno ran in this time." in client.get(PAGE).text


class TestAlerts:
    def test_one_is_added_shown_and_removed(self, app, client):
        assert "No alerts" in client.get(ALERTS).text
        asked = {"kind": "log", "bound": "2", "minutes": "10", "text": "Error <R14>"}
        done = client.post(ALERTS, asked, follow=True)
        assert "There is an alert now: 2 lines with Error &lt;R14&gt; within 10 min." in done.text
        alert = app.alerts.get()
        alerts.note(alert, "2 or more")
        page = client.get(PAGE, headers={"HX-Request": "true"})
        assert '<div class="callout callout--bad callout--page">' in page.text
        assert "2 lines with Error &lt;R14&gt; within 10 min" in text(page) and "2 or more." in text(page)
        done = client.post(f"{ALERTS}{alert.pk}/removal/", follow=True)
        assert "Nobody is told any more" in done.text and not app.alerts.exists()

    def test_what_is_refused_comes_back_as_it_was_typed(self, app, client):
        asked = {"kind": "errors", "bound": "many", "minutes": "10", "text": ""}
        refused = client.post(ALERTS, asked)
        assert refused.status_code == 422 and "Use a whole number." in refused.text
        assert 'value="many"' in refused.text
        assert '<option value="errors" selected>' in refused.text
        assert '<option value="10" selected>' in refused.text
        refused = client.post(ALERTS, {**asked, "bound": "100"})
        assert "The share of errors is between 0 and 99 %." in refused.text

    def test_who_may_not_operate_sees_them_without_the_form(self, app, client, alice, charlie):
        alerts.add(app, "errors", 5, by=alice)
        actions.share(app, charlie, ["view"], by=alice)
        client.force_login(charlie)
        page = client.get(ALERTS)
        assert "Errors over 5 % for 5 min" in page.text and "alert-kind" not in page.text
        assert client.post(ALERTS, {"kind": "errors", "bound": "1", "minutes": "5"}).status_code == 403
