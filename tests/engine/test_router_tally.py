"""Both routers count requests by the release that answered, or should have."""

import asyncio
import time

import pytest

from engine.spec import Backend, Route
from engine.tally import place
from tests.engine.proxy_rig import ProxyRig
from tests.engine.router_rig import Rig, read_answer, request, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
SLOW_SECONDS = 0.06  # beyond the bound of 50 ms, with room below that of 300


@pytest.fixture(params=[Rig, ProxyRig])
def rig(request):
    return request.param


async def answers(head, reader, writer):
    """Slow for one path, broken for another, else fine; `/` and the rest are quick."""
    path = head.split(b" ", 2)[1]
    if path == b"/slow":
        await asyncio.sleep(SLOW_SECONDS)
    writer.write(BROKEN if path == b"/broken" else OK)


def route(*backends, release, **more):
    return Route("a1", "shop", frozenset({"shop.localhost"}), backends, release=release, **more)


async def ask(rig, *paths):
    for path in paths:
        reader, writer = await rig.open()
        writer.write(request(path))
        await asyncio.wait_for(read_answer(reader), 5)
        writer.close()


async def counted(rig, requests):
    """{release: count}, once so many requests were counted."""
    found = {}

    def look():
        for (app, release, _), count in rig.tally.take(time.time()).items():
            assert app == "a1"
            seen = found.setdefault(release, [0, 0, 0])
            seen[0] += count.requests
            seen[1] += count.errors
            seen[2] += sum(count.spread[place(SLOW_SECONDS * 1000) :])
        return sum(seen[0] for seen in found.values()) >= requests

    await until(look)
    return found


async def test_requests_errors_and_times_by_release(rig):
    async with rig() as router:
        dyno = await router.dyno(answers)
        backend = Backend("x.0.0", "web.1", "127.0.0.1", dyno.port, 7)
        router.router.put(route(backend, release=7))
        await ask(router, "/", "/broken", "/slow")
        found = await counted(router, 3)
        assert list(found) == [7]
        assert found[7][:2] == [3, 1] and found[7][2] >= 1


async def test_a_switch_parts_the_old_from_the_new(rig):
    async with rig() as router:
        dyno = await router.dyno(answers)
        router.router.put(route(Backend("x.0.0", "web.1", "127.0.0.1", dyno.port, 7), release=7))
        await ask(router, "/", "/")
        router.router.put(route(Backend("y.0.0", "web.1", "127.0.0.1", dyno.port, 8), release=8))
        await ask(router, "/")
        found = await counted(router, 3)
        assert {release: counts[0] for release, counts in found.items()} == {7: 2, 8: 1}


async def test_a_release_of_which_no_dyno_answers_has_the_errors(rig):
    async with rig() as router:
        router.router.put(route(release=9, why_none="H10"))
        await ask(router, "/", "/")
        assert (await counted(router, 2))[9][:2] == [2, 2]


async def test_visitors_turned_away_on_purpose_do_not_count(rig):
    async with rig() as router:
        dyno = await router.dyno(answers)
        backend = Backend("x.0.0", "web.1", "127.0.0.1", dyno.port, 7)
        router.router.put(route(backend, release=7, maintenance=True))
        await ask(router, "/", "/")
        router.router.put(route(backend, release=7))
        await ask(router, "/")
        assert await counted(router, 1) == {7: [1, 0, 0]}
