"""Daphne as Slipway runs it: inside an asyncio loop that is already there, and with bounded memory.

What differs from stock Daphne: sizes are checked before anything is stored (promise I-46); a large body is spooled to
a file and handed on in pieces, or as the file itself (`core.bodies`); a slow reader holds the application back instead
of filling memory; forwarded headers count only from the router or a listed proxy (promise I-36).
"""

import asyncio
import functools
import io
import json
import logging
import re
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import txaio
from daphne import server as daphne_server
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.logger import globalLogBeginner
from twisted.web import http

from core.bodies import EXTENSION
from releases.git import let_go

log = logging.getLogger(__name__)

Application = Callable[..., Any]
HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 30  # from the first byte of a request to the end of its headers
IDLE_SECONDS = 60  # between requests, and between two pieces of a body
STALL_SECONDS = 300  # how long a reader may take nothing of an answer
CLOSE_SECONDS = 10  # how long an application may go on after its client has left
SOCKET_BYTES = 64 * 1024  # of one websocket message to us
SOCKET_BACKLOG = 200  # websocket messages that the application has not looked at
PIECE = 64 * 1024
IN_MEMORY = 64 * 1024  # bodies up to this many bytes are not worth a file

_reactors: dict[asyncio.AbstractEventLoop, AsyncioSelectorReactor] = {}


@dataclass(frozen=True)
class Allowance:
    """How large the body of a request may be, and whether the application takes it as a file."""

    bytes: int
    as_file: bool = False


def allowance(method: bytes, uri: bytes, *, signed: bool) -> Allowance:
    """What a request may carry, judged by its first line and by whether it presents credentials at all."""
    path = uri.partition(b"?")[0]
    if method == b"POST" and re.fullmatch(rb"/[a-z0-9-]{1,64}\.git/git-receive-pack", path):
        return Allowance(settings.PUSH_BYTES if signed else settings.BODY_BYTES, as_file=True)
    if method == b"POST" and re.fullmatch(rb"/[a-z0-9-]{1,64}\.git/git-upload-pack", path):
        return Allowance(max(settings.BODY_BYTES, 10 * 1024**2), as_file=True)
    if method == b"PUT" and re.fullmatch(rb"/_sources/[\w-]{1,100}", path):
        return Allowance(settings.SOURCE_BYTES, as_file=True)
    return Allowance(settings.BODY_BYTES)


