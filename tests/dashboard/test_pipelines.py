"""The list of pipelines, first steps, and the form that makes one."""

import subprocess

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions as account_actions
from apps.models import App, Dyno
from dashboard.rails import SHOWN
from pipelines import transfers
from pipelines.models import Pipeline
from releases import repositories
from tests.factories import make_app, make_pipeline, make_release, make_slug, stage


def test_it_lists_what_the_viewer_may_see(shop, alice, charlie, client):
    make_pipeline("foreign", owner=charlie)
    make_app("lonely", owner=alice)
    client.force_login(alice)
    page = client.get("/")
    for name in ("shop", "lonely", "Staging", "Production"):
        assertContains(page, name)
    assertNotContains(page, "foreign")


def test_who_has_nothing_gets_first_steps(charlie, shop, client):
    client.force_login(charlie)
    page = client.get("/")
    assertContains(page, "Build once, promote the same build")
    assertNotContains(page, "shop-staging")


def test_it_can_be_filtered_and_sorted(shop, alice, team, client):
    make_pipeline("another", owner=team)
    client.force_login(alice)
    page = client.get("/?q=anoth").content.decode()
    assert "/pipelines/another/" in page and "/pipelines/shop/" not in page
    page = client.get("/?sort=name").content.decode()
    assert page.index("/pipelines/another/") < page.index("/pipelines/shop/")


@pytest.mark.parametrize("number", [1, 12])
def test_it_costs_the_same_however_many_there_are(
    number, shop, team, alice, client, django_assert_num_queries
):
    for n in range(number):
        pipeline = make_pipeline(f"line-{n}", owner=team)
        make_app(f"line-{n}-app", owner=team, stage=stage(pipeline, "staging"), released=True)
    client.force_login(alice)
    client.get("/")  # the first page of a session notes that it is in use
    with django_assert_num_queries(12):
        client.get("/")


def test_a_new_one_comes_with_the_apps_that_were_named(alice, team, client):
    client.force_login(alice)
    data = {"name": "shop", "owner": "acme", "staging": "shop-staging", "production": "shop-live"}
    assertRedirects(client.post("/pipelines/new/", data), "/pipelines/shop/", 303)
    assert Pipeline.objects.get().team == team
    assert App.objects.get(name="shop-live").coupling.stage.name == "production"
    client.post("/pipelines/new/", {"name": "mine"})
    assert Pipeline.objects.get(name="mine").user == alice


def test_all_of_it_or_nothing(alice, charlie, client):
    make_app("taken", owner=charlie)
    client.force_login(alice)
    data = {"name": "shop", "staging": "shop-staging", "production": "taken"}
    answer = client.post("/pipelines/new/", data)
    assertContains(answer, "Name taken is already taken.", status_code=422)
    assertContains(answer, 'value="shop-staging"', status_code=422)
    assert not Pipeline.objects.exists()
    assert App.objects.count() == 1
    assertContains(client.post("/pipelines/new/", {"name": "No!"}), "3 to 30 in all", status_code=422)


def test_a_team_of_others_is_none_and_viewers_may_not(team, vera, charlie, client):
    for user, status in ((vera, 403), (charlie, 404)):
        client.force_login(user)
        assert client.post("/pipelines/new/", {"name": "shop", "owner": "acme"}).status_code == status
        assertNotContains(client.get("/pipelines/new/"), 'value="acme"')
    assert not Pipeline.objects.exists()


def test_jump_finds_by_name_what_the_viewer_may_see(shop, alice, charlie, client):
    client.force_login(alice)
    assertContains(client.get("/jump/?q=shop prod"), "/apps/shop-production/")
    dialog = client.get("/jump/?q=shop", headers={"HX-Request": "true"})
    assertContains(dialog, "/pipelines/shop/")
    assertNotContains(dialog, "<html")
    assert client.get("/jump/?q=%00").status_code == 200
    account_actions.create_team("others", by=charlie)
    client.force_login(charlie)
    assertContains(client.get("/jump/?q=shop"), "Nothing here matches “shop”")


def test_what_waits_for_the_viewer_comes_first(shop, alice, bob, vera, client):
    app = App.objects.get(name="shop-staging")
    Dyno.objects.create(
        app=app, type="web", number=1, command="x", release_version=1, state="crashed", exit_code=137
    )
    offer = transfers.hand_over(make_pipeline("billing", owner=bob), alice, by=bob)
    client.force_login(alice)
    page = client.get("/")
    assertContains(page, "Waiting for you")
    assertContains(page, "billing, a pipeline with its apps")
    assertContains(page, f"/transfers/{offer.pk}/acceptance/")
    assertContains(page, "web.1 exited with 137")
    client.force_login(bob)
    assertNotContains(client.get("/"), "a pipeline with its apps")
    client.force_login(vera)
    assertNotContains(client.get("/"), "Waiting for you")


def test_who_has_nothing_but_an_offer_sees_that(shop, alice, charlie, client):
    transfers.hand_over(shop, charlie, by=alice)
    client.force_login(charlie)
    assertContains(client.get("/"), "shop, a pipeline with its apps")


def test_many_come_in_pages(shop, team, alice, client):
    for n in range(SHOWN + 3):
        make_pipeline(f"line-{n:02}", owner=team)
        make_app(f"lonely-{n:02}", owner=team)
    client.force_login(alice)
    page = client.get("/?sort=name")
    assertContains(page, "?sort=name&amp;page=2")
    assertContains(page, "/pipelines/line-00/")
    assertContains(page, "lonely-00")
    page = client.get("/?sort=name&page=2")
    assertContains(page, "/pipelines/shop/")
    assertNotContains(page, "/pipelines/line-00/")
    assertNotContains(page, "lonely-00")
    assert client.get("/?page=%00&sort=drift").status_code == 200
    assertContains(client.get("/?q=line-42"), "/pipelines/line-42/")


def test_the_most_drift_comes_first(shop, team, alice, client):
    for name, ahead in (("level", 0), ("apart", 2)):
        pipeline = make_pipeline(name, owner=team)
        commits = _commits(make_app(f"{name}-s", owner=team, stage=stage(pipeline, "staging")), 3)
        staging = App.objects.get(name=f"{name}-s")
        make_release(staging, slug=make_slug(staging, commit=commits[-1]), by=alice)
        production = make_app(f"{name}-p", owner=team, stage=stage(pipeline, "production"))
        make_release(production, slug=make_slug(staging, commit=commits[-1 - ahead]), by=alice)
    client.force_login(alice)
    page = client.get("/?sort=drift").text
    assert page.index("/pipelines/apart/") < page.index("/pipelines/level/")
    assert '2<span class="sr"> commits ahead of production' in page


def _commits(app, number):
    """The ids of commits in the app's own repository, oldest first."""
    place = repositories.path(app)
    repositories.ensure(app)
    tree = _git(place, "hash-object", "-t", "tree", "-w", "/dev/null")
    ids = []
    for n in range(number):
        parent = ["-p", ids[-1]] if ids else []
        ids.append(_git(place, "commit-tree", tree, *parent, "-m", f"Change {n}"))
    _git(place, "update-ref", "refs/heads/main", ids[-1])
    return ids


def _git(place, *words):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    return subprocess.run(
        ["git", *who, "-C", place, *words], check=True, capture_output=True, text=True
    ).stdout.strip()
