"""Daphne as Slipway runs it: inside an asyncio loop that is already there, and with bounded memory.

What differs from stock Daphne: `config.connections` bounds what comes in and waits for slow readers; large bodies are
handed on as files (`core.bodies`); forwarded headers count only from the router or a listed proxy (promise I-36).
"""

import asyncio
import functools
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import txaio
from daphne import server as daphne_server
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketFactory
from django.conf import settings
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.logger import globalLogBeginner
from twisted.web import http

from config.connections import Channel, Inbox, Request, Socket
from core.bodies import EXTENSION
from releases.git import let_go

log = logging.getLogger(__name__)

Application = Callable[..., Any]
IDLE_SECONDS = 60  # between requests, and between two pieces of a body
CLOSE_SECONDS = 10  # how long an application may go on after its client has left
SOCKET_BYTES = 64 * 1024  # of one websocket message to us

_reactors: dict[asyncio.AbstractEventLoop, AsyncioSelectorReactor] = {}


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
