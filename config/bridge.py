"""A proxy on loopback that brings home what the Heroku CLI sends to hosts whose names are fixed in its code.

For those names it answers itself, with certificates of an authority that nobody else is asked to trust, and passes the
request on to this Slipway below `/_fixed/<host>`. What is meant for this Slipway or its apps it passes on unread, and
everything else it refuses, or with `relay` lets out to public addresses. It trusts no one more than the instance does:
whoever reaches it needs a token as they would without it.
"""

import asyncio
import ipaddress
import json
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from api.bridged_urls import PREFIX
from api.resources.bridged import HOSTS
from core.errors import EngineError, Refusal
from engine.outbound import Outbound
from engine.tls import LocalCA

HEAD_BYTES, HEADERS = 32 * 1024, 100
HEAD_SECONDS = 10.0  # for the head of a request, and for a TLS handshake
LINGER_SECONDS = 30.0  # how long an answer may go on once its client sends no more
CONNECTIONS = 200
PIECE = 64 * 1024

TLS_HANDSHAKE = b"\x16"  # the first byte of a TLS connection; no HTTP request starts with it
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_LINE = re.compile(r"([A-Z]{1,20}) ([!-~]+) HTTP/1\.[01]")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})")
_OURS = (
    "host",
    "connection",
    "keep-alive",
    "te",
    "upgrade",
    "forwarded",
)  # not passed on, as all of `proxy-`


class Refused(Exception):
    """What is not passed on, and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def answer(self) -> bytes:
        """As the API would say it."""
        body = json.dumps({"id": "bridge", "message": self.message, "url": ""}).encode()
        return (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body


@dataclass(frozen=True)
class Head:
    """A request without its body. Names of headers are in lower case."""

    method: str
    target: str
    headers: list[tuple[str, str]]

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Read what came before the empty line, strictly; `Refused` when it is no HTTP/1.1."""
        first, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        line = _LINE.fullmatch(first)
        fields = [_FIELD.fullmatch(text) for text in lines]
        if line is None or None in fields:
            raise Refused(400, "This is no request of HTTP/1.1.")
        if len(fields) > HEADERS:
            raise Refused(431, f"A request has at most {HEADERS} headers here.")
        return cls(line[1], line[2], [(field[1].lower(), field[2].strip()) for field in fields if field])

    def sent_to(self, host: str, path: str, **changes: str) -> bytes:
        """The same request for `path` at `host`, as the last one of its connection."""
        kept = [
            (name, value)
            for name, value in self.headers
            if name not in (*_OURS, *changes) and not name.startswith(("proxy-", "x-forwarded-"))
        ]
        lines = [("host", host), *kept, *changes.items(), ("connection", "close")]
        text = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return f"{self.method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


@dataclass(frozen=True)
class Place:
    """Where to connect to."""

    host: str
    port: int
    tls: bool = False


@dataclass(frozen=True)
class Instance:
    """The Slipway that the bridge belongs to, by its settings."""

    url: str
    apps_host: str
    rendezvous: str  # host:port

    @cached_property
    def place(self) -> Place:
        """Where it answers."""
        parts = urlsplit(self.url)
        tls = parts.scheme == "https"
        return Place(parts.hostname or "localhost", parts.port or (443 if tls else 80), tls)

    def leads_to(self, host: str, port: int) -> Place | None:
        """Where what is meant for `host` is to go: here for its own names and those of its apps, None for others."""
        if f"{host}:{port}" == self.rendezvous:
            return Place(host, port)
        here = host == self.place.host or (_is_loopback(host) and _is_loopback(self.place.host))
        if port == self.place.port and (here or host.endswith(f".{self.apps_host}")):
            return Place(self.place.host, port)
        return None


