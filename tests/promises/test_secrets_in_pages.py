"""Pages tell no secrets (I-37), and everything that is done on them leaves an event (I-33)."""

import logging
import uuid

import pytest
from django.urls import reverse
from django.urls.converters import IntConverter
from django.urls.resolvers import RegexPattern

from apps.models import App, ConfigVar, Dyno
from core.models import Event
from dashboard.urls import urlpatterns
from releases.actions import create_build, set_config
from releases.models import Build, Release
from tests.factories import make_release, make_source

SECRET = "hunter2-is-not-4-pages"
HTMX = {"HX-Request": "true"}
ASKED_FOR = {"config-value", "config-edit", "config-values"}  # what shows values, on purpose, after noting it
GIVEN_BACK = {
    "app-alerts",
    "config-file-save",
    "plans",
    "plan-changes",
}  # what was typed is given back to be put right, and nothing else
ENDING = {"sign-out", "app-removal", "app-owner", "app-name"}  # they leave nothing to look at


@pytest.fixture
def app(shop, alice, client):
    """An app with a secret in its config, its releases and a one-off dyno's own variables."""
    client.force_login(alice)
    app = App.objects.get(name="shop-production")
    set_config(app, {"TOKEN": SECRET, "OTHER": "x"}, by=alice)
    Release.objects.filter(app=app, status="pending").update(status="succeeded")
    make_release(app, by=alice)
    set_config(app, {"TOKEN": SECRET + "!"}, by=alice)
    make_release(app, by=alice, status="failed", current=False)
    dyno = Dyno(app=app, type="run", number=1, command="x", release_version=1, one_off=True)
    dyno.env = {"TOKEN": SECRET}
    dyno.save()
    Build.objects.create(app=app, source=make_source(app), by=alice, status="failed", reason="no Procfile")
    return app


def addresses(app):
    """Every address of the dashboard that can be filled in, by its name."""
    known = {
        "name": app.name,
        "app_name": app.name,
        "version": 3,
        "key": "TOKEN",
        "dyno": "run.1",
        "build_id": Build.objects.first().pk,
        "stage_name": "production",
    }
    for route in urlpatterns:
        arguments = {**known, **({"name": "shop"} if str(route.pattern).startswith("pipelines/") else {})}
        if isinstance(route.pattern, RegexPattern) and route.pattern.regex.groups:
            continue  # it takes a secret of its own
        wanted = route.pattern.converters
        values = {
            key: arguments.get(key, 7 if isinstance(kind, IntConverter) else uuid.UUID(int=7))
            for key, kind in wanted.items()
        }
        if "secret" not in wanted:
            yield route.name, reverse(route.name, kwargs=values)


@pytest.mark.promise("I-37")
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_no_page_holds_a_config_value(app, client, headers):
    queries = ["", "?base=2&head=4", "?to=3", "?q=TOKEN", "?from=shop-staging&to=shop-production"]
    seen = 0
    for name, url in addresses(app):
        for query in queries:
            answer = client.get(url + query, headers=headers)
            assert SECRET.encode() not in answer.getvalue(), name
            assert answer.status_code < 500, name
            seen += answer.status_code == 200
    assert seen > 100


@pytest.mark.promise("I-37")
def test_no_answer_to_a_form_holds_a_config_value_but_where_it_is_asked_for(app, client, caplog):
    caplog.set_level(logging.DEBUG)
    forms = [{}, {"key": "1-bad-name", "value": SECRET, "text": f"NO EQUALS {SECRET}"}]
    for name, url in addresses(app):
        if name in ENDING | ASKED_FOR or "csv" in name:
            continue
        for form in forms:
            answer = client.post(url, form, headers=HTMX)
            assert answer.status_code < 500, name
            if name not in GIVEN_BACK:
                assert SECRET not in answer.text, name
    assert SECRET not in caplog.text


@pytest.mark.promise("I-37")
def test_what_is_asked_for_is_noted_by_name(app, alice, client):
    for name, url in addresses(app):
        if name in ASKED_FOR:
            Event.objects.filter(verb="revealed config of")._raw_delete("default")
            assert SECRET in client.post(url, headers=HTMX if name != "config-values" else {}).text
            event = Event.objects.get(verb="revealed config of")
            assert event.by == alice and "TOKEN" in event.details["keys"]
    assert SECRET not in str(list(Event.objects.values()))


