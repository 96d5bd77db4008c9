"""What the router passes on, both ways, and what it adds."""

import asyncio
import re

import pytest

from engine.router import wire
from tests.engine.router_rig import (
    OK,
    Rig,
    echo,
    header,
    read_answer,
    read_head,
    request,
    says,
    says_and_closes,
    until,
)


async def test_it_passes_a_request_and_its_answer():
    async with Rig() as rig:
        dyno = await rig.app(says(b"HTTP/1.1 201 Made\r\nX-Odd:  kept \r\nContent-Length: 2\r\n\r\nok"))
        answer = await rig.get("/a?b=c%20d", more=b"X-Mine:   as it came\r\ncookie: a=b\r\n")
    assert answer.startswith(b"HTTP/1.1 201 Made\r\nX-Odd:  kept \r\n") and answer.endswith(b"\r\n\r\nok")
    assert header(answer, "via") == ["1.1 slipway"]
    assert dyno.heads[0].startswith(b"GET /a?b=c%20d HTTP/1.1\r\nHost: shop.localhost\r\n")
    assert b"\r\nX-Mine:   as it came\r\ncookie: a=b\r\n" in dyno.heads[0]


async def test_it_says_where_a_request_came_from():
    async with Rig() as rig:
        dyno = await rig.app(says(OK))
        await rig.get(
            more=b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Request-Id: abcdef-123456\r\n"
        )
        await rig.get(more=b"X-Request-Id: no good\r\nX_Forwarded_For: 6.6.6.6\r\n")
        port = str(rig.router.port)
    first, second = dyno.heads
    assert header(first, "x-forwarded-for") == ["9.9.9.9, 127.0.0.1"]
    assert header(first, "x-forwarded-proto") == ["http"]
    assert header(first, "x-forwarded-port") == [port]
    assert header(first, "x-request-id") == ["abcdef-123456"]
    assert header(first, "via") == ["1.1 slipway"]
    assert re.fullmatch(r"\d{13}", header(first, "x-request-start")[0])
    assert re.fullmatch(r"[0-9a-f-]{36}", header(second, "x-request-id")[0])
    assert b"6.6.6.6" not in second


async def test_hop_by_hop_headers_stay_on_their_hop():
    async with Rig() as rig:
        answer = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
        dyno = await rig.app(says(answer))
        more = "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 3\r\nTE: gzip\r\nProxy-Connection: x\r\n"
        reader, writer = await rig.open()
        writer.write(request(more=more))
        head, _ = await read_answer(reader)
        writer.close()
    assert b"X-Secret" not in dyno.heads[0] and b"\r\nTE" not in dyno.heads[0]
    assert not header(dyno.heads[0], "connection") and not header(dyno.heads[0], "keep-alive")
    assert not header(head, "keep-alive") and not header(head, "connection")


async def test_connections_are_kept_on_both_sides():
    async with Rig() as rig:
        dyno = await rig.app(says(OK))
        reader, writer = await rig.open()
        for _ in range(5):
            writer.write(request())
            assert (await read_answer(reader))[1] == b"ok"
        writer.close()
        await rig.get()
    assert len(dyno.heads) == 6
    assert dyno.connections == 1


async def test_pipelined_requests_are_answered_in_order():
    async with Rig() as rig:
        await rig.app(echo)
        raw = b"".join(
            request("/", more="Content-Length: 3\r\n", method="POST", body=b"%03d" % i) for i in range(20)
        )
        reader, writer = await rig.open()
        writer.write(raw)
        bodies = [(await read_answer(reader))[1] for _ in range(20)]
        writer.close()
    assert bodies == [b"%03d" % i for i in range(20)]


async def test_a_head_may_come_byte_by_byte():
    async with Rig() as rig:
        dyno = await rig.app(says(OK))
        reader, writer = await rig.open()
        for byte in request("/slow"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_answer(reader))[1] == b"ok"
        writer.close()
    assert dyno.heads[0].startswith(b"GET /slow ")