class Room:
    """Whether the client takes more; a mixin that the transport drives as a push producer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._room = asyncio.Event()
        self._room.set()
        super().__init__(*args, **kwargs)

    def pauseProducing(self) -> None:
        self._room.clear()

    def resumeProducing(self) -> None:
        self._room.set()

    def stopProducing(self) -> None:
        self._room.set()

    async def room(self) -> bool:
        """Wait until the client takes more; False when it has taken nothing for too long."""
        if not self._room.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), STALL_SECONDS)
        return self._room.is_set()


class Channel(http.HTTPChannel):
    """One connection: refuses what is too large while it is still on its way."""

    MAX_LENGTH = HEADER_BYTES
    totalHeadersSize = HEADER_BYTES
    maxHeaders = 100
    allowed = Allowance(0)
    refused = False
    _deadline: Any = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.channels.add(self)

    def connectionLost(self, reason: Any) -> None:
        self.factory.channels.discard(self)
        self._stop_deadline()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self.refused:
            return
        if not self.requests and self._deadline is None:
            self._deadline = self.callLater(HEADER_SECONDS, self._too_slow)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if not self.refused:
            super().lineReceived(line)

    def allHeadersReceived(self) -> None:
        self._stop_deadline()
        request = self.requests[-1]
        signed = request.requestHeaders.hasHeader(b"Authorization")
        self.allowed = allowance(self._command, self._path, signed=signed)
        if self.length is not None and self.length > self.allowed.bytes:
            return self.refuse(413, "The request is too large.")
        if not self.refused:
            super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if not self.refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self.refused:
            super().allContentReceived()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(431, "The headers are too large.")

    def _respondToBadRequestAndDisconnect(self) -> None:
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders:
            return self.refuse(431, "The headers are too large.")
        self.refuse(400, "This is not a request that we understand.")

    def refuse(self, status: int, text: str) -> None:
        """Answer at once, then read on without keeping anything until the client has seen it: closing under a client
        that still sends would lose the answer."""
        if self.refused:
            return
        self.refused = True
        self._stop_deadline()
        if self.requests:
            self.requests[-1].forget_body()
        reason = HTTPStatus(status).phrase
        body = json.dumps({"id": reason.lower().replace(" ", "_"), "message": text}).encode() + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, reason.encode(), len(body), body)
        )
        self.callLater(1, self.loseConnection)

    def _too_slow(self) -> None:
        self._deadline = None
        self.refuse(408, "The request took too long to arrive.")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Request(Room, WebRequest):
    """One request. Its body is in memory while small, else in a file without a name."""

    body: Any = None
    received = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parsePOSTFormSubmission = False  # Django does it, and streams while doing so

    def gotLength(self, length: int | None) -> None:
        small = length is not None and length <= IN_MEMORY and not self.channel.allowed.as_file
        try:
            self.content = io.BytesIO() if small else tempfile.TemporaryFile(dir=self.server.spool)  # noqa: SIM115
        except OSError:
            self._no_room()

    def handleContentChunk(self, data: bytes) -> None:
        if self.channel.refused:
            return
        self.received += len(data)
        if self.received > self.channel.allowed.bytes:
            return self.channel.refuse(413, "The request is too large.")
        try:
            super().handleContentChunk(data)
        except OSError:
            self._no_room()

    def _no_room(self) -> None:
        log.exception("Can't store the body of a request")
        self.channel.refuse(507, "There is no room to store the request.")

    def process(self) -> None:
        # Daphne would queue the whole body at once; the inbox reads it piece by piece instead.
        self.content.seek(0)
        self.body, self.content = self.content, io.BytesIO()
        self.as_file = self.channel.allowed.as_file
        channel = self.channel
        channel.registerProducer(self, True)
        super().process()
        if self.transport is None:  # it has become a websocket, and the channel hears nothing of its end
            self.server.http_factory.channels.discard(channel)

    def finish(self) -> None:
        if self.channel is not None:
            self.channel.unregisterProducer()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        self._room.set()
        super().connectionLost(reason)

    def forget_body(self) -> None:
        for file in (self.body, self.content):
            if file is not None:
                file.close()

    def abort(self) -> None:
        """Cut the connection."""
        if not self.finished and self.channel is not None:
            self.channel.forceAbortClient()


class Socket(Room, WebSocketProtocol):
    """One websocket, as slow as its reader."""

    def connectionMade(self) -> None:
        self.transport.unregisterProducer()  # the HTTP channel's
        self.transport.registerProducer(self, True)
        super().connectionMade()

    def _closeConnection(self, abort: bool = False) -> None:
        self.transport.unregisterProducer()  # a paused producer would keep the transport from closing
        super()._closeConnection(abort)

    def sendMessage(self, payload: bytes, *args: Any, **kwargs: Any) -> None:
        bound, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0  # it is meant for what comes in alone
        try:
            super().sendMessage(payload, *args, **kwargs)
        finally:
            self.maxMessagePayloadSize = bound

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.application_queue.qsize() > SOCKET_BACKLOG:
            return self.leave(1008)
        super().onMessage(payload, isBinary)

    def leave(self, code: int) -> None:
        """Close from our side, with one of the codes that autobahn keeps applications from using."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, isReply=False)

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abortConnection()


class Inbox:
    """What the application receives of one connection: the body as it asks for it, then events."""

    def __init__(self, body: Any = None, *, as_file: bool = False) -> None:
        self.body, self.as_file, self.events = body, as_file, asyncio.Queue[dict[str, Any]]()
        self.reading = body is not None

    async def get(self) -> dict[str, Any]:
        if not self.reading:
            return await self.events.get()
        piece = b"" if self.as_file else self._read()
        self.reading = len(piece) == PIECE
        return {"type": "http.request", "body": piece, "more_body": self.reading}

    def put_nowait(self, message: dict[str, Any]) -> None:
        if message["type"] != "http.request":
            self.events.put_nowait(message)

    def qsize(self) -> int:
        return self.events.qsize()

    def _read(self) -> bytes:
        return b"" if self.body.closed else self.body.read(PIECE)


