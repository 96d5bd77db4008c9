"""Scaling, restarting, one-off dynos."""

import re

import pytest
from pytest_django.asserts import assertRedirects

from apps.models import App, Dyno, Formation
from core.models import Event
from tests.factories import make_app

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(shop, alice, client):
    app = App.objects.get(name="shop-staging")
    Formation.objects.create(app=app, type="worker", quantity=0)
    client.force_login(alice)
    return app


def sizes(app):
    return {row.type: (row.quantity, row.size) for row in app.formation.all()}


def test_it_scales_all_types_at_once(app, client):
    wished = {
        "web.quantity": "3",
        "web.size": "standard-2x",
        "worker.quantity": "2",
        "worker.size": "standard-1x",
    }
    answer = client.post("/apps/shop-staging/formation/", wished)
    assertRedirects(answer, "/apps/shop-staging/resources/", status_code=303)
    assert sizes(app) == {"web": (3, "standard-2x"), "worker": (2, "standard-1x")}
    assert Event.objects.filter(app_id=app.pk, verb="scaled").count() == 1


def test_htmx_gets_the_part_after_the_change(app, client):
    answer = client.post("/apps/shop-staging/formation/", {"web.quantity": "2"}, headers=HTMX, follow=True)
    assert 'id="resources"' in answer.text
    assert sizes(app)["web"] == (2, "standard-1x")


def test_nothing_changed_is_no_change(app, client):
    client.post("/apps/shop-staging/formation/", {"web.quantity": "1", "web.size": "standard-1x"})
    assert not Event.objects.filter(app_id=app.pk, verb="scaled").exists()


@pytest.mark.parametrize("wrong", ["-1", "many", "101", "9" * 40, "٣", "1.5"])
def test_a_wrong_number_changes_nothing_and_is_told(app, client, wrong):
    url, form = "/apps/shop-staging/formation/", {"worker.quantity": "1", "web.quantity": wrong}
    assert client.post(url, form, headers=HTMX).status_code == 422
    back = client.post(
        url, form, headers={"Referer": "http://testserver/apps/shop-staging/resources/"}, follow=True
    )
    assert 'role="alert"' in back.text
    assert sizes(app) == {"web": (1, "standard-1x"), "worker": (0, "standard-1x")}


def test_a_wrong_size_changes_nothing(app, client):
    form = {"web.size": "huge"}
    assert client.post("/apps/shop-staging/formation/", form, headers=HTMX).status_code == 422
    assert sizes(app)["web"] == (1, "standard-1x")


@pytest.mark.parametrize(("dyno", "raised"), [("", {1, 2, 3}), ("web", {1, 2}), ("web.2", {2})])
def test_it_restarts_all_a_type_or_one(app, client, dyno, raised):
    for number, type in ((1, "web"), (2, "web"), (3, "worker")):
        Dyno.objects.create(app=app, type=type, number=number, command="x", release_version=1, state="up")
    answer = client.post("/apps/shop-staging/restarts/", {"dyno": dyno})
    assertRedirects(answer, "/apps/shop-staging/resources/", status_code=303)
    assert {dyno.number for dyno in Dyno.objects.filter(generation=1)} == raised


def test_it_runs_a_command_with_the_current_release(app, client, alice):
    answer = client.post("/apps/shop-staging/dynos/", {"command": "rake db:seed", "size": "basic"})
    assertRedirects(answer, "/apps/shop-staging/resources/", status_code=303)
    dyno = Dyno.objects.get(one_off=True)
    assert (dyno.command, dyno.size, dyno.release_version, dyno.by) == ("rake db:seed", "basic", 1, alice)
    page = client.get("/apps/shop-staging/resources/").text
    assert "rake db:seed" in page and dyno.name in page


def test_no_code_no_command(alice, client):
    make_app("empty", owner=alice)
    client.force_login(alice)
    answer = client.post("/apps/empty/dynos/", {"command": "true", "size": "basic"}, headers=HTMX)
    assert answer.status_code == 422
    assert "has not been deployed yet" in answer.text
    assert not Dyno.objects.exists()


def test_it_stops_a_one_off_and_shows_how_one_ended(app, client):
    make = {"app": app, "type": "run", "command": "x", "release_version": 1, "one_off": True}
    Dyno.objects.create(**make, number=1, state="up")
    Dyno.objects.create(**make, number=2, state="down", exit_code=7)
    client.post("/apps/shop-staging/dynos/run.1/removal/")
    assert Dyno.objects.get(number=1).stop_asked
    assert ">7<" in client.get("/apps/shop-staging/resources/").text


def test_it_says_honestly_that_there_are_no_add_ons(app, client):
    page = client.get("/apps/shop-staging/resources/").text
    assert "No add-on yet" in page and "/apps/shop-staging/catalog/heroku-postgresql/" in page


def test_the_formation_can_be_changed_on_the_overview_too(app, client, vera):
    page = client.get("/apps/shop-staging/").text
    assert 'name="web.quantity"' in page and 'name="worker.size"' in page
    client.force_login(vera)
    assert 'name="web.quantity"' not in client.get("/apps/shop-staging/").text


def test_without_a_script_what_was_typed_comes_back_with_what_is_wrong(app, client):
    form = {"web.quantity": "101", "web.size": "standard-2x", "worker.quantity": "7"}
    answer = client.post("/apps/shop-staging/formation/", form)
    assert answer.status_code == 422 and "between 0 and 100" in answer.text
    assert 'value="101"' in answer.text and 'value="7"' in answer.text
    web = re.search(r'<select[^>]+name="web.size".*?</select>', answer.text, re.DOTALL).group()
    assert re.findall(r'<option value="([^"]+)"[^>]* selected>', web) == ["standard-2x"]
    assert sizes(app)["worker"] == (0, "standard-1x")


def test_a_command_that_is_refused_stays_in_its_field(app, client):
    answer = client.post("/apps/shop-staging/dynos/", {"command": "echo <b>", "size": "huge"})
    assert answer.status_code == 422 and "No such size." in answer.text
    assert 'value="echo &lt;b&gt;"' in answer.text
    assert not Dyno.objects.filter(one_off=True).exists()
