"""The list of pipelines, first steps, and the form that makes one."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from accounts import actions as account_actions
from apps.models import App
from pipelines.models import Pipeline
from tests.factories import make_app, make_pipeline, stage


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
    with django_assert_num_queries(11):
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
    assertContains(client.get("/jump/?q=shop"), "Nothing here is called shop")
