"""Each error code, the page that goes with it, and that there is never more than one answer (promise I-25)."""

import asyncio
import json
import re
import socket
import struct

import pytest

from tests.engine.router_rig import (
    OK,
    Rig,
    header,
    read_answer,
    read_head,
    request,
    says,
    says_and_closes,
    until,
)
from tests.ports import free_port


async def hang(head, reader, writer):
    """A script that never answers."""
    await reader.read(-1)
    return False


@pytest.mark.parametrize("code", ["H10", "H14", "H20", "H81", "H84"])
async def test_without_a_backend_the_route_says_why(code):
    async with Rig() as rig:
        rig.put(why_none=code)
        answer = await rig.get("/x")
        line = await rig.line()
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert code.encode() in answer
    assert line.startswith(f"at=error code={code} desc=")
    assert re.search(r" dyno= connect=0ms service=\d+ms status=503 bytes=0 protocol=http$", line)


async def test_h12_no_first_byte_in_time():
    async with Rig(first_byte=0.1) as rig:
        dyno = await rig.app(hang)
        answer = await rig.get()
        assert 'code=H12 desc="Request timeout"' in await rig.line()
        await until(lambda: not dyno.open)
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_h12_counts_from_the_end_of_an_upload():
    async with Rig(first_byte=0.3, idle=5) as rig:
        await rig.app(says(OK))
        reader, writer = await rig.open()
        writer.write(request(method="POST", more="Content-Length: 50\r\n"))
        for _ in range(50):
            await asyncio.sleep(0.01)
            writer.write(b"x")
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.promise("I-25")
async def test_h13_closed_without_an_answer_is_not_tried_again():
    async with Rig() as rig:
        dyno = await rig.app(says_and_closes(b""))
        other = await rig.dyno(says(OK))
        answer = await rig.get()
        assert 'code=H13 desc="Connection closed without response"' in await rig.line()
    assert answer.startswith(b"HTTP/1.1 503 ") and answer.count(b"HTTP/1.1") == 1
    assert len(dyno.heads) == 1 and not other.heads


@pytest.mark.promise("I-25")
async def test_h13_also_on_a_connection_that_served_before():
    async def script(head, reader, writer):
        if b"/die" in head:
            return False
        writer.write(OK)

    async with Rig() as rig:
        dyno = await rig.app(script)
        await rig.get()
        answer = await rig.get("/die")
        await rig.line("code=H13")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert len(dyno.heads) == 2  # it had read the request, so it was asked once


async def test_a_kept_connection_that_the_backend_closed_is_not_used():
    async def script(head, reader, writer):
        writer.write(OK)
        await writer.drain()
        return False  # without having said so

    async with Rig() as rig:
        dyno = await rig.app(script)
        for _ in range(20):
            assert (await rig.get(method=b"POST", more=b"Content-Length: 0\r\n")).endswith(b"ok")
    assert len(dyno.heads) == 20


