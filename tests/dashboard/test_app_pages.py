"""Who may look at and do what on the pages of an app: one table, every page and verb in it."""

import uuid

import pytest
from django.urls import reverse

from apps.models import App
from dashboard.urls import urlpatterns
from releases.models import Build
from scheduler.actions import add_job
from scheduler.models import ScheduledJob
from tests.factories import make_source

NOWHERE = uuid.UUID(int=7)

# name of the page: (its other arguments, right it needs)
PAGES = {
    "app": ([], "view"),
    "app-resources": ([], "view"),
    "app-deploy": ([], "view"),
    "app-releases": ([], "view"),
    "releases-compare": ([], "view"),
    "release": ([1], "view"),
    "build": (["build"], "view"),
    "app-activity": ([], "view"),
    "app-usage": ([], "view"),
    "app-metrics": ([], "view"),
    "app-alerts": ([], "view"),
    "app-schedule": ([], "view"),
    "scheduled-job": (["job"], "view"),
    "app-usage-csv": ([], "view"),
    "app-access": ([], "view"),
    "app-settings": ([], "view"),
    "rollback-new": ([], "deploy"),
    "app-config": ([], "deploy"),
    "config-file": ([], "deploy"),
    "app-logs": ([], "operate"),
    "app-logs-histogram": ([], "operate"),
    "app-logs-text": ([], "operate"),
    "log-archive": ([], "operate"),
    "restart-new": ([], "operate"),
    "app-removal": ([], "manage"),
}
VERBS = {
    "app-formation": ([], "operate"),
    "app-autoscale": ([], "operate"),
    "alert-removal": ([NOWHERE], "operate"),
    "app-restarts": ([], "operate"),
    "dyno-removal": (["run.1"], "operate"),
    "app-lock": ([], "manage"),
    "app-lock-removal": ([], "manage"),
    "app-maintenance": ([], "operate"),
    "app-dynos": ([], "deploy"),
    "scheduled-job-pause": (["job"], "deploy"),
    "scheduled-job-resumption": (["job"], "deploy"),
    "scheduled-job-runs": (["job"], "deploy"),
    "scheduled-job-removal": (["job"], "deploy"),
    "sources": ([], "deploy"),
    "builds": ([], "deploy"),
    "ref-builds": ([], "deploy"),
    "url-builds": ([], "deploy"),
    "image-builds": ([], "deploy"),
    "branch-builds": ([], "deploy"),
    "auto-deploy": ([], "deploy"),
    "auto-deploy-removal": ([], "deploy"),
    "app-stack": ([], "manage"),
    "app-build-command": ([], "manage"),
    "build-cancellation": (["build"], "deploy"),
    "rollbacks": ([], "deploy"),
    "config-vars": ([], "deploy"),
    "config-value": (["KEY"], "deploy"),
    "config-edit": (["KEY"], "deploy"),
    "config-removal": (["KEY"], "deploy"),
    "config-write-only": (["KEY"], "deploy"),
    "config-values": ([], "deploy"),
    "config-preview": ([], "deploy"),
    "config-file-save": ([], "deploy"),
    "collaborators": ([], "manage"),
    "collaborator-rights": ([NOWHERE], "manage"),
    "collaborator-removal": ([NOWHERE], "manage"),
    "app-name": ([], "manage"),
    "app-buildpacks": ([], "manage"),
    "buildpack-place": ([0], "manage"),
    "buildpack-removal": ([0], "manage"),
    "app-health": ([], "manage"),
    "app-sleep": ([], "manage"),
    "app-wake": ([], "operate"),
    "log-searches": ([], "operate"),
    "log-search-removal": ([NOWHERE], "operate"),
    "domains": ([], "manage"),
    "domain-removal": ([NOWHERE], "manage"),
    "app-owner": ([], "manage"),
    "app-removal": ([], "manage"),
}
# Not pages of one app, or the board's; and those that tests.dashboard.test_matrix alone asks for everybody.
EXCEPT = {
    "addon", "addon-window", "addon-restarts", "addon-new", "addon-orders", "addon-plan", "addon-name", "addon-retries", "addon-removal", "attachments",
    "attachment-removal", "attachment-promotion", "database", "database-backups", "database-backup-removal",
    "database-backup-cancellation", "database-backup-links", "database-restores", "database-copies", "database-schedule",
    "database-schedule-removal", "database-passwords", "database-session-end", "store-settings",
    "inbox", "inbox-removal", "inbox-passwords", "mail", "mail-html", "mail-source", "mail-attachment", "mail-removal",
    "app-new", "apps", "card", "card-menu", "card-targets", "outlets", "drains", "drain-removal", "webhooks", "webhook-removal",
    "certificate", "certificate-new", "certificate-removal", "domain-certificate", "automatic-certificates",
    "automatic-certificates-removal", "automatic-certificates-refresh",
}  # fmt: skip


