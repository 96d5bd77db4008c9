"""What `heroku ci --watch` listens to: who may, and what comes."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator

from accounts.actions import create_token, revoke_token
from ci import actions
from config.asgi import application
from core import live
from tests.ci.made import make_run

pytestmark = pytest.mark.django_db(transaction=True)
db = sync_to_async


@pytest.fixture(autouse=True)
async def loop():
    live.use_loop(asyncio.get_running_loop())
    yield
    live.use_loop(None)


def client(secret):
    return WebsocketCommunicator(application, f"/ci-events/websocket?tab_id=1&token={secret}&vsn=2.0.0")


async def joined(secret, pipeline):
    """A client that has asked to join, and what it was told."""
    socket = client(secret)
    assert (await socket.connect())[0]
    await socket.send_json_to(["3", "4", f"events:pipelines/{pipeline}/test-runs", "phx_join", {}])
    return socket, (await socket.receive_json_from(timeout=10))[4]["status"]


async def test_runs_come_as_they_begin_and_move_on(alice, shop):
    _, secret = await db(create_token)(alice, by=alice)
    socket, told = await joined(secret, shop.pk)
    assert told == "ok"
    await socket.send_json_to([None, "5", "phoenix", "heartbeat", {}])
    assert await socket.receive_json_from(timeout=10) == [
        None, "5", "phoenix", "phx_reply", {"status": "ok", "response": {}},
    ]  # fmt: skip
    run = await db(make_run)(shop, by=alice)
    await db(live.tell_now)(shop.topic)
    join, _, topic, event, payload = await socket.receive_json_from(timeout=10)
    assert (join, topic, event) == ("3", f"events:pipelines/{shop.pk}/test-runs", "create")
    assert (payload["data"]["id"], payload["data"]["status"]) == (str(run.pk), "pending")
    await db(actions.cancel)(run, by=alice)
    event, payload = (await socket.receive_json_from(timeout=10))[3:]
    assert (event, payload["data"]["status"]) == ("update", "cancelled")
    await socket.send_to(text_data="no frame")
    await socket.send_json_to({"nor": "this"})
    await db(live.tell_now)(shop.topic)
    assert await socket.receive_nothing(timeout=0.5)  # nothing has changed
    await socket.disconnect()


async def test_only_who_may_see_the_pipeline_joins(alice, charlie, shop):
    assert not (await client("none").connect())[0]
    _, narrow = await db(create_token)(alice, by=alice, scope=["identity"])
    assert not (await client(narrow).connect())[0]
    _, theirs = await db(create_token)(charlie, by=charlie)
    for pipeline in (shop.pk, "not-an-id"):
        socket, told = await joined(theirs, pipeline)
        assert told == "error"
        await socket.disconnect()


@pytest.mark.promise("I-31")
async def test_it_hears_no_more_once_the_token_is_gone(alice, shop):
    token, secret = await db(create_token)(alice, by=alice)
    socket, _ = await joined(secret, shop.pk)
    await db(revoke_token)(token, by=alice)
    await db(make_run)(shop, by=alice)
    await db(live.tell_now)(shop.topic)
    assert (await socket.receive_output(timeout=10))["type"] == "websocket.close"