async def test_h15_an_answer_that_stops_moving():
    async with Rig(idle=0.1) as rig:
        await rig.app(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
        answer = await rig.ask(request())
        assert 'code=H15 desc="Idle connection"' in await rig.line()
    assert answer.count(b"HTTP/1.1") <= 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSpa ce: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBig: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_h17_an_unreadable_answer(answer):
    async with Rig() as rig:
        await rig.app(says(answer))
        got = await rig.get()
        assert 'code=H17 desc="Poorly formed HTTP response"' in await rig.line()
    assert got.startswith(b"HTTP/1.1 503 ") and got.count(b"HTTP/1.1") == 1


async def test_h18_an_answer_that_breaks_off():
    async with Rig() as rig:
        await rig.app(says_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
        answer = await rig.ask(request())
        assert 'code=H18 desc="Server Request Interrupted"' in await rig.line()
    assert answer.count(b"HTTP/1.1") <= 1 and b"503" not in answer


async def test_h18_a_head_that_breaks_off_gets_a_page():
    async with Rig() as rig:
        await rig.app(says_and_closes(b"HTTP/1.1 200 OK\r\nConte"))
        answer = await rig.get()
        await rig.line("code=H18")
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_h19_a_backend_that_does_not_accept():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for sock in fillers:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        async with Rig(connect=0.1) as rig:
            rig.put(port)
            answer = await rig.get()
            assert 'code=H19 desc="Backend connection timeout"' in await rig.line()
        for sock in fillers:
            sock.close()
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_h21_every_backend_refuses():
    async with Rig() as rig:
        rig.put(free_port(), free_port())
        answer = await rig.get()
        assert 'code=H21 desc="Backend connection refused"' in await rig.line()
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_another_backend_answers_when_one_refuses():
    async with Rig() as rig:
        dyno = await rig.dyno(says(OK))
        rig.put(free_port(), dyno)
        answers = [
            await rig.get(method=b"POST", more=b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)
            for _ in range(4)
        ]
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)


@pytest.mark.parametrize("reset", [True, False])
async def test_h27_the_client_goes_away(reset):
    go = asyncio.Event()

    async def script(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        dyno = await rig.app(script)
        sock = socket.create_connection(("127.0.0.1", rig.router.port))
        sock.sendall(request())
        await until(lambda: dyno.heads)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        if not reset:
            await until(lambda: all(front.ended for front in rig.router.fronts))
            go.set()
        line = await rig.line("code=H27")
        go.set()
        assert rig.router.in_flight("a1-0") == 0
    assert line.startswith('at=error code=H27 desc="Client Request Interrupted"') and "status=499" in line


async def test_h28_the_client_stops_sending():
    async with Rig(idle=0.1) as rig:
        await rig.app(hang)
        answer = await rig.ask(request(method="POST", more="Content-Length: 10\r\n", body=b"half"))
        assert "code=H28" in await rig.line()
    assert answer == b""


async def test_h80_maintenance():
    async with Rig() as rig:
        dyno = await rig.dyno(says(OK))
        rig.put(dyno, maintenance=True)
        answer = await rig.get("/x")
        line = await rig.line()
        rig.put(dyno)
        after = await rig.get("/x")
    assert line.startswith('at=info code=H80 desc="Maintenance mode" method=GET path="/x"')
    assert answer.startswith(b"HTTP/1.1 503 ") and b"Back in a few minutes" in answer
    assert header(answer, "cache-control") == ["no-store"]
    assert header(answer, "retry-after") == ["30"]
    assert len(dyno.heads) == 1 and after.endswith(b"ok")


async def test_there_is_no_app_here_looks_the_same_for_every_name():
    async with Rig() as rig:
        rig.put(app="a2", name="gone")
        rig.router.drop("a2")
        answers = {
            await rig.get(host=host)
            for host in ("nope.localhost", "gone.localhost", "a.b.localhost", "example.org")
        }
        assert not rig.lines
    assert len(answers) == 1
    answer = answers.pop()
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n") and b"There is no app here" in answer


async def test_pages_stand_alone_and_say_which_request_it_was():
    async with Rig() as rig:
        rig.put(hosts={"shop.localhost"}, why_none="H10")
        answer = await rig.get(more=b"Accept: text/html\r\nX-Request-Id: deadbeef-1\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(header(head + b"\r\n", "content-length")[0]) == len(body)
    assert header(head + b"\r\n", "content-type") == ["text/html; charset=utf-8"]
    assert b"deadbeef-1" in body and b"H10" in body and b"shop.localhost" in body
    assert b"<script" not in body and b"src=" not in body and b"http://" not in body and b"$" not in body


async def test_programs_get_json_or_text_when_they_ask_for_it():
    async with Rig() as rig:
        rig.put(why_none="H10")
        as_json = await rig.get(more=b"Accept: application/json\r\n")
        as_text = await rig.get(more=b"Accept: text/plain\r\n")
        head_only = await rig.get(method=b"HEAD")
    assert json.loads(as_json.partition(b"\r\n\r\n")[2])["id"] == "H10"
    assert header(as_text, "content-type") == ["text/plain; charset=utf-8"] and b"<" not in as_text
    assert head_only.endswith(b"\r\n\r\n") and int(header(head_only, "content-length")[0]) > 500


async def test_a_connection_is_kept_after_an_error_page():
    async with Rig() as rig:
        rig.put(why_none="H14")
        reader, writer = await rig.open()
        writer.write(request())
        first, _ = await read_answer(reader)
        await rig.app(says(OK))
        writer.write(request())
        second, _ = await read_answer(reader)
        writer.close()
    assert first.startswith(b"HTTP/1.1 503") and second.startswith(b"HTTP/1.1 200")


@pytest.mark.promise("I-18")
async def test_apps_keep_serving_while_the_platform_is_away():
    async with Rig() as rig:
        await rig.app(says(OK))
        rig.control_server.close()
        away = await rig.get(host="localhost")
        served = await rig.get()
    assert away.startswith(b"HTTP/1.1 503 ") and b"Slipway is restarting" in away
    assert served.endswith(b"ok")


async def test_slow_heads_and_silent_connections_are_ended():
    async with Rig(header=0.1, keep_alive=0.1) as rig:
        await rig.app(says(OK))
        reader, writer = await rig.open()
        writer.write(request())
        await read_answer(reader)
        slow, silent, idle = await asyncio.gather(
            rig.ask(b"GET / HTTP/1.1\r\nHos"), rig.ask(b""), reader.read(-1)
        )
        writer.close()
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert silent == idle == b""


async def test_more_connections_than_allowed_wait_their_turn():
    async with Rig(connections=2, keep_alive=0.2) as rig:
        await rig.app(says(OK))
        answers = await asyncio.gather(*(rig.get() for _ in range(10)))
    assert [a[-2:] for a in answers] == [b"ok"] * 10


async def test_stop_lets_what_is_in_flight_end():
    go = asyncio.Event()

    async def script(head, reader, writer):
        await go.wait()
        writer.write(OK)

    async with Rig() as rig:
        dyno = await rig.app(script)
        reader, writer = await rig.open()
        idle_reader, idle_writer = await rig.open()
        idle_writer.write(b"GET")
        writer.write(request())
        await until(lambda: dyno.heads and len(rig.router.fronts) == 2)
        stopping = asyncio.create_task(rig.router.stop())
        assert await idle_reader.read(-1) == b""
        with pytest.raises(ConnectionRefusedError):
            await rig.open()
        go.set()
        head = await read_head(reader)
        assert await reader.read(-1) == b"ok"
        await stopping
        writer.close()
        idle_writer.close()
    assert header(head, "connection") == ["close"]


async def test_a_flood_of_interim_answers_is_passed_on():
    flood = b"HTTP/1.1 102 Processing\r\n\r\n" * 3000
    async with Rig() as rig:
        await rig.app(says(flood + OK))
        answer = await rig.get()
    assert answer.startswith(flood) and answer.endswith(b"\r\n\r\nok")