class Factory(HTTPFactory):
    """Makes channels for the connections of one server, and knows which are open."""

    protocol = Channel

    def __init__(self, server: "Server") -> None:
        http.HTTPFactory.__init__(self, timeout=IDLE_SECONDS, reactor=server.reactor)
        self.server = server
        self.channels: set[Channel] = set()

    def buildProtocol(self, addr: Any) -> Channel:
        channel = http.HTTPFactory.buildProtocol(self, addr)
        channel.requestFactory = Request
        return channel

    def log(self, request: Any) -> None:
        """The router writes the request log."""


class SocketFactory(WebSocketFactory):
    protocol = Socket


class Server(daphne_server.Server):
    """A server on a loop that somebody else runs: nothing here starts or stops a reactor of its own."""

    def __init__(self, application: Application, *, loop: asyncio.AbstractEventLoop, spool: Path) -> None:
        super().__init__(
            application, endpoints=["none"], server_name="slipway", application_close_timeout=CLOSE_SECONDS
        )
        self.loop, self.spool = loop, spool
        self.reactor = install_reactor(loop)
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = Factory(self)
        self.ws_factory = SocketFactory(self, server=self.server_name, reactor=self.reactor)
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,
            openHandshakeTimeout=self.websocket_handshake_timeout,
            maxMessagePayloadSize=SOCKET_BYTES,
            maxFramePayloadSize=SOCKET_BYTES,
        )

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Inbox:
        """Start the application for one request or websocket; returns what its events go into."""
        believe_proxies(scope)
        scope.setdefault("asgi", {"version": "3.0"})
        body = getattr(protocol, "body", None)
        as_file = body is not None and protocol.as_file
        if as_file:
            scope["extensions"] = {EXTENSION: {"file": body}}
        inbox = Inbox(body, as_file=as_file)

        async def send(message: dict[str, Any]) -> None:
            await self.handle_reply(protocol, message)

        task = self.loop.create_task(self.application(scope, inbox.get, send))
        self.connections[protocol]["application_instance"] = task
        task.add_done_callback(lambda _: self._application_ended(protocol, task))
        return inbox

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if not await protocol.room():
            protocol.abort()

    def protocol_disconnected(self, protocol: Any) -> None:
        """The client has left; its application gets a moment to notice."""
        task = self.connections.get(protocol, {}).get("application_instance")
        if task is None or task.done():
            self.connections.pop(protocol, None)
            return
        if "disconnected" not in self.connections[protocol]:
            super().protocol_disconnected(protocol)
            killer = self.loop.call_later(self.application_close_timeout, task.cancel)
            self.connections[protocol]["killer"] = killer

    def _application_ended(self, protocol: Any, task: asyncio.Task[None]) -> None:
        body = getattr(protocol, "body", None)
        if body is not None:
            body.close()
        left = "disconnected" in self.connections.get(protocol, {})
        if not task.cancelled() and (error := task.exception()):
            log.error("The application failed", exc_info=error)
            if not left:
                self._apologise(protocol, error)
        if left:
            self.connections.pop(protocol)["killer"].cancel()

    def _apologise(self, protocol: Any, error: BaseException) -> None:
        if getattr(protocol, "_response_started", False):
            protocol.abort()  # an answer that ends early must not look whole
        else:
            protocol.handle_exception(error)

    def check_timeouts(self) -> None:
        """Called every two seconds: pings websockets and ends those that don't answer."""
        for protocol in list(self.connections):
            protocol.check_timeouts()