@pytest.mark.promise("I-37")
def test_no_event_error_or_repr_holds_a_config_value(app, client):
    var, release = ConfigVar.objects.get(app=app, key="TOKEN"), Release.objects.filter(app=app).first()
    for thing in (var, release, app, Dyno.objects.get()):
        assert SECRET not in repr(thing) and SECRET not in str(thing) and SECRET not in str(vars(thing))
    long = SECRET * 2000
    refused = client.post("/apps/shop-production/config/vars/", {"key": "LONG", "value": long}, headers=HTMX)
    assert refused.status_code == 422
    assert SECRET not in refused.text
    assert SECRET not in str(list(Event.objects.values()))


@pytest.mark.promise("I-37")
def test_rows_hold_no_config_value(app, django_db_blocker):
    from django.db import connection

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert SECRET not in str(cursor.fetchall()), table


DONE = [
    ("app-formation", {"web.quantity": "2"}, "scaled"),
    ("app-autoscale", {"minimum": "1", "maximum": "3", "p95": "500"}, "set autoscaling of"),
    ("app-alerts", {"kind": "errors", "bound": "5", "minutes": "5"}, "added an alert to"),
    ("app-restarts", {}, "restarted"),
    ("app-dynos", {"command": "true", "size": "basic"}, "ran"),
    ("dyno-removal", {}, "stopped"),
    ("app-maintenance", {"on": "on"}, "turned maintenance on for"),
    ("builds", {"source": "build"}, "started a build of"),
    ("build-cancellation", {}, "cancelled"),
    ("rollbacks", {"version": "3", "note": "hats"}, "released"),
    ("config-vars", {"key": "NEW", "value": "1"}, "changed config of"),
    ("config-removal", {}, "changed config of"),
    ("config-write-only", {}, "made write-only config of"),
    ("config-file-save", {"text": "NEW=1"}, "changed config of"),
    ("config-value", {}, "revealed config of"),
    ("config-edit", {}, "revealed config of"),
    ("config-values", {}, "revealed config of"),
    ("collaborators", {"email": "charlie@example.com", "rights": "deploy"}, "shared"),
    ("app-buildpacks", {"buildpack": "python"}, "set the buildpacks of"),
    ("app-health", {"health_path": "/up"}, "set the health path of"),
    ("app-sleep", {"minutes": "30"}, "set the sleep of"),
    ("domains", {"hostname": "www.example.com"}, "added"),
    ("app-name", {"name": "shop-renamed"}, "renamed"),
    ("app-owner", {"owner": "charlie@example.com"}, "offered"),
    ("app-removal", {"confirm": "shop-production"}, "destroyed"),
]


@pytest.mark.promise("I-33")
@pytest.mark.parametrize(("name", "form", "verb"), DONE, ids=[name for name, *_ in DONE])
def test_what_is_done_on_a_page_leaves_an_event(app, alice, charlie, client, name, form, verb):
    build = create_build(app, make_source(app), by=alice)
    if "source" in form:
        form = {**form, "source": build.source_id}
    before = set(Event.objects.values_list("pk", flat=True))
    urls = dict(addresses(app))
    url = urls[name].replace(str(Build.objects.order_by("created_at").first().pk), str(build.pk))
    url = reverse(name, args=[app.name, build.pk]) if name == "build-cancellation" else url
    answer = client.post(url, form, headers={"X-Request-Id": "request-number-1"})
    assert answer.status_code in (200, 303), answer.text
    event = Event.objects.exclude(pk__in=before).get(verb=verb)
    assert (event.by, event.actor, event.through) == (alice, "alice@example.com", "web")
    assert (event.app_id, event.address, event.request_id) == (app.pk, "127.0.0.1", "request-number-1")


@pytest.mark.promise("I-33")
def test_what_is_refused_leaves_none(app, vera, client):
    before = Event.objects.count()
    client.force_login(vera)
    for name, url in addresses(app):
        if str(url).startswith("/apps/shop-production/"):
            client.post(url, {"key": "A", "value": "1", "command": "true"})
    assert Event.objects.count() == before
