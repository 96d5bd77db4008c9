"""The list of apps, new apps, and the overview of one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.asserts import assertRedirects

from apps.models import App, Dyno
from pipelines.models import Coupling
from releases.models import Build
from tests.factories import make_app, make_release, make_source


def test_the_list_holds_what_one_may_see(shop, alice, charlie, client):
    make_app("mine-only", owner=charlie)
    client.force_login(charlie)
    page = client.get("/apps/").text
    assert "mine-only" in page
    assert "shop-staging" not in page


def test_the_list_asks_as_often_for_many_apps_as_for_few(shop, team, alice, client):
    client.force_login(alice)
    client.get("/apps/")
    with CaptureQueriesContext(connection) as few:
        client.get("/apps/")
    for _ in range(10):
        make_app(owner=team, released=True)
    with CaptureQueriesContext(connection) as many:
        client.get("/apps/")
    assert len(many) == len(few)
    assert len(many) <= 12


def test_the_list_is_paged_and_searched_by_name(alice, client):
    for number in range(52):
        make_app(f"hat-{number:02}", owner=alice)
    client.force_login(alice)
    assert "1 to 50 of 52" in client.get("/apps/").text
    page = client.get("/apps/?page=2").text
    assert "hat-51" in page and "hat-01" not in page
    found = client.get("/apps/?q=hat-0").text
    assert "hat-07" in found and "hat-17" not in found
    assert "No app has “&lt;b&gt;” in its name" in client.get("/apps/?q=<b>").text


def test_a_new_app_can_come_from_a_public_repository(alice, client):
    client.force_login(alice)
    form = {"name": "shop", "url": "https://git.example/shop.git", "ref": "v1"}
    answer = client.post("/apps/new/", form)
    build = Build.objects.get()
    assertRedirects(answer, f"/apps/shop/builds/{build.pk}/", status_code=303)
    assert (build.source.repository, build.source.ref) == (form["url"], "v1")


def test_what_is_no_repository_makes_no_app(alice, client):
    client.force_login(alice)
    answer = client.post("/apps/new/", {"name": "shop", "url": "ext::sh -c x"})
    assert answer.status_code == 422
    assert 'id="url-error"' in answer.text and 'value="shop"' in answer.text
    assert not App.objects.exists()


def test_a_new_app_needs_nothing(alice, client):
    client.force_login(alice)
    answer = client.post("/apps/new/", {"name": "", "team": ""})
    app = App.objects.get()
    assertRedirects(answer, f"/apps/{app.name}/", status_code=303)
    assert app.user == alice


def test_a_new_app_goes_to_a_team_and_a_stage(shop, bob, client):
    client.force_login(bob)
    client.post("/apps/new/", {"name": "shop-eu", "team": "acme", "place": "shop/production"})
    app = App.objects.get(name="shop-eu")
    assert app.team.name == "acme"
    assert Coupling.objects.get(app=app).stage.name == "production"


def test_a_refused_name_keeps_what_was_typed_and_makes_nothing(alice, shop, client):
    client.force_login(alice)
    answer = client.post("/apps/new/", {"name": "Not A Name", "team": "acme"})
    assert answer.status_code == 422
    assert 'value="Not A Name"' in answer.text
    assert client.post("/apps/new/", {"name": "shop-staging"}).status_code == 422
    assert App.objects.count() == 2


def test_a_stage_that_is_not_there_makes_no_app(shop, charlie, alice, client):
    client.force_login(charlie)
    answer = client.post("/apps/new/", {"name": "spy-app", "place": "shop/staging"})
    assert answer.status_code == 404
    assert not App.objects.filter(name="spy-app").exists()


def test_an_app_never_deployed_says_how_to(alice, client, settings):
    make_app("first", owner=alice)
    client.force_login(alice)
    page = client.get("/apps/first/").text
    assert f"git remote add slipway {settings.URL}/first.git" in page
    assert "Not deployed yet" in page


def test_the_overview_says_what_runs_and_why_not(alice, shop, client):
    app = App.objects.get(name="shop-production")
    Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=1, state="crashed", reason="Exited with 3"
    )
    client.force_login(alice)
    page = client.get("/apps/shop-production/").text
    assert "Crashed" in page and "Exited with 3" in page
    assert "Change number" in page  # the commit's message
    assert "production in shop" in page.lower()


def test_the_overview_tells_crashes_also_while_a_dyno_starts_again(alice, shop, client):
    app = App.objects.get(name="shop-production")
    Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=1, state="starting", crashes=4
    )
    client.force_login(alice)
    page = " ".join(client.get("/apps/shop-production/").text.split())
    assert "4 <small>in a row</small>" in page


def test_the_overview_says_what_failed_and_what_stays(alice, client):
    app = make_app("shop-eu", owner=alice, released=True)
    bad = make_release(app, by=alice, status="failed", current=False)
    type(bad).objects.filter(pk=bad.pk).update(reason="The release command exited with status 1.")
    client.force_login(alice)
    page = client.get("/apps/shop-eu/").text
    assert "v2 failed." in page
    assert "shop-eu stays on v1." in page


def test_a_refresh_draws_the_same_part(alice, shop, client):
    client.force_login(alice)
    part = client.get("/apps/shop-staging/", headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith('<div id="overview"')
    assert "<html" not in part


@pytest.mark.parametrize("page", ["", "resources/", "deploy/", "releases/", "activity/"])
def test_a_page_asks_as_often_for_much_as_for_little(page, alice, client):
    app = make_app("shop", owner=alice, released=True)
    client.force_login(alice)
    url = f"/apps/shop/{page}"
    for _ in range(2):
        _history(app, alice)
    client.get(url)  # notes the use of the session
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    for _ in range(6):
        _history(app, alice)
    with CaptureQueriesContext(connection) as many:
        client.get(url)
    assert len(many) == len(few)
    assert len(many) <= 12


def _history(app, by):
    release = make_release(app, by=by)
    source = make_source(app, author="Ann")
    Build.objects.create(app=app, source=source, by=by, status="succeeded", release=release)
    Dyno.objects.create(
        app=app, type="web", number=release.version, command="x", release_version=release.version
    )


def test_the_overview_says_what_waits_in_the_stage_before(shop, alice, client):
    client.force_login(alice)
    page = client.get("/apps/shop-production/").text
    assert "shop-staging runs other code than this" in page
    assert "/pipelines/shop/promotions/new/?from=shop-staging&amp;to=shop-production" in page
    staging = App.objects.get(name="shop-staging").releases.get()
    make_release(App.objects.get(name="shop-production"), by=alice, slug=staging.slug, kind="promote")
    assert "other code" not in client.get("/apps/shop-production/").text
