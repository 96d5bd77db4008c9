"""Name, buildpacks, domains, health check, maintenance, owner, end."""

import pytest
from pytest_django.asserts import assertRedirects

from apps import actions, sleep
from apps.models import App
from tests.factories import make_app

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(shop, alice, client):
    client.force_login(alice)
    return App.objects.get(name="shop-staging")


def now(app):
    app.refresh_from_db()
    return app


def test_a_viewer_looks_and_gets_no_forms(app, vera, client):
    client.force_login(vera)
    page = client.get("/apps/shop-staging/settings/").text
    assert "right to manage" in page
    assert "Destroy" not in page


def test_it_renames(app, client):
    answer = client.post("/apps/shop-staging/name/", {"name": "shop-next"})
    assertRedirects(answer, "/apps/shop-next/settings/#name", status_code=303)
    assert now(app).name == "shop-next"


def test_htmx_is_sent_to_the_new_address(app, client):
    answer = client.post("/apps/shop-staging/name/", {"name": "shop-next"}, headers=HTMX)
    assert answer.headers["HX-Redirect"] == "/apps/shop-next/settings/#name"


@pytest.mark.parametrize("name", ["", "Shop", "shop-production", "admin"])
def test_a_name_that_can_not_be_is_told(app, client, name):
    assert client.post("/apps/shop-staging/name/", {"name": name}, headers=HTMX).status_code == 422
    assert now(app).name == "shop-staging"


def test_buildpacks_come_go_and_change_places(app, client):
    for buildpack in ("node", "https://example.com/b.git", "python"):
        answer = client.post("/apps/shop-staging/buildpacks/", {"buildpack": buildpack})
        assertRedirects(answer, "/apps/shop-staging/settings/#build", status_code=303)
    client.post("/apps/shop-staging/buildpacks/2/place/", {"to": "up", "buildpack": "python"})
    assert now(app).buildpacks == ["node", "python", "https://example.com/b.git"]
    client.post("/apps/shop-staging/buildpacks/0/place/", {"to": "down", "buildpack": "node"})
    client.post("/apps/shop-staging/buildpacks/2/removal/", {"buildpack": "https://example.com/b.git"})
    assert now(app).buildpacks == ["python", "node"]


def test_a_buildpack_that_is_not_there_any_more_is_not_touched(app, client):
    client.post("/apps/shop-staging/buildpacks/", {"buildpack": "node"})
    for place, buildpack in ((0, "python"), (7, "node")):
        form = {"buildpack": buildpack, "to": "up"}
        for verb in ("place", "removal"):
            answer = client.post(f"/apps/shop-staging/buildpacks/{place}/{verb}/", form, headers=HTMX)
            assert answer.status_code == 409
    assert now(app).buildpacks == ["node"]


@pytest.mark.parametrize(
    ("address", "field", "typed"),
    [
        ("name", "name", "No Capitals"),
        ("buildpacks", "buildpack", "not a buildpack"),
        ("health", "health_path", "no-slash"),
        ("domains", "hostname", "no_host"),
        ("owner", "owner", "nobody@example.com"),
    ],
)
def test_what_can_not_be_is_told_beside_what_was_typed(app, client, address, field, typed):
    answer = client.post(f"/apps/shop-staging/{address}/", {field: typed})
    assert answer.status_code == 422
    around = answer.text.partition(f'name="{field}"')[2][:900]
    assert f'value="{typed}"' in around and 'aria-invalid="true"' in around and 'class="error"' in around


def test_a_health_path(app, client):
    client.post("/apps/shop-staging/health/", {"health_path": "/healthz"})
    assert now(app).health_path == "/healthz"
    assert client.post("/apps/shop-staging/health/", {"health_path": "no"}).status_code == 422
    assert now(app).health_path == "/healthz"


def test_it_sleeps_when_nobody_comes_and_can_be_woken(app, bob, client):
    client.post("/apps/shop-staging/sleep/", {"minutes": "45"})
    assert now(app).sleep_minutes == 45
    page = client.get("/apps/shop-staging/settings/").text
    assert (
        '<option value="45" selected>45 minutes without a request</option>' in page and "Wake up" not in page
    )
    sleep.put_to_sleep(app, by=None)
    assert "Wake up" in client.get("/apps/shop-staging/settings/").text
    client.force_login(bob)
    client.post("/apps/shop-staging/wake/")
    assert now(app).asleep_since is None
    answer = client.post("/apps/shop-staging/wake/", follow=True)
    assert "shop-staging is awake already." in answer.text


