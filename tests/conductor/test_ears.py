"""A conductor apart from the web hears of work by the bus they share."""

import asyncio
import os
import shutil
import subprocess
from contextlib import suppress

import pytest
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer

from apps.models import Formation
from conductor.ears import listen
from core import live
from tests.conftest import eventually
from tests.factories import make_app


async def hears_through(layer):
    """Whether a nudge that is sent through `layer` arrives, within seconds."""
    heard = asyncio.Event()
    ears = asyncio.create_task(listen(heard.set))
    try:
        async with asyncio.timeout(10):
            while not heard.is_set():
                await layer.group_send(live.group(live.CONDUCTOR), {"type": "nudge"})
                await asyncio.sleep(0.01)
    finally:
        ears.cancel()
        with suppress(asyncio.CancelledError):
            await ears
    return heard.is_set()


async def test_it_hears_nudges_through_the_layer_of_its_own_process():
    assert await hears_through(get_channel_layer())


@pytest.fixture
def redis(tmp_path):
    """The URL of a Redis server of this test alone."""
    if not shutil.which("redis-server"):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "redis-server is not installed: apt-get install redis-server"
        )
    place = tmp_path / "redis.sock"
    arguments = ["--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL)
    eventually(place.exists)
    yield f"unix://{place}"
    server.terminate()
    server.wait()


@pytest.mark.redis
async def test_it_hears_nudges_of_other_processes_through_redis(redis, settings):
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [redis]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    another_process = RedisPubSubChannelLayer(hosts=[redis])
    assert await hears_through(another_process)


def test_a_nudge_has_all_apps_looked_at(platform, alice):
    app = make_app("shop", owner=alice)
    platform.deployed(app, alice, web="exec python3 -S server.py", worker="sleep 1000")
    Formation.objects.filter(app=app, type="worker").update(quantity=1)  # as another process would
    platform.conductor.nudge()
    eventually(
        lambda: "worker.1" in {s.dyno for s in platform.conductor.parts.driver.observe(str(app.pk))}, 3
    )