class Bridge:
    """The proxy. `ca` may speak for `HOSTS`; with `relay` other hosts can be reached too, as far as it lets."""

    def __init__(self, instance: Instance, ca: LocalCA, *, relay: Outbound | None = None) -> None:
        self.instance, self.relay = instance, relay
        self._tls = ca.context(lambda name: name in HOSTS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, on loopback only; returns the address. `Refused` for any other, `OSError` when it is taken."""
        if not _is_loopback(host):
            raise Refused(403, f"The bridge listens on loopback only, which {host} is not.")
        address = "127.0.0.1" if host == "localhost" else host.strip("[]")
        self._listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((address, port))
        except OSError:
            self._listener.close()
            raise
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        return address, self._listener.getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        tasks = [self._accepting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError:  # no file is free, or the client has left already
                await asyncio.sleep(0.1)
                continue
            client.setblocking(False)
            if len(self._tasks) >= CONNECTIONS:
                client.close()
                continue
            task = loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # --- one connection ---------------------------------------------------------------------------------------------

    async def _serve(self, client: socket.socket) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head, rest = await _first_head(client)
            await (self._connect if head.method == "CONNECT" else self._request)(client, head, rest)
        except Refused as refusal:
            await _turn_away(client, refusal)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # it left, or took too long
        finally:
            client.close()

    async def _connect(self, client: socket.socket, head: Head, rest: bytes) -> None:
        """A tunnel is asked for: to a fixed host it ends here, others are laid."""
        found = _AUTHORITY.fullmatch(head.target)
        if found is None or rest:
            raise Refused(400, "CONNECT takes a host and a port, and then waits for the answer.")
        host, port = found[1].lower().strip("[]"), int(found[2])
        loop = asyncio.get_running_loop()
        if host in HOSTS:
            await loop.sock_sendall(client, ESTABLISHED)
            async with asyncio.timeout(HEAD_SECONDS):
                secure = await _peek(client) == TLS_HANDSHAKE
            await self._inside(await Streams.of(client, self._tls if secure else None), host)
            return
        upstream = await Streams.open(await self._way(host, port))
        try:
            await loop.sock_sendall(client, ESTABLISHED)
            await _splice(await Streams.of(client), upstream)
        finally:
            upstream.close()

    async def _inside(self, client: "Streams", host: str) -> None:
        """A request in a tunnel that its client believes to lead to `host`."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = Head.parse(await client.head())
            if not head.target.startswith("/"):
                raise Refused(400, "This is no request for a path.")
            await self._bring_home(client, head, host, head.target)
        except Refused as refusal:
            await client.say(refusal.answer())
        finally:
            client.close()

    async def _request(self, client: socket.socket, head: Head, rest: bytes) -> None:
        """A request for a whole http:// address."""
        try:
            parts = urlsplit(head.target)
            host, port = (parts.hostname or "").rstrip("."), parts.port or 80
        except ValueError as error:
            raise Refused(400, "This is no address.") from error
        if parts.scheme != "http" or not host:
            raise Refused(400, "This is a proxy for the Heroku CLI; see docs/cli.md.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        place = None if host in HOSTS else await self._way(host, port)
        streams = await Streams.of(client, rest=rest)
        try:
            if place is None:
                await self._bring_home(streams, head, host, path)
            else:
                await _forward(streams, place, head.sent_to(parts.netloc.rpartition("@")[2], path))
        except Refused as refusal:
            await streams.say(refusal.answer())
        finally:
            streams.close()

    async def _bring_home(self, client: "Streams", head: Head, host: str, path: str) -> None:
        netloc = urlsplit(self.instance.url).netloc
        accept = "application/vnd.heroku+json; version=3"
        await _forward(
            client, self.instance.place, head.sent_to(netloc, f"{PREFIX}/{host}{path}", accept=accept)
        )

    async def _way(self, host: str, port: int) -> Place:
        """Where `host` is reached; `Refused` unless that is ours, or may be relayed to."""
        place = self.instance.leads_to(host, port)
        if place is not None:
            return place
        if self.relay is None:
            raise Refused(
                403,
                f"The bridge passes on what is for this Slipway and its apps, not {host}:{port}. Unset HTTP_PROXY and "
                "HTTPS_PROXY for other programs, or start bin/cli-bridge with --relay.",
            )
        name = f"[{host}]" if ":" in host else host
        try:
            target = await asyncio.to_thread(self.relay.check, f"http://{name}:{port}/")
        except Refusal as refusal:
            raise Refused(403, refusal.message) from refusal
        except EngineError as error:
            raise Refused(502, str(error)) from error
        return Place(target.addresses[0], port)


# --- bytes ------------------------------------------------------------------------------------------------------------


@dataclass
class Streams:
    """The two ways of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(
        cls, sock: socket.socket, tls: ssl.SSLContext | None = None, *, rest: bytes = b""
    ) -> "Streams":
        """A client's, after a handshake with `tls` if that is given. `rest` has been read already."""
        loop = asyncio.get_running_loop()
        mine = sock.dup()  # whoever has `sock` closes it as soon as they like
        reader = asyncio.StreamReader(limit=HEAD_BYTES, loop=loop)
        if rest:
            reader.feed_data(rest)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        seconds = HEAD_SECONDS if tls else None
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, mine, ssl=tls, ssl_handshake_timeout=seconds
        )
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    @classmethod
    async def open(cls, place: Place) -> "Streams":
        """A new connection; `Refused` when nobody answers there."""
        context = ssl.create_default_context() if place.tls else None
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return cls(*await asyncio.open_connection(place.host, place.port, ssl=context))
        except (OSError, TimeoutError) as error:
            raise Refused(502, f"Nobody answers at {place.host}:{place.port}. Is it running?") from error

    async def head(self) -> bytes:
        """The head of the next request."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise Refused(431, "The head of the request is too large.") from error

    async def say(self, data: bytes) -> None:
        """Write `data`, if somebody still reads."""
        with suppress(OSError):
            self.writer.write(data)
            await self.writer.drain()

    def close(self) -> None:
        """Hang up, once what was written is gone."""
        self.writer.close()


async def _first_head(client: socket.socket) -> tuple[Head, bytes]:
    """The head of a connection's first request, and what came with it."""
    loop, data = asyncio.get_running_loop(), b""
    while b"\r\n\r\n" not in data:
        piece = await loop.sock_recv(client, PIECE)
        if not piece:
            raise ConnectionResetError
        data += piece
        if len(data.partition(b"\r\n\r\n")[0]) > HEAD_BYTES:
            raise Refused(431, "The head of the request is too large.")
    head, _, rest = data.partition(b"\r\n\r\n")
    return Head.parse(head), rest


async def _peek(client: socket.socket) -> bytes:
    """The first byte that `client` sends, without taking it."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(client, there.set)
    try:
        await there.wait()
        return client.recv(1, socket.MSG_PEEK)
    finally:
        loop.remove_reader(client)


async def _turn_away(client: socket.socket, refusal: Refused) -> None:
    """Say why, and take what is still on its way for a moment: closing at once would cut the answer off."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await loop.sock_sendall(client, refusal.answer())
            client.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(client, PIECE):
                pass


async def _forward(client: Streams, place: Place, head: bytes) -> None:
    upstream = await Streams.open(place)
    try:
        upstream.writer.write(head)
        await _splice(client, upstream)
    finally:
        upstream.close()


async def _splice(client: Streams, upstream: Streams) -> None:
    """Pass on what comes, both ways, until the upstream end has no more to say."""
    loop = asyncio.get_running_loop()
    up = loop.create_task(_copy(client.reader, upstream.writer))
    down = loop.create_task(_copy(upstream.reader, client.writer))
    try:
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        if not down.done():
            await asyncio.wait([down], timeout=LINGER_SECONDS)
    finally:
        await _end(up, down)
        client.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
