"""Several people on one board: each hears of a change, and sees it as they may."""

import asyncio
import re
import time

import pytest
from asgiref.sync import sync_to_async

from apps import actions as app_actions
from apps.models import App
from core import live
from pipelines import actions
from pipelines.models import Coupling
from tests.dashboard.test_consumers import Page, session_of

pytestmark = pytest.mark.django_db(transaction=True)
db = sync_to_async


@pytest.fixture(autouse=True)
async def loop():
    """Nudges of other threads reach the sockets of this test's loop."""
    live.use_loop(asyncio.get_running_loop())
    yield
    live.use_loop(None)


async def watch(user):
    """A browser with the board on it: its client and its socket, subscribed as live.js does."""
    client, cookie = await db(session_of)(user)
    page = Page(cookie)
    assert (await page.socket.connect())[0]
    board = (await db(client.get)("/pipelines/shop/")).content.decode()
    topics = re.findall(r'data-live="([^"]+)"', board)
    await page.say(subscribe=topics)
    while await page.socket.receive_nothing(timeout=0.02):  # it is subscribed once it hears
        await db(live.tell_now)(topics[0])
    return client, page


async def hear(page, topic):
    """Wait for a nudge about `topic`."""
    while (await page.hear())["topic"] != topic:
        pass


async def test_everybody_sees_a_change_within_a_second(shop, alice, bob, vera):
    watchers = [await watch(user) for user in (alice, bob, vera, alice, bob)]
    app = await db(App.objects.get)(name="shop-staging")
    began = time.monotonic()
    await db(app_actions.set_maintenance)(app, True, by=alice)
    for client, page in watchers:
        await hear(page, app.topic)
        card = await db(client.get)("/apps/shop-staging/card/")
        assert b"Maintenance" in card.content
    assert time.monotonic() - began < 1
    offers = [b"data-promote" in (await db(c.get)("/apps/shop-staging/card/")).content for c, _ in watchers]
    assert offers == [True, True, False, True, True]
    for _, page in watchers:
        await page.socket.disconnect()


async def test_a_promotion_moves_the_cards_of_source_and_target(shop, alice, bob):
    _, page = await watch(bob)
    source = await db(Coupling.objects.select_related("app", "stage", "pipeline").get)(
        app__name="shop-staging"
    )
    target = await db(Coupling.objects.select_related("app", "stage", "pipeline").get)(
        app__name="shop-production"
    )
    await db(actions.promote)(source, [target], by=alice)
    await hear(page, target.app.topic)
    await page.socket.disconnect()
