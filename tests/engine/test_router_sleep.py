"""Apps that sleep: their requests wait until somebody has them woken; and releases on trial, which get a share."""

import asyncio
import socket
import struct
import time

from engine.spec import Backend, Route
from tests.engine.router_rig import OK, Rig, echo, read_answer, request, says, until

HOSTS = frozenset({"shop.localhost"})


def asleep(**more):
    return Route("a1", "shop", HOSTS, asleep=True, why_none="H20", **more)


class Sleeper:
    """A rig whose app sleeps, and what was asked to be woken."""

    def __init__(self, **limits):
        self.rig, self.woken = Rig(**limits), []
        self.rig.options = {"wake": self.woken.append}

    async def __aenter__(self):
        await self.rig.__aenter__()
        self.rig.router.put(asleep())
        return self.rig, self.woken

    async def __aexit__(self, *args):
        await self.rig.__aexit__(*args)


async def test_a_request_waits_until_the_app_is_up_and_is_answered():
    async with Sleeper() as (rig, woken):
        asking = asyncio.create_task(rig.get("/orders?page=2"))
        await until(lambda: woken == ["a1"])
        rig.router.put(asleep())  # its dynos start: nothing to be told yet
        dyno = await rig.app(says(OK))
        assert (await asking).startswith(b"HTTP/1.1 200")
        assert dyno.heads[0].startswith(b"GET /orders?page=2 ")
        assert "dyno=web.1" in await rig.line("status=200")


async def test_a_body_that_came_while_it_waited_arrives_as_a_whole():
    async with Sleeper() as (rig, woken):
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Content-Length: 90000\r\n", body=b"x" * 10))
        await until(lambda: woken)
        writer.write(b"y" * 89990)
        await rig.app(echo)
        _, body = await read_answer(reader)
        writer.close()
    assert body == b"x" * 10 + b"y" * 89990


async def test_what_does_not_come_up_is_said_in_time():
    async with Sleeper(wake=0.3) as (rig, _):
        began = time.monotonic()
        answer = await rig.get()
        assert answer.startswith(b"HTTP/1.1 503") and 0.2 < time.monotonic() - began < 3
        assert "code=H20" in await rig.line("status=503")


async def test_a_crash_at_the_start_is_said_at_once():
    async with Sleeper() as (rig, woken):
        asking = asyncio.create_task(rig.get())
        await until(lambda: woken)
        rig.router.put(Route("a1", "shop", HOSTS, why_none="H10"))
        assert (await asking).startswith(b"HTTP/1.1 503")
        assert await rig.line("code=H10")


async def test_only_so_many_wait():
    async with Sleeper(waiting=3) as (rig, woken):
        asking = [asyncio.create_task(rig.get()) for _ in range(5)]
        await until(lambda: sum(task.done() for task in asking) == 2)
        assert len(woken) == 3
        await rig.app(says(OK))
        statuses = sorted([(await task)[9:12] for task in asking])
    assert statuses == [b"200"] * 3 + [b"503"] * 2


async def test_who_leaves_makes_room_and_an_app_that_goes_leaves_nobody_waiting():
    async with Sleeper(waiting=1) as (rig, woken):
        _, writer = await rig.open()
        writer.write(request())
        await until(lambda: woken)
        linger = struct.pack("ii", 1, 0)  # a reset: an end alone may be of one direction
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        assert await rig.line("code=H27")
        asking = asyncio.create_task(rig.get())
        await until(lambda: len(woken) == 2)
        rig.router.drop("a1")
        assert (await asking).startswith(b"HTTP/1.1 503")


async def test_maintenance_wakes_nobody():
    async with Sleeper() as (rig, woken):
        rig.router.put(asleep(maintenance=True))
        assert (await rig.get()).startswith(b"HTTP/1.1 503") and not woken
        assert await rig.line("code=H80")


async def test_it_knows_how_long_an_app_was_quiet():
    go = asyncio.Event()

    async def slow(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        await rig.app(slow)
        await asyncio.sleep(0.05)
        assert rig.router.quiet("a1") >= 0.05
        asking = asyncio.create_task(rig.get())
        await until(lambda: rig.router.quiet("a1") == 0)
        rig.put(80)  # whatever route it has meanwhile
        assert rig.router.quiet("a1") == 0
        go.set()
        await asking
        assert 0 < rig.router.quiet("a1") < 0.05
        assert rig.router.quiet("nobody") == 0


async def test_a_tunnel_is_no_quiet():
    upgrade = "Connection: Upgrade\r\nUpgrade: echo\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    async with Rig() as rig:
        await rig.app(says(switch))
        reader, writer = await rig.open()
        writer.write(request(more=upgrade))
        await reader.readuntil(b"\r\n\r\n")
        assert rig.router.quiet("a1") == 0
        writer.close()
        await until(lambda: rig.router.quiet("a1") > 0)


def trial(old, new, share, **more):
    backends = [Backend(name, "web.1", "127.0.0.1", dyno.port) for name, dyno in (("old", old), ("new", new))]
    return Route("a1", "shop", HOSTS, (backends[0],), canary=(backends[1],), share=share, **more)


async def test_a_release_on_trial_gets_its_share():
    async with Rig() as rig:
        old, new = await rig.dyno(says(OK)), await rig.dyno(says(OK))
        rig.router.put(trial(old, new, 20))
        reader, writer = await rig.open()
        for _ in range(2000):
            writer.write(request())
            assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
        writer.close()
    # Six standard deviations to each side: by chance it fails once in half a billion times.
    assert 290 < len(new.heads) < 510 and len(old.heads) + len(new.heads) == 2000


async def test_what_refuses_leaves_its_share_to_the_other():
    async with Rig() as rig:
        old, new = await rig.dyno(says(OK)), await rig.dyno(says(OK))
        new.server.close()
        rig.router.put(trial(old, new, 100))
        assert (await rig.get()).startswith(b"HTTP/1.1 200") and len(old.heads) == 1


async def test_a_trial_that_ends_ends_what_it_had_under_way():
    go = asyncio.Event()

    async def slow(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        old, new = await rig.dyno(says(OK)), await rig.dyno(slow)
        rig.router.put(trial(old, new, 100))
        asking = asyncio.create_task(rig.get())
        await until(lambda: rig.router.in_flight("new") == 1)
        rig.router.put(Route("a1", "shop", HOSTS, (Backend("old", "web.1", "127.0.0.1", old.port),)))
        assert (await rig.get()).startswith(b"HTTP/1.1 200") and len(old.heads) == 1
        go.set()
        assert (await asking).startswith(b"HTTP/1.1 200")
        assert rig.router.in_flight("new") == 0
