"""What is refused before anything of it reaches a backend: all that two readers could understand differently."""

import asyncio

import pytest

from tests.engine.router_rig import OK, Rig, read_answer, request, says, until

HOST = b"Host: shop.localhost\r\n"
LAST = b"\r\n\r\n"


DOUBTFUL = [
    # the host
    (400, b"GET / HTTP/1.1" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost:" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nhost: other.localhost" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: shop.localhost\r\nHost: shop.localhost" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: shop.localhost, other.localhost" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: shop.localhost/x" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: user@shop.localhost" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: shop.localhost:99999" + LAST),
    (400, b"GET / HTTP/1.1\r\nHost: shop.localhost:80:80" + LAST),
    (400, b"GET http://other.localhost/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET http://shop.localhost@other/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET ftp://shop.localhost/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    # the request line
    (400, b"GET /\r\n" + HOST + b"\r\n"),
    (400, b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n"),
    (400, b" GET / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /a\tb HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET shop.localhost HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"CONNECT shop.localhost:443 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    (505, b"GET / HTTP/1.10\r\n" + HOST + b"\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    # lengths
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1" + LAST + b"x"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1" + LAST + b"x"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1" + LAST + b"x"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x1" + LAST + b"x"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:" + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1" + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked" + LAST + b"0" + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + LAST),
    (501, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked" + LAST + b"0" + LAST),
    (501, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked" + LAST + b"0" + LAST),
    (501, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity" + LAST),
    (400, b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"0" + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked" + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding\x0b: chunked" + LAST),
    # chunks
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"zz\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"-1\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"0x1\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"1 \r\nx\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"1\nx\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"1;a\nx\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"1\r\nxy\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"1\r\nx\n0\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"f" * 16 + b"\r\n"),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"1;" + b"x" * 5000),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"0\r\nContent-Length: 1" + LAST),
    (400, b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked" + LAST + b"0\r\nno colon" + LAST),
    # headers
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded: c" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"no colon" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b": empty" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A B: c" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A\x00: c" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x7fc" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rc" + LAST),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nContent-Length: 3" + LAST),
    (400, b"GET / HTTP/1.1\nHost: shop.localhost\n\n"),
    # sizes
    (414, b"GET /" + b"x" * 8200 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 8200 + LAST),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"A%d: %b\r\n" % (i, b"x" * 90) for i in range(100)) + b"\r\n"),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 70_000),
]  # fmt: skip


@pytest.mark.parametrize(("status", "raw"), DOUBTFUL)
async def test_doubtful_requests_are_refused(status, raw):
    async with Rig() as rig:
        dyno = await rig.app(says(OK))
        answer = await rig.ask(raw + b"GET /smuggled HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1  # one answer, and nothing after it is believed to be a request
    assert not dyno.heads and not dyno.connections


async def test_a_chunk_that_goes_wrong_later_ends_both_connections():
    got = bytearray()

    async def script(head, reader, writer):
        while data := await reader.read(1000):
            got.extend(data)
        got.extend(b"<end>")
        return False

    async with Rig() as rig:
        await rig.app(script)
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Transfer-Encoding: chunked\r\n", body=b"3\r\nabc\r\n"))
        await until(lambda: b"abc" in got)
        writer.write(b"nonsense\r\n0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(-1), 5)
        assert "code=H26" in await rig.line()
        await until(lambda: got.endswith(b"<end>") or not got)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1
    assert b"nonsense" not in got


async def test_the_size_that_is_allowed_passes():
    async with Rig() as rig:
        await rig.app(says(OK))
        answer = await rig.get("/" + "x" * 8000, more=b"A: " + b"x" * 8000 + b"\r\n")
        control = await rig.get(host="localhost", more=b"A: " + b"x" * 60_000 + b"\r\n")
    assert answer.endswith(b"ok")
    assert control.endswith(b"control")


async def test_bytes_after_an_answer_are_never_taken_for_the_next_one():
    async with Rig() as rig:
        poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        dyno = await rig.app(says(OK + poison))
        reader, writer = await rig.open()
        bodies = []
        for _ in range(3):
            writer.write(request())
            bodies.append((await read_answer(reader))[1])
        writer.close()
    assert bodies == [b"ok"] * 3
    assert dyno.connections == 3


async def test_an_answer_that_nobody_asked_for_closes_the_kept_connection():
    async def script(head, reader, writer):
        writer.write(OK)
        await writer.drain()
        if len(dyno.heads) == 1:
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            await writer.drain()
            unasked.set()

    unasked = asyncio.Event()
    async with Rig() as rig:
        dyno = await rig.app(script)
        first = await rig.get()
        await unasked.wait()
        second = await rig.get()
    assert first.endswith(b"ok") and second.endswith(b"ok")


async def test_an_empty_line_before_a_request_is_forgiven():
    async with Rig() as rig:
        await rig.app(says(OK))
        answer = await rig.ask(
            b"\r\nGET / HTTP/1.1\r\nHost: SHOP.localhost.:8000\r\nConnection: close\r\n\r\n"
        )
    assert answer.endswith(b"ok")


async def test_the_app_is_told_of_a_refused_request_when_the_host_could_be_read():
    async with Rig() as rig:
        await rig.app(says(OK))
        await rig.get(more=b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")
        line = await rig.line("code=H26")
    assert line.startswith('at=error code=H26 desc="Request error"') and "status=400" in line