def believe_proxies(scope: dict[str, Any]) -> None:
    """Take client and scheme from the forwarded headers of the router (on the unix socket) or of a listed proxy, and
    drop those headers when anybody else sent them."""
    scope["root_path"] = ""  # Daphne would take it from a header of the client
    peer = scope.get("client")
    if peer and peer[0] not in settings.TRUSTED_PROXIES:
        scope["headers"] = [h for h in scope["headers"] if not h[0].startswith(b"x-forwarded-")]
        return
    headers = {name: value.decode("latin1") for name, value in scope["headers"]}
    if peer is None and (chain := headers.get(b"x-forwarded-for")):
        scope["client"] = [chain.rpartition(",")[2].strip(), 0]
    secure = headers.get(b"x-forwarded-proto") == "https"
    scope["scheme"] = ("http" if scope["type"] == "http" else "ws") + ("s" if secure else "")


class Running:
    """A server that listens. `port` is its TCP port, if it has one."""

    def __init__(self, server: Server, listening: list[Any]) -> None:
        self.server, self.listening = server, listening
        self.port: int | None = None
        self._ticks = server.loop.create_task(self._tick())

    async def stop(self, *, grace: float = 5) -> None:
        """Accept nothing more, give requests in flight `grace` seconds, then end what is left."""
        for port in self.listening:
            await port.stopListening().asFuture(self.server.loop)
        for protocol in list(self.server.connections):
            if isinstance(protocol, Socket):
                protocol.leave(1001)
        for channel in list(self.server.http_factory.channels):
            if not channel.requests:
                channel.loseConnection()
        tasks = {
            details["application_instance"]
            for details in self.server.connections.values()
            if "application_instance" in details
        }
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await let_go()  # pushes outlive their requests, but not the platform
        await self._hang_up()
        self._ticks.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticks
        self.server.reactor.removeAll()
        _reactors.pop(self.server.loop, None)

    async def _hang_up(self) -> None:
        channels = self.server.http_factory.channels
        for channel in list(channels):
            channel.loseConnection()
        for _ in range(20):  # what is written already may still flow out
            if not channels:
                return
            await asyncio.sleep(0.05)
        for channel in list(channels):
            channel.forceAbortClient()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(2)
            self.server.check_timeouts()


def install_reactor(loop: asyncio.AbstractEventLoop) -> AsyncioSelectorReactor:
    """The Twisted reactor of `loop`, made on the first call; websockets have their timers there from then on. The
    reactor that importing Daphne installs belongs to a loop that nobody runs."""
    if loop not in _reactors:
        _reactors[loop] = AsyncioSelectorReactor(loop)
    txaio.config.loop = _reactors[loop]  # type: ignore[attr-defined]
    return _reactors[loop]


async def serve(
    application: Application,
    *,
    unix: Path | None = None,
    tcp: tuple[str, int] | None = None,
    spool: Path | None = None,
) -> Running:
    """Serve `application` on the running loop: on a unix socket that only our own user may open, on a TCP address
    (port 0 picks one), or both. Large bodies are spooled in `spool`, a folder on a disk (the data folder's `tmp`
    unless given). `OSError` when an address is taken."""
    spool = spool or settings.DATA / "tmp"
    spool.mkdir(parents=True, exist_ok=True)
    _quieten()
    server = Server(application, loop=asyncio.get_running_loop(), spool=spool)
    listening, port = [], None
    if unix is not None:
        unix.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear_stale(unix)
        listening.append(server.reactor.listenUNIX(str(unix), server.http_factory, mode=0o600, backlog=511))
    if tcp is not None:
        listening.append(server.reactor.listenTCP(tcp[1], server.http_factory, interface=tcp[0], backlog=511))
        port = listening[-1].getHost().port
    running = Running(server, listening)
    running.port = port
    return running


def _clear_stale(path: Path) -> None:
    """Remove the socket that a killed server left behind; leave one that is in use."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except FileNotFoundError:
            return


@functools.cache
def _quieten() -> None:
    """Twisted's own log would go to standard error otherwise; it may be told once."""
    globalLogBeginner.beginLoggingTo([lambda _: None], redirectStandardIO=False, discardBuffer=True)
