"""Health, figures and the log, as those see them who watch over Slipway."""

import json
import logging
import sys

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from core import activity
from core.errors import LeaseLost
from core.logs import JsonFormatter
from releases.models import Build
from tests.factories import make_app, make_release

TOKEN = "a-token-for-prometheus-alone"


@pytest.fixture
def figures(client, settings):
    """What Prometheus would read: `figures("slipway_jobs", kind="build")`."""
    settings.METRICS_TOKEN = TOKEN

    def ask(name, **labels):
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain; version=0.0.4")
        found = [
            sample.value
            for family in text_string_to_metric_families(answer.content.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    return ask


def test_health_says_yes_or_no_to_anybody_by_any_host(db, django_assert_max_num_queries):
    for path in ("/health/live", "/health/ready"):
        answer = Client(headers={"Host": "10.0.0.7:8000"}).get(path)
        assert (answer.status_code, answer.content) == (200, b"ok\n")
        assert "no-store" in answer["Cache-Control"] and "Set-Cookie" not in answer
    with django_assert_max_num_queries(0):
        Client().get("/health/live")
    assert Client().post("/health/live").status_code == 405
    assert Client().get("/health/else").status_code == 404


def test_not_ready_without_a_bus_and_no_word_why(db, settings, caplog):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://:secret@127.0.0.1:1/0",
        }
    }
    answer = Client().get("/health/ready")
    assert (answer.status_code, answer.content) == (503, b"not ready\n")
    assert "Not ready, Redis" in caplog.text and "secret" not in caplog.text
    assert Client().get("/health/live").status_code == 200


def test_not_ready_before_the_database_is_migrated(db, monkeypatch):
    from django.db.migrations.recorder import MigrationRecorder

    from config import monitoring

    monkeypatch.setattr(monitoring, "_migrated", False)
    MigrationRecorder.Migration.objects.order_by("-id").first().delete()
    assert Client().get("/health/ready").status_code == 503


def test_figures_are_for_the_token_alone(alice, client, settings):
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    settings.METRICS_TOKEN = TOKEN
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        assert client.get("/metrics", headers=given).status_code == 404
    client.force_login(alice)
    assert client.get("/metrics").status_code == 404


def test_requests_are_counted_by_route_never_by_path(alice, client, figures):
    labels = {"method": "GET", "route": "/setup/<str:token>/", "status": "404"}
    client.get("/setup/one-time-secret/")
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    assert "one-time-secret" not in answer and "/setup/" in answer
    before = figures("slipway_http_requests_total", route="none")
    client.generic("NONSENSE", "/nowhere/at/all")
    assert figures("slipway_http_requests_total", route="none", method="other") >= 1
    assert figures("slipway_http_requests_total", route="none") == (before or 0) + 1, labels


def test_queues_dynos_and_lost_leases(alice, figures):
    app = make_app("shop", owner=alice, released=True)
    assert figures("slipway_jobs", kind="build", status="pending") == 0
    build = Build.objects.create(app=app, source=app.sources.create())
    assert figures("slipway_jobs", kind="build", status="pending") == 1
    assert figures("slipway_oldest_pending_seconds", kind="build") > 0
    lost = figures("slipway_leases_lost_total", kind="build") or 0
    with pytest.raises(LeaseLost):
        build.record(step=1)
    assert figures("slipway_leases_lost_total", kind="build") == lost + 1
    for name in (
        "slipway_dynos",
        "slipway_conductors",
        "slipway_disk_free_bytes",
        "slipway_log_lines_dropped_total",
    ):
        assert figures(name) is not None, name


def test_ended_work_is_timed_once_it_is_committed(alice, figures, django_capture_on_commit_callbacks):
    app = make_app("shop", owner=alice)
    before = figures("slipway_build_seconds_count", status="failed") or 0
    Build.objects.create(app=app, source=app.sources.create())
    build = Build.objects.claim()
    with django_capture_on_commit_callbacks() as callbacks:
        build.end("failed", reason="no")
    assert (figures("slipway_build_seconds_count", status="failed") or 0) == before
    for callback in callbacks:
        callback()
    assert figures("slipway_build_seconds_count", status="failed") == before + 1


def test_a_line_of_the_log_is_one_object_with_the_request(rf):
    logger = logging.getLogger("slipway.test")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        found = logger.makeRecord("slipway.test", logging.ERROR, "x", 1, "It %s", ("failed",), sys.exc_info())
    found.fields = {"status": 500}
    with activity.coming("web", request_id="0123456789"):
        text = JsonFormatter().format(found)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["message"], line["level"], line["status"]) == ("It failed", "ERROR", 500)
    assert (line["request_id"], line["through"]) == ("0123456789", "web")
    assert line["at"].endswith("+00:00") and "ValueError: two" in line["exception"]


def test_a_request_at_info_is_one_line_without_its_path(db, client, caplog):
    with caplog.at_level(logging.INFO, logger="slipway.requests"):
        client.get("/setup/one-time-secret/?token=another")
    (record,) = [r for r in caplog.records if r.name == "slipway.requests"]
    assert record.fields["request_id"] and "one-time-secret" not in JsonFormatter().format(record)
    assert "another" not in JsonFormatter().format(record)


def test_a_conductor_apart_answers_at_its_own_address(transactional_db, monkeypatch):
    import urllib.request
    from urllib.error import HTTPError

    from conductor import probes

    class Idle:
        """As a conductor that leads, and swept last at `swept`."""

        leads, swept = True, 1.0

    server = probes.Probes(Idle(), "127.0.0.1:0")
    try:
        at = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{at}/metrics") as answer:
            names = {f.name for f in text_string_to_metric_families(answer.read().decode())}
        assert {"slipway_jobs", "slipway_build_seconds", "slipway_log_lines"} <= names
        for path, code in {"/health/live": 503, "/health/ready": 503, "/else": 404}.items():
            with pytest.raises(HTTPError) as error:
                urllib.request.urlopen(at + path)
            assert error.value.code == code
        Idle.swept = 0.0  # it has not begun to sweep
        with urllib.request.urlopen(f"{at}/health/live") as answer:
            assert answer.read() == b"ok\n"
    finally:
        server.stop()


def test_released_apps_make_no_series_of_their_own(alice, figures, client):
    """Neither by being there nor by being looked at: a thousand apps cost Prometheus what one does."""

    def series_with(name):
        make_release(make_app(name, owner=alice))
        assert client.get(f"/apps/{name}/").status_code == 200
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
        assert name not in answer
        return {line.rpartition(" ")[0] for line in answer.splitlines() if not line.startswith("#")}

    client.force_login(alice)
    before = series_with("an-app-of-mine-1")
    assert series_with("an-app-of-mine-2") == series_with("an-app-of-mine-3") == before
