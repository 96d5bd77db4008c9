"""A router between raw sockets and scripted backends: what the router's tests are made of."""

import asyncio
import contextlib
import re
import tempfile
import time
from pathlib import Path

from engine.router import Limits, LocalRouter
from engine.spec import Backend, Route
from engine.tally import Tally
from tests.waiting import SLACK

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def until(check, seconds=5):
    """Like tests.conftest.eventually, for what happens on this very loop."""
    deadline = time.monotonic() + seconds * SLACK
    while not (value := check()):
        assert time.monotonic() < deadline, "still not true"
        await asyncio.sleep(0.005)
    return value


async def read_head(reader):
    """One head, its blank line included; b"" at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def header(head, name):
    """All values of a header in a raw head."""
    return [v.decode() for v in re.findall(rb"(?im)^" + name.encode() + rb":[ \t]*([^\r]*)\r$", head)]


class Dyno:
    """A scripted backend. `script(head, reader, writer)` answers one request; returning False closes."""

    def __init__(self, script):
        self.script = script
        self.heads = []
        self.connections = 0
        self.open = set()

    async def __call__(self, reader, writer):
        self.connections += 1
        self.open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await read_head(reader):
                self.heads.append(head)
                if await self.script(head, reader, writer) is False:
                    break
                await writer.drain()
        self.open.discard(writer)
        writer.close()


def says(answer):
    """A script that always gives the same bytes."""

    async def script(head, reader, writer):
        writer.write(answer)

    return script


def says_and_closes(answer):
    """A script that gives some bytes and closes its connection."""

    async def script(head, reader, writer):
        writer.write(answer)
        return False

    return script


async def echo(head, reader, writer):
    """A script that answers with the body it got, in its framing taken apart."""
    length = header(head, "content-length")
    body = await reader.readexactly(int(length[0])) if length else b""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


class Rig:
    """A started router, its lines, and backends that end with it."""

    def __init__(self, **limits):
        self.folder = tempfile.TemporaryDirectory()
        self.lines = []
        self.servers = []
        self.limits = Limits(**limits)
        self.options = {}
        self.tally = Tally()

    async def __aenter__(self):
        self.control = Dyno(says(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ncontrol"))
        path = Path(self.folder.name) / "control.sock"
        self.control_server = await asyncio.start_unix_server(self.control, path)
        self.servers.append(self.control_server)
        self.router = LocalRouter(
            sink=lambda stream, lines: self.lines.extend((stream, line.text.decode()) for line in lines),
            control=path,
            control_hosts=frozenset({"localhost", "127.0.0.1"}),
            apps_host="localhost",
            limits=self.limits,
            tally=self.tally,
            **self.options,
        )
        await self.router.start("127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        await self.router.stop()
        for server in self.servers:
            server.close()
        self.folder.cleanup()

    async def dyno(self, script, port=0):
        """Start a backend; returns it with its `server` and `port`."""
        dyno = Dyno(script)
        dyno.server = await asyncio.start_server(dyno, "127.0.0.1", port, limit=2**20)
        dyno.port = dyno.server.sockets[0].getsockname()[1]
        self.servers.append(dyno.server)
        return dyno

    def put(self, *dynos, app="a1", name="shop", hosts=None, ids=None, **more):
        """Route an app to some dynos, or to ports."""
        backends = tuple(
            Backend((ids or [f"{app}-{i}" for i in range(len(dynos))])[i], f"web.{i + 1}", "127.0.0.1", port)
            for i, port in enumerate(getattr(dyno, "port", dyno) for dyno in dynos)
        )
        self.router.put(Route(app, name, frozenset(hosts or {f"{name}.localhost"}), backends, **more))

    async def app(self, script, **more):
        """A dyno and the route to it in one."""
        dyno = await self.dyno(script)
        self.put(dyno, **more)
        return dyno

    async def open(self, **more):
        """A client's connection."""
        return await asyncio.open_connection("127.0.0.1", self.router.port, limit=2**20, **more)

    async def ask(self, raw, *, end=False, seconds=5):
        """Send bytes, return everything that comes until the router closes."""
        reader, writer = await self.open()
        writer.write(raw)
        if end:
            writer.write_eof()
        async with asyncio.timeout(seconds):
            try:
                answer = await reader.read(-1)
            except ConnectionError:
                answer = b"".join([await reader.read(2**20)]) if not reader.at_eof() else b""
        writer.close()
        return answer

    async def get(self, path="/", host="shop.localhost", more=b"", method=b"GET"):
        """One request on a connection of its own."""
        request = b"%b %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n%b\r\n"
        return await self.ask(request % (method, path.encode(), host.encode(), more))

    async def line(self, containing="", count=1):
        """The text of the last line, once there are `count` of them that contain something."""
        found = await until(
            lambda: (hits := [t for _, t in self.lines if containing in t]) and len(hits) >= count and hits
        )
        return found[-1]


def request(path="/", host="shop.localhost", more="", method="GET", body=b""):
    """Bytes of a request that keeps its connection."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode() + body


async def read_answer(reader):
    """One answer with a Content-Length, or without body: (head, body)."""
    head = await read_head(reader)
    length = header(head, "content-length")
    return head, await reader.readexactly(int(length[0])) if length else b""
