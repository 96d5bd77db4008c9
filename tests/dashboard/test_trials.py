"""How a release stands that has to prove itself first: on the page of its promotion, on cards, and on its own."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.models import App
from pipelines import actions
from pipelines.models import Coupling
from releases.models import Release
from tests.factories import make_app, make_release, stage

START = {"name": "start", "at": "2026-01-01T00:00:00+00:00", "seconds": 1.0}
CANARY = {"name": "canary", "at": "2026-01-01T00:00:01+00:00", "seconds": None}


@pytest.fixture
def promotion(shop, alice, client):
    """Under way, with a release on trial for 2 more minutes."""
    client.force_login(alice)
    production = App.objects.get(name="shop-production")
    source = Coupling.objects.get(app__name="shop-staging")
    promotion = actions.promote(source, [production.coupling], by=alice)
    release = make_release(production, by=alice, status="running", current=False, kind="promote")
    until = timezone.now() + timedelta(seconds=110)
    Release.objects.filter(pk=release.pk).update(
        steps=[START, CANARY], canary_percent=10, canary_until=until, finished_at=None
    )
    promotion.targets.update(release=release, status="running")
    return promotion


def page_of(promotion, client):
    return client.get(f"/pipelines/shop/promotions/{promotion.pk}/").text


def test_the_promotion_says_how_long_it_is_on_trial(promotion, client):
    page = page_of(promotion, client)
    assert "Canary: 10 % for 2 more min" in page
    heads = page.partition("<thead>")[2].partition("</thead>")[0]
    assert heads.index("Start dynos") < heads.index(">Canary<") < heads.index("Switch traffic")


def test_a_promotion_without_a_trial_has_no_such_step(promotion, client):
    Release.objects.update(canary_until=None, canary_percent=0, steps=[START])
    assert "Canary" not in page_of(promotion, client)


def test_the_card_says_it(promotion, client):
    assert "Canary: 10 % for 2 more min" in client.get("/pipelines/shop/").text


@pytest.mark.parametrize(("left", "words"), [(30, "for less than a minute"), (-1, "its time is up")])
def test_the_release_says_it(promotion, client, left, words):
    Release.objects.filter(status="running").update(canary_until=timezone.now() + timedelta(seconds=left))
    version = Release.objects.get(status="running").version
    assert "Canary: 10 %" in (page := client.get(f"/apps/shop-production/releases/{version}/").text)
    assert words in page


def test_those_that_wait_for_the_first_say_so(promotion, shop, team, alice, client):
    second = make_app("shop-z", owner=team, stage=stage(shop, "production"))
    promotion.targets.create(app=second, wake_at=timezone.now())
    assert "after shop-production has stood its trial" in page_of(promotion, client)