@pytest.fixture
def app(shop, alice):
    app = App.objects.get(name="shop-production")
    Build.objects.create(app=app, source=make_source(app), by=alice, status="succeeded")
    add_job(app, "rake clean", schedule="0 * * * *", by=alice)
    return app


def address(name, args, app):
    made = {"build": Build.objects.get(app=app).pk, "job": ScheduledJob.objects.get(app=app).pk}
    return reverse(name, args=[app.name, *(made.get(arg, arg) for arg in args)])


@pytest.mark.promise("I-29")
def test_every_address_of_an_app_is_in_the_table():
    known = {route.name for route in urlpatterns if str(route.pattern).startswith("apps/")}
    assert known == {*PAGES, *VERBS, *EXCEPT}


@pytest.mark.promise("I-28")
@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_absent_to_strangers(name, app, charlie, client):
    client.force_login(charlie)
    url = address(name, PAGES[name][0], app)
    foreign, absent = client.get(url), client.get(url.replace("shop-production", "no-such-app"))
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert b"shop-production" not in foreign.content.replace(url.encode(), b"")


@pytest.mark.promise("I-28")
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_looks_absent_to_strangers(name, app, charlie, client):
    client.force_login(charlie)
    assert client.post(address(name, VERBS[name][0], app)).status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_a_viewer_sees_what_viewing_allows(name, app, vera, client):
    client.force_login(vera)
    args, right = PAGES[name]
    answer = client.get(address(name, args, app))
    assert answer.status_code == (200 if right == "view" else 403)
    if right != "view":
        assert f"right to {right}" in answer.text


@pytest.mark.parametrize("name", VERBS)
def test_a_viewer_can_do_nothing(name, app, vera, client):
    client.force_login(vera)
    answer = client.post(address(name, VERBS[name][0], app))
    assert answer.status_code == 403
    assert f"right to {VERBS[name][1]}" in answer.text


@pytest.mark.parametrize("name", [name for name in VERBS if VERBS[name][1] == "manage"])
def test_a_member_does_not_manage(name, app, bob, client):
    client.force_login(bob)
    assert client.post(address(name, VERBS[name][0], app)).status_code == 403


@pytest.mark.parametrize("name", [name for name in VERBS if name not in PAGES])
def test_a_verb_refuses_get(name, app, alice, client):
    client.force_login(alice)
    assert client.get(address(name, VERBS[name][0], app)).status_code == 405


@pytest.mark.parametrize("name", [*PAGES, *VERBS])
def test_who_is_not_signed_in_is_asked_to(name, app, client):
    args, _ = PAGES.get(name) or VERBS[name]
    answer = client.post(address(name, args, app)) if name in VERBS else client.get(address(name, args, app))
    assert answer.status_code == 302
    assert answer.url.startswith("/sign-in/")


@pytest.mark.parametrize("name", PAGES)
def test_htmx_and_everybody_else_get_an_answer(name, app, alice, client):
    client.force_login(alice)
    url = address(name, PAGES[name][0], app) + ("?to=1" if name == "rollback-new" else "")
    whole, part = client.get(url), client.get(url, headers={"HX-Request": "true"})
    assert (whole.status_code, part.status_code) == (200, 200)
    assert whole.headers["Cache-Control"] == "private, no-store"
