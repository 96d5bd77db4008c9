"""Our Daphne: sizes, slowness, proxies and memory, against a small application in a child process or a thread."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import websockets

from config.server import serve

MB = 1024**2
PUSH = "POST /shop.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic eDp5\r\n"


async def echo(scope, receive, send):
    """Says what it was given; /big answers with many bytes, /broken and /cut fail before and within an answer."""
    if scope["type"] == "websocket":
        return await echo_socket(scope, receive, send)
    body = scope.get("extensions", {}).get("slipway.body")
    size = sum(len(piece) for piece in iter(lambda: body["file"].read(MB), b"")) if body else 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    path = scope["path"]
    if path == "/broken":
        raise RuntimeError("broken")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(int(path.removeprefix("/big/")) * 16 if path.startswith("/big/") else 0):
        await send({"type": "http.response.body", "body": b"x" * (MB // 16), "more_body": True})
    if path == "/cut":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("cut")
    if path == "/wait":
        await receive()
        LEFT.append(path)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    said = {
        "size": size,
        "client": scope["client"],
        "scheme": scope["scheme"],
        "headers": headers,
        "pid": os.getpid(),
    }
    said |= {"file": bool(body), "root": scope["root_path"]}
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def echo_socket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send(
            {"type": "websocket.send", "text": f"{scope['client'][0]} {scope['scheme']} {message['text']}"}
        )


LEFT: list[str] = []


@pytest.fixture
async def server(settings, tmp_path):
    running = await serve(
        echo, unix=tmp_path / "run" / "web.sock", tcp=("127.0.0.1", 0), spool=tmp_path / "tmp"
    )
    running.unix = tmp_path / "run" / "web.sock"
    yield running
    await running.stop(grace=1)


async def talk(server, text, *, unix=False):
    """Send `text` on a connection of its own; returns status and body of the answer."""
    if unix:
        reader, writer = await asyncio.open_unix_connection(server.unix)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(text.encode() if isinstance(text, str) else text)
    try:
        return await asyncio.wait_for(answer(reader), 10)
    finally:
        writer.close()


async def answer(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), json.loads(body)


async def test_it_serves_on_both_sockets_and_only_ours_may_open_the_one(server):
    for unix in (False, True):
        status, said = await talk(server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", unix=unix)
        assert (status, said["size"]) == (200, 0)
    assert server.unix.stat().st_mode & 0o777 == 0o600
    assert server.unix.parent.stat().st_mode & 0o777 == 0o700


async def test_a_connection_carries_many_requests(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for number in range(3):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % number + b"x" * number)
        assert (await answer(reader))[1]["size"] == number
    writer.close()


@pytest.mark.promise("I-36")
async def test_forwarded_headers_count_from_the_router_only(server):
    head = (
        "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\n\r\n"
    )
    _, said = await talk(server, head, unix=True)
    assert (said["client"], said["scheme"]) == (["8.8.8.8", 0], "https")
    _, said = await talk(server, head)
    assert (said["client"][0], said["scheme"]) == ("127.0.0.1", "http")
    assert not [name for name in said["headers"] if name.startswith("x-forwarded")]


async def test_a_listed_proxy_is_believed(server, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    _, said = await talk(server, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert said["scheme"] == "https"
    assert said["headers"]["x-forwarded-proto"] == "https"


async def test_a_client_cannot_move_the_root(server):
    _, said = await talk(server, "GET / HTTP/1.1\r\nHost: x\r\nDaphne-Root-Path: /evil\r\n\r\n")
    assert said["root"] == ""


@pytest.mark.promise("I-46")
@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n", 413),
        (PUSH + "Content-Length: 3001\r\n", 413),
        (PUSH.replace("Authorization", "X") + "Content-Length: 1001\r\n", 403),
        ("PUT /_sources/src-abc HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n", 413),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 101, 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "y" * 40_000 + "\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n", 400),
        ("nonsense\r\n", 400),
    ],
)
async def test_it_refuses_by_the_headers_alone(server, settings, head, status):
    settings.BODY_BYTES, settings.SOURCE_BYTES, settings.PUSH_BYTES = 1000, 2000, 3000
    found, said = await talk(server, head + "\r\n")
    assert found == status
    assert said["message"]


@pytest.mark.promise("I-46")
async def test_a_body_without_a_length_is_counted(server, settings, tmp_path):
    settings.PUSH_BYTES = 100_000
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(PUSH.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(4):
        writer.write(b"7530\r\n" + b"x" * 30_000 + b"\r\n")
    status, _ = await asyncio.wait_for(answer(reader), 10)
    assert status == 413
    writer.close()


async def test_a_push_is_handed_on_as_a_file(server, settings):
    settings.PUSH_BYTES = settings.BODY_BYTES = 5 * MB
    status, said = await talk(server, (PUSH + f"Content-Length: {3 * MB}\r\n\r\n").encode() + b"x" * 3 * MB)
    assert (status, said["size"], said["file"]) == (200, 3 * MB, True)


@pytest.mark.promise("I-47")
async def test_no_room_for_a_body_is_said(server, settings):
    server.server.spool = Path("/dev/full/nowhere")
    status, _ = await talk(server, (PUSH + "Content-Length: 5\r\n\r\n12345").encode())
    assert status == 507


async def test_a_fault_of_the_application_is_an_answer_or_a_cut(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 500 " in await reader.readuntil(b"\r\n")
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.wait_for(answer(reader), 5)
    writer.close()


async def test_the_application_hears_of_a_client_that_leaves(server):
    LEFT.clear()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.1)
    writer.close()
    for _ in range(200):
        if LEFT:
            break
        await asyncio.sleep(0.01)
    assert LEFT
    assert not server.server.connections


async def test_a_slow_head_is_ended(server, monkeypatch):
    monkeypatch.setattr("config.connections.HEADER_SECONDS", 0.1)
    status, _ = await talk(server, "GET / HTTP/1.1\r\nHost: x\r\n")
    assert status == 408


async def test_websockets_are_bounded_and_know_their_client(server):
    headers = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Proto": "https"}
    async with websockets.unix_connect(
        str(server.unix), "ws://localhost/ws/", additional_headers=headers
    ) as ws:
        await ws.send("hello")
        assert await ws.recv() == "8.8.8.8 wss hello"
        await ws.send("x" * 70_000)
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()


async def test_stopping_ends_websockets_and_leaves_no_socket(settings, tmp_path):
    running = await serve(echo, unix=tmp_path / "web.sock", spool=tmp_path)
    async with websockets.unix_connect(str(tmp_path / "web.sock"), "ws://localhost/ws/") as ws:
        await running.stop(grace=1)
        with pytest.raises(websockets.ConnectionClosed):
            await ws.recv()
    assert not (tmp_path / "web.sock").exists()


async def test_a_socket_left_by_a_killed_server_is_taken_over(settings, tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "web.sock"))
    running = await serve(echo, unix=tmp_path / "web.sock", spool=tmp_path)
    running.unix = tmp_path / "web.sock"
    assert (await talk(running, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", unix=True))[0] == 200
    await running.stop(grace=1)


# --- memory: a server in a process of its own ------------------------------------------------------------------------


@pytest.fixture
def child(tmp_path):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "CHILD_SPOOL": str(tmp_path)}
    environment["SLIPWAY_BODY_BYTES"] = str(256 * MB)  # so that nobody is asked who may send so much
    program = f"import asyncio, django; django.setup(); from {__name__} import alone; asyncio.run(alone())"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    ) as process:
        yield process.pid, int(process.stdout.readline())
        process.terminate()


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def read_some(connection, size):
    got = 0
    while got < size:
        piece = connection.recv(MB)
        if not piece:
            break
        got += len(piece)
    return got


@pytest.mark.promise("I-46")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux: memory is read from /proc")
def test_memory_stays_flat_whatever_the_size_of_push_and_answer(child):
    pid, port = child
    with socket.create_connection(
        ("127.0.0.1", port)
    ) as connection:  # what the first request costs is not counted
        connection.sendall((PUSH + f"Content-Length: {MB}\r\n\r\n").encode() + b"x" * MB)
        read_some(connection, 100)
    before = resident(pid)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall((PUSH + f"Content-Length: {128 * MB}\r\n\r\n").encode())
        for _ in range(128):
            connection.sendall(b"x" * MB)
        assert b" 200 " in connection.recv(1000)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /big/128 HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = read_some(connection, MB)
        assert not grows(pid, before + 24 * MB)
        assert seen + read_some(connection, 128 * MB - seen) >= 128 * MB
    assert resident(pid) - before < 24 * MB


def grows(pid, beyond):
    """Whether the process fills up while its reader takes nothing, given half a second."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline and resident(pid) < beyond:
        time.sleep(0.05)
    return resident(pid) >= beyond


async def alone():
    running = await serve(echo, tcp=("127.0.0.1", 0), spool=Path(os.environ["CHILD_SPOOL"]))
    print(running.port, flush=True)
    await asyncio.Event().wait()