async def test_a_chunked_body_passes_both_ways_with_trailers():
    seen = bytearray()

    async def script(head, reader, writer):
        while not seen.endswith(b"0\r\nX-Sum: 1\r\n\r\n"):
            seen.extend(await reader.read(100))
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"3\r\nab", b"c\r\n", b"0\r", b"\nX-T: 2\r\n\r", b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async with Rig() as rig:
        dyno = await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Transfer-Encoding: chunked\r\n"))
        for piece in (b"4;x=y\r\nwi", b"ki\r\n0\r\nX-Sum", b": 1\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
        head = await read_head(reader)
        body = await reader.readuntil(b"0\r\nX-T: 2\r\n\r\n")
        writer.write(request("/next"))
        await until(lambda: len(dyno.heads) == 2)
        writer.close()
    assert bytes(seen) == b"4;x=y\r\nwiki\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert header(head, "transfer-encoding") == ["chunked"]
    assert body == b"3\r\nabc\r\n0\r\nX-T: 2\r\n\r\n"


async def test_an_answer_that_ends_with_its_connection_passes():
    async with Rig() as rig:
        await rig.app(says_and_closes(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end"))
        answer = await rig.ask(request())
        line = await rig.line()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nuntil the end")
    assert header(answer, "connection") == ["close"]
    assert "at=info" in line and "bytes=13" in line


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_do_not_stall_the_connection(method, answer):
    async with Rig() as rig:
        await rig.app(says(answer))
        reader, writer = await rig.open()
        for _ in range(2):
            writer.write(request(method=method))
            head = await asyncio.wait_for(read_head(reader), 2)
            assert head.split(b"\r\n")[0] == answer.split(b"\r\n")[0]
        writer.close()


async def test_expect_and_interim_answers_pass():
    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)

    async with Rig() as rig:
        dyno = await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(method="PUT", more="Expect: 100-continue\r\nContent-Length: 4\r\n"))
        assert (await read_head(reader)).startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 100 Continue\r\n")
        writer.write(b"body")
        assert (await read_answer(reader))[1] == b"body"
        writer.close()
    assert header(dyno.heads[0], "expect") == ["100-continue"]


async def test_it_streams_both_ways_at_once():
    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        for _ in range(3):
            writer.write(await reader.readexactly(3))
            await writer.drain()

    async with Rig() as rig:
        await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Content-Length: 9\r\n"))
        await read_head(reader)
        for piece in (b"abc", b"def", b"ghi"):
            writer.write(piece)
            assert await asyncio.wait_for(reader.readexactly(3), 2) == piece
        writer.close()


async def test_a_slow_backend_slows_the_client_down():
    go = asyncio.Event()

    async def script(head, reader, writer):
        await go.wait()
        left = 30_000_000
        while left:
            left -= len(await reader.read(min(left, 2**20)))
        writer.write(OK)

    async with Rig() as rig:
        await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Content-Length: 30000000\r\n"))
        sent = 0

        async def send():
            nonlocal sent
            for _ in range(300):
                writer.write(b"x" * 100_000)
                await writer.drain()
                sent += 100_000

        sending = asyncio.create_task(send())
        before = -1
        while before != sent:  # until nothing more goes in
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 15_000_000  # what kernels buffer, not what the router does
        go.set()
        await sending
        assert (await read_answer(reader))[1] == b"ok"
        writer.close()


async def test_a_slow_client_slows_the_backend_down():
    sent = 0

    async def script(head, reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n")
        for _ in range(300):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with Rig() as rig:
        await rig.app(script)
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.router.port, limit=1000)
        writer.write(request())
        before = -1
        while before != sent or not sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 15_000_000
        await read_head(reader)
        got = 0
        while got < 30_000_000:
            got += len(await reader.read(2**20))
        writer.close()
    assert sent == got == 30_000_000


async def test_an_early_answer_reaches_a_client_that_still_sends():
    async def script(head, reader, writer):
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        return False

    async with Rig() as rig:
        await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Content-Length: 50000000\r\n") + b"x" * 300_000)
        head, body = await asyncio.wait_for(read_answer(reader), 5)
        writer.close()
    assert head.startswith(b"HTTP/1.1 413 Too Large") and body == b"big"


async def test_a_half_closed_client_gets_its_answer():
    go = asyncio.Event()

    async def script(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        dyno = await rig.app(script)
        asking = asyncio.create_task(rig.ask(request(), end=True))
        await until(lambda: dyno.heads)
        go.set()
        answer = await asking
        line = await rig.line()
    assert answer.endswith(b"\r\n\r\nok")
    assert "status=200" in line


async def test_http_1_0_clients_get_an_answer_and_an_end():
    async with Rig() as rig:
        dyno = await rig.app(says(OK))
        answer = await rig.ask(b"GET / HTTP/1.0\r\nHost: shop.localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"ok")
    assert dyno.heads[0].startswith(b"GET / HTTP/1.0\r\n")


async def test_an_absolute_target_is_passed_in_origin_form():
    async with Rig() as rig:
        dyno = await rig.app(says(OK))
        await rig.ask(
            b"GET http://shop.localhost/x HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"
        )
    assert dyno.heads[0].startswith(b"GET /x HTTP/1.1\r\nHost: shop.localhost\r\n")


async def test_control_requests_go_to_the_platform_with_headers_it_may_believe():
    async with Rig() as rig:
        lies = (
            b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=1\r\n"
            b"X_Forwarded_Host: evil\r\n"
        )
        answer = await rig.get("/board", host="LOCALHOST:8000", more=lies)
        head = rig.control.heads[0]
        assert not rig.lines
    assert answer.endswith(b"control")
    assert head.startswith(b"GET /board HTTP/1.1\r\nHost: LOCALHOST:8000\r\n")
    assert header(head, "x-forwarded-for") == ["127.0.0.1"]
    assert header(head, "x-forwarded-proto") == ["http"]
    assert header(head, "x-request-id")
    assert b"evil" not in head and b"\r\nForwarded" not in head


async def test_a_trusted_proxy_is_believed():
    rig = Rig()
    rig.options = {"trusted_proxies": ["127.0.0.1"]}
    async with rig:
        await rig.get(host="localhost", more=b"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n")
        head = rig.control.heads[0]
    assert header(head, "x-forwarded-for") == ["9.9.9.9, 127.0.0.1"]
    assert header(head, "x-forwarded-proto") == ["https"]


@pytest.mark.promise("I-27")
async def test_cache_headers_of_apps_pass_untouched_and_nothing_is_cached():
    async with Rig() as rig:
        answer = b"HTTP/1.1 200 OK\r\nCache-Control: public, max-age=31536000\r\nContent-Length: 2\r\n\r\nok"
        dyno = await rig.app(says(answer))
        answers = [await rig.get("/asset.js") for _ in range(2)]
    assert len(dyno.heads) == 2
    assert [header(a, "cache-control") for a in answers] == [["public, max-age=31536000"]] * 2


def test_a_chunk_that_is_cut_anywhere_reads_the_same():
    raw = b"a;n=v\r\n0123456789\r\n1\r\nx\r\n0\r\nT: v\r\n\r\n"
    for cut in range(len(raw) + 1):
        body = wire.Chunked()
        taken = body.take(raw[:cut]) + body.take(raw[cut:] + b"GET /")
        assert (taken, body.done) == (len(raw), True)


async def test_a_certificate_authority_is_answered_for_the_app_that_it_asks_about():
    async with Rig() as rig:
        await rig.app(says(OK), challenges={"token-1": "token-1.thumbprint"})
        dyno = await rig.dyno(says(OK))
        rig.put(dyno, app="a2", name="other")
        asked = await rig.get("/.well-known/acme-challenge/token-1")
        unknown = await rig.get("/.well-known/acme-challenge/token-2")
        rig.put(maintenance=True, challenges={"token-1": "token-1.thumbprint"})
        resting = await rig.get("/.well-known/acme-challenge/token-1")
    assert asked.startswith(b"HTTP/1.1 200") and asked.endswith(b"\r\n\r\ntoken-1.thumbprint")
    assert unknown.endswith(b"ok") and resting.endswith(b"token-1.thumbprint")
