"""Connections that are upgraded become tunnels."""

import asyncio

import websockets
import websockets.asyncio.server

from tests.engine.router_rig import Rig, request, says, until


async def test_a_websocket_passes_both_ways():
    async def answer(socket):
        async for message in socket:
            await socket.send(message[::-1])

    async with Rig() as rig:
        async with websockets.asyncio.server.serve(answer, "127.0.0.1", 0) as server:
            rig.put(server.sockets[0].getsockname()[1], ids=["b1"])
            url = f"ws://shop.localhost:{rig.router.port}/ws"
            async with websockets.connect(url, host="127.0.0.1", port=rig.router.port, proxy=None) as socket:
                for message in ("live", "x" * 300_000, b"\x00\xff"):
                    await socket.send(message)
                    assert await asyncio.wait_for(socket.recv(), 5) == message[::-1]
                assert rig.router.in_flight("b1") == 0  # a tunnel holds up no drain
        line = await rig.line()
    assert "status=101" in line and 'path="/ws"' in line


async def test_each_end_of_a_tunnel_may_close_first():
    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 101 Switching\r\nUpgrade: thing\r\nConnection: Upgrade\r\n\r\nhello")
        while data := await reader.read(100):
            writer.write(data.upper())
            await writer.drain()
        return False

    async with Rig() as rig:
        dyno = await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(more="Connection: Upgrade\r\nUpgrade: thing\r\n") + b"early")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Upgrade: thing\r\n" in head
        assert await reader.readexactly(10) == b"helloEARLY"
        writer.write(b"last words")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(-1), 5) == b"LAST WORDS"
        writer.close()
        await until(lambda: not dyno.open)
        await rig.line("status=101")


async def test_an_upgrade_that_nobody_asked_for_is_an_unreadable_answer():
    async with Rig() as rig:
        await rig.app(says(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"))
        answer = await rig.get()
        await rig.line("code=H17")
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_http2_by_upgrade_is_not_tunnelled():
    async with Rig() as rig:
        dyno = await rig.app(says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
        await rig.ask(
            request(
                more="Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
            )
        )
    assert b"pgrade" not in dyno.heads[0] and b"HTTP2" not in dyno.heads[0]


async def test_an_idle_tunnel_is_closed():
    async with Rig(idle=0.1) as rig:
        await rig.app(says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"))
        answer = await rig.ask(request(more="Connection: Upgrade\r\nUpgrade: x\r\n"))
        await rig.line("code=H15")
    assert answer.startswith(b"HTTP/1.1 101 ") and answer.count(b"HTTP/1.1") == 1
