"""Offers between people, as their pages show them."""

import pytest
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from apps import transfers as app_transfers
from apps.models import App
from pipelines import transfers
from pipelines.models import Pipeline
from tests.factories import make_app


@pytest.fixture
def offer(shop, alice, charlie):
    return transfers.hand_over(shop, charlie, by=alice)


def test_both_see_it(offer, alice, charlie, client):
    client.force_login(charlie)
    page = client.get("/transfers/")
    assertContains(page, "shop, a pipeline with its apps")
    assertContains(page, "Alice Liddell (alice@example.com) offers it to you")
    client.force_login(alice)
    page = client.get("/transfers/")
    assertContains(page, "To Charlie Bucket (charlie@example.com)")
    assertNotContains(page, "offers it to you")


def test_a_pipeline_is_accepted(offer, charlie, client):
    client.force_login(charlie)
    answer = client.post(f"/transfers/{offer.pk}/acceptance/")
    assertRedirects(answer, "/pipelines/shop/", 303)
    assert Pipeline.objects.get().user == charlie
    again = client.post(f"/transfers/{offer.pk}/acceptance/", headers={"HX-Request": "true"})
    assertContains(again, "has been accepted already", status_code=409)


def test_an_app_is_accepted_declined_and_withdrawn(alice, charlie, client):
    app = make_app("lonely", owner=alice)
    for user, noun, to, owner in (
        (charlie, "refusal", "/", alice),
        (alice, "withdrawal", "/apps/lonely/settings/", alice),
        (charlie, "acceptance", "/apps/lonely/", charlie),
    ):
        made = app_transfers.hand_over(app, charlie, by=alice)
        client.force_login(user)
        assertRedirects(client.post(f"/transfers/{made.pk}/{noun}/"), to, 303, fetch_redirect_response=False)
        assert App.objects.get().user == owner


@pytest.mark.parametrize("noun", ["acceptance", "refusal", "withdrawal"])
def test_it_is_nobody_elses_business(noun, offer, team, alice, bob, vera, charlie, client):
    url = f"/transfers/{offer.pk}/{noun}/"
    for user in (bob, vera):
        client.force_login(user)
        assert client.post(url).status_code == 404
    client.force_login(charlie if noun == "withdrawal" else alice)
    assert client.post(url).status_code == 404
    assert client.get(url).status_code == 405
    client.logout()
    assert client.post(url).status_code == 302
    offer.refresh_from_db()
    assert (offer.state, Pipeline.objects.get().team) == ("pending", team)