@pytest.mark.parametrize("minutes", ["", "soon", "-1", "1000000"])
def test_it_sleeps_after_a_number_of_minutes_only(app, client, minutes):
    answer = client.post("/apps/shop-staging/sleep/", {"minutes": minutes})
    assert answer.status_code == 422 and now(app).sleep_minutes == 0
    assert 'class="error"' in answer.text.partition('name="minutes"')[2][:1200]


def test_production_is_warned_of_sleep(shop, alice, client):
    client.force_login(alice)
    assert "serves people" in client.get("/apps/shop-production/settings/").text
    assert "serves people" not in client.get("/apps/shop-staging/settings/").text


def test_maintenance_on_and_off(app, bob, client):
    client.force_login(bob)
    client.post("/apps/shop-staging/maintenance/", {"on": "on"})
    assert now(app).maintenance
    assert "Maintenance" in client.get("/apps/shop-staging/").text
    client.post("/apps/shop-staging/maintenance/", {})
    assert not now(app).maintenance


def test_domains_come_and_go(app, client):
    client.post("/apps/shop-staging/domains/", {"hostname": "WWW.example.com"})
    domain = app.domains.get()
    assert domain.hostname == "www.example.com"
    assert client.post("/apps/shop-staging/domains/", {"hostname": "x"}, headers=HTMX).status_code == 422
    assert client.post(f"/apps/shop-production/domains/{domain.pk}/removal/").status_code == 404
    client.post(f"/apps/shop-staging/domains/{domain.pk}/removal/")
    assert not app.domains.exists()


def test_another_person_is_offered_it_and_the_offer_can_be_withdrawn(app, charlie, client):
    answer = client.post("/apps/shop-staging/owner/", {"owner": "charlie@example.com"})
    assertRedirects(answer, "/apps/shop-staging/settings/#owner", status_code=303)
    assert now(app).team is not None
    page = client.get("/apps/shop-staging/settings/").text
    assert "Offered to Charlie Bucket" in page and "Withdraw offer" in page and 'name="owner"' not in page
    again = client.post("/apps/shop-staging/owner/", {"owner": "charlie@example.com"})
    assert again.status_code == 409 and "offered to somebody already" in again.text


def test_oneself_takes_it_at_once(app, alice, client):
    client.post("/apps/shop-staging/owner/", {"owner": "alice@example.com"})
    assert now(app).owner == alice


def test_renaming_says_what_to_do_next(app, client, settings):
    page = client.get("/apps/shop-staging/settings/").text
    assert "git remote set-url" in page and "old ones stop answering" in page
    told = client.post("/apps/shop-staging/name/", {"name": "shop-next"}, follow=True).text
    assert f"git remote set-url slipway {settings.URL}/shop-next.git" in told


@pytest.mark.parametrize("owner", ["", "nobody@example.com", "no-team"])
def test_no_such_owner(app, client, owner):
    assert client.post("/apps/shop-staging/owner/", {"owner": owner}, headers=HTMX).status_code in (404, 422)
    assert now(app).team is not None


def test_destroying_takes_the_name(app, client):
    assert "Destroy shop-staging?" in client.get("/apps/shop-staging/removal/").text
    wrong = client.post("/apps/shop-staging/removal/", {"confirm": "shop"})
    assert wrong.status_code == 422 and "Type shop-staging to confirm" in wrong.text
    assert now(app).destroyed_at is None
    assertRedirects(
        client.post("/apps/shop-staging/removal/", {"confirm": "shop-staging"}), "/apps/", status_code=303
    )
    assert now(app).destroyed_at
    assert client.get("/apps/shop-staging/").status_code == 404


def test_settings_show_both_addresses(alice, client, settings):
    app = make_app("mine", owner=alice)
    actions.set_buildpacks(app, ["python"], by=alice)
    client.force_login(alice)
    page = client.get("/apps/mine/settings/").text
    assert f"{settings.URL}/mine.git" in page and f"http://mine.localhost:{settings.PORT}" in page
    assert "python" in page
