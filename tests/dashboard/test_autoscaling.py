"""Autoscaling on the Resources page."""

import pytest
from pytest_django.asserts import assertRedirects

from apps import autoscale
from apps.autoscale import Rule
from apps.models import App, Autoscale
from metering.models import DynoPrice

PAGE, FORM = "/apps/shop-staging/resources/", "/apps/shop-staging/autoscale/"
ASKED = {"minimum": "1", "maximum": "3", "p95": "500", "notify": "on"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(shop, alice, client):
    client.force_login(alice)
    return App.objects.get(name="shop-staging")


def squeezed(text):
    return " ".join(text.split())


def test_it_is_turned_on_and_off(app, client, alice):
    assert 'name="web.quantity"' in client.get(PAGE).text
    assertRedirects(client.post(FORM, ASKED), PAGE, status_code=303)
    row = Autoscale.objects.get(app=app)
    assert (row.enabled, row.minimum, row.maximum, row.p95, row.notify, row.by) == (
        True,
        1,
        3,
        500,
        True,
        alice,
    )
    said = client.get(PAGE).text
    assert "on, 1–3 web dynos" in said and "Turn off" in said and 'id="fewer-web"' not in said
    assert "of 1–3" in client.get("/apps/shop-staging/").text
    assertRedirects(client.post(FORM, {**ASKED, "off": "1"}), PAGE, status_code=303)
    assert not Autoscale.objects.get(app=app).enabled
    off = client.get(PAGE).text
    assert 'id="fewer-web"' in off and 'name="maximum" value="3"' in off, "it remembers"


def test_without_the_mark_nobody_is_mailed(app, client):
    client.post(FORM, {name: text for name, text in ASKED.items() if name != "notify"})
    assert Autoscale.objects.get(app=app).notify is False


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"minimum": "0"}, "between 1 and 100"),
        ({"maximum": "many"}, "Use a number"),
        ({"maximum": ""}, "Say how many"),
        ({"minimum": "5"}, "can&#x27;t be less"),
        ({"p95": "9" * 30}, "between 1 and 30000 ms"),
    ],
)
def test_what_is_refused_comes_back_as_it_was_typed(app, client, change, says):
    answer = client.post(FORM, {**ASKED, "maximum": "4", **change})
    assert answer.status_code == 422 and says in answer.text
    (typed,) = change.values()
    assert f'value="{typed}"' in answer.text
    assert not Autoscale.objects.exists()


def test_it_says_what_was_done_and_why(app, client, alice):
    row = autoscale.enable(app, Rule(1, 3, 500), by=alice)
    assert "Nothing had to be changed so far" in client.get(PAGE).text
    autoscale.take(row, autoscale.Step(2, "p95 812 ms over 500 ms"), seen=1)
    said = squeezed(client.get(PAGE, headers=HTMX).text)
    assert "2 web dynos now. Last changed" in said and ": p95 812 ms over 500 ms." in said
    said = client.get("/apps/shop-staging/activity/").text
    assert "p95 812 ms over 500 ms" in said


def test_it_says_what_it_comes_to(app, client, alice, settings):
    settings.SHOW_PRICES, settings.CURRENCY = True, "$"
    DynoPrice.objects.update_or_create(size="standard-1x", defaults={"cents_per_month": 2500})
    autoscale.enable(app, Rule(1, 3, 500), by=alice)
    assert "<strong data-autoscale-cost>$25 to $75 a month</strong>" in client.get(PAGE).text
    assert "<strong data-autoscale-cost>…</strong>" in client.post(FORM, {**ASKED, "minimum": "9"}).text
    settings.SHOW_PRICES = False
    assert "data-autoscale-cost" not in client.get(PAGE).text


def test_a_page_of_before_does_not_turn_it_off(app, client, alice):
    autoscale.enable(app, Rule(1, 3, 500), by=alice)
    answer = client.post("/apps/shop-staging/formation/", {"web.quantity": "2"})
    assert answer.status_code == 409 and "by itself" in answer.text
    assert app.formation.get(type="web").quantity == 1 and Autoscale.objects.get().enabled
    client.post("/apps/shop-staging/formation/", {"web.size": "standard-2x"})
    assert app.formation.get(type="web").size == "standard-2x" and Autoscale.objects.get().enabled


def test_who_may_only_look_sees_how_it_stands(app, client, alice, vera):
    autoscale.enable(app, Rule(1, 3, 500), by=alice)
    client.force_login(vera)
    said = client.get(PAGE).text
    assert "on, 1–3 web dynos" in said and "1 dyno, autoscaled" in said
    assert FORM not in said and client.post(FORM, ASKED).status_code == 403


def test_an_app_without_web_process_has_none(app, client):
    app.formation.filter(type="web").delete()
    assert "h-autoscaling" not in client.get(PAGE).text
    answer = client.post(FORM, ASKED, headers={"Referer": f"http://testserver{PAGE}"}, follow=True)
    assert "no web dynos to scale" in answer.text
