"""What a proxy does with bytes: heads of requests, read strictly, and connections that are tied to each other."""

import asyncio
import json
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

HEAD_BYTES, HEADERS = 32 * 1024, 100
HEAD_SECONDS = 10.0  # for the head of a request, and for a TLS handshake
LINGER_SECONDS = 30.0  # how long an answer may go on once its client sends no more
PIECE = 64 * 1024

_LINE = re.compile(r"([A-Z]{1,20}) ([!-~]+) HTTP/1\.[01]")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_OURS = frozenset(
    ["host", "connection", "keep-alive", "te", "upgrade", "forwarded"]
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
            if name not in _OURS and name not in changes and not name.startswith(("proxy-", "x-forwarded-"))
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


@dataclass
class Streams:
    """The two ways of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(
        cls,
        sock: socket.socket,
        tls: ssl.SSLContext | None = None,
        *,
        rest: bytes = b"",
        seconds: float = HEAD_SECONDS,
    ) -> "Streams":
        """A client's, after a handshake of at most `seconds` if `tls` is given. `rest` has been read already."""
        loop = asyncio.get_running_loop()
        mine = sock.dup()  # whoever has `sock` closes it as soon as they like
        reader = asyncio.StreamReader(limit=HEAD_BYTES, loop=loop)
        if rest:
            reader.feed_data(rest)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol, mine, ssl=tls, ssl_handshake_timeout=seconds if tls else None
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

    async def turn_away(self, refusal: Refused) -> None:
        """Say why, and take what is still on its way for a moment: closing at once would cut the answer off."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                self.writer.write(refusal.answer())
                await self.writer.drain()
                if self.writer.can_write_eof():
                    self.writer.write_eof()
                while await self.reader.read(PIECE):
                    pass

    def close(self) -> None:
        """Hang up, once what was written is gone."""
        self.writer.close()


async def first_head(client: socket.socket) -> tuple[Head, bytes]:
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


async def peek(client: socket.socket) -> bytes:
    """The first byte that `client` sends, without taking it."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(client, there.set)
    try:
        await there.wait()
        return client.recv(1, socket.MSG_PEEK)
    finally:
        loop.remove_reader(client)


async def turn_away(client: socket.socket, refusal: Refused) -> None:
    """The same, of a client whose bytes nobody reads yet."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await loop.sock_sendall(client, refusal.answer())
            client.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(client, PIECE):
                pass


async def forward(client: Streams, place: Place, head: bytes) -> None:
    """Begin at `place` with `head`, and pass on what follows, both ways."""
    upstream = await Streams.open(place)
    try:
        upstream.writer.write(head)
        await splice(client, upstream)
    finally:
        upstream.close()


async def splice(client: Streams, upstream: Streams) -> None:
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
