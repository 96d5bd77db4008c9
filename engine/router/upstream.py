"""Connections to backends, and the pool that each backend has of them.

A pool belongs to one start of one dyno (the backend's id), never to a port: when a port is used again by another
dyno, nothing of the old one's connections is left (promise I-26).
"""

import asyncio
import asyncio.trsock
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.router import wire
from engine.router.identity import listener_uid
from engine.router.limits import Limits
from engine.spec import Backend

if TYPE_CHECKING:
    from engine.router.exchange import Exchange

ESTABLISHED, CLOSED = 1, 7  # the kernel's words for the state of a TCP connection


def tcp_state(sock: asyncio.trsock.TransportSocket) -> int:
    """What the kernel knows of a TCP connection by now."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return CLOSED


class Upstream(asyncio.Protocol):
    """One connection to a backend. Carries one exchange at a time."""

    __slots__ = ("body", "buffer", "clean", "exchange", "pool", "since", "sock", "transport", "tunnel")
    transport: asyncio.Transport
    sock: asyncio.trsock.TransportSocket

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.exchange: Exchange | None = None
        self.body: wire.Body | None = None  # of the response being read
        self.buffer = b""  # the start of a head
        self.clean = True  # may be used again
        self.tunnel = False
        self.since = 0.0  # unused since

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.sock = transport.get_extra_info("socket")
        limit = self.pool.limits.buffer
        transport.set_write_buffer_limits(limit)
        transport.max_size = limit  # type: ignore[attr-defined]  # of one read

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        exchange = self.exchange
        if exchange is None:  # nobody asked
            self.clean = False
            self.transport.abort()
        elif self.tunnel:
            exchange.tunnelled(data)
        elif self.body is None:
            self._head(self.buffer + data if self.buffer else data, exchange)
        else:
            self._body(data, exchange, b"")

    def _head(self, data: bytes, exchange: "Exchange") -> None:
        """Read heads: any number of interim ones, then the answer's."""
        while data:
            end = data.find(wire.BLANK)
            if end < 0 or end > self.pool.limits.response_head:
                self._wait(data, exchange)
                return
            self.buffer = b""
            try:
                response = wire.parse_response(data[:end], exchange.request.method)
            except wire.Malformed:
                exchange.fail("H17")
                return
            data = data[end + 4 :]
            if response.status >= 200:
                self.clean = not response.close
                self.body = response.body
                self._body(data, exchange, exchange.answer(response))
                return
            if response.status == 101:
                exchange.switch(response, data)
                return
            exchange.interim(response)

    def _wait(self, data: bytes, exchange: "Exchange") -> None:
        self.buffer = data
        if len(data) > self.pool.limits.response_head or not data.startswith(b"HTTP/1."[: len(data)]):
            exchange.fail("H17")

    def _body(self, data: bytes, exchange: "Exchange", head: bytes) -> None:
        body = self.body
        assert body is not None
        try:
            taken = body.take(data)
        except wire.Malformed:
            exchange.fail("H17")
            return
        if taken < len(data):  # it says more than it was asked: what that would answer nobody knows
            self.clean = False
            data = data[:taken]
        exchange.send(head, data)
        if body.done:
            exchange.complete()

    def eof_received(self) -> bool:
        """Part of asyncio.Protocol: an end of one direction is passed on in a tunnel, else it is the end."""
        self.clean = False
        if self.tunnel and self.exchange is not None:
            return self.exchange.backend_ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self.clean = False
        self.pool.forget(self)
        if exc is not None and self.exchange is not None and not self.tunnel:
            self._read_what_is_left()
        if self.exchange is not None:
            self.exchange.backend_lost(self, exc)

    def _read_what_is_left(self) -> None:
        # A backend may answer early and close while we still send it the body; that our write failed must not
        # lose the answer, which waits in the kernel.
        with suppress(OSError):
            while self.exchange is not None and (data := os.read(self.sock.fileno(), 65536)):
                self.data_received(data)

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol."""
        if self.exchange is not None:
            self.exchange.front.pause()

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        if self.exchange is not None:
            self.exchange.front.resume()

    def state(self) -> int:
        """What the kernel knows of the connection by now."""
        if self.pool.backend is None:  # a unix socket has no such word
            return ESTABLISHED
        return tcp_state(self.sock)

    def close(self) -> None:
        """Let go of the connection, at once."""
        self.exchange = None
        self.transport.abort()


class Pool:
    """A backend as the router sees it: its unused connections and what it is at work on."""

    def __init__(self, backend: Backend | None, path: Path | None, limits: Limits) -> None:
        self.backend = backend
        self.path = path  # a unix socket instead
        self.limits = limits
        self.busy = 0  # requests in flight, tunnels apart
        self.unused: list[Upstream] = []  # the latest used last
        self.retired = False  # the route has gone on without it
        self.avoid_until = 0.0  # it just refused a connection
        self.turn = 0.0  # when it was last chosen among several
        # The engine has just made sure that the dyno itself listens; whoever does later must be the same user.
        self.owner = listener_uid(backend.host, backend.port) if backend else None
        self._connecting: set[asyncio.Task[None]] = set()

    @property
    def dyno(self) -> str:
        """The backend's name for people."""
        return self.backend.dyno if self.backend else ""

    def take(self, now: float, *, repeatable: bool) -> Upstream | None:
        """An unused connection that the backend has not closed, or None. A request that can't be repeated gets
        one only if it was in use a moment ago: backends close idle connections whenever they like."""
        unused = self.unused
        while unused:
            upstream = unused[-1]
            if not repeatable and now - upstream.since > self.limits.pooled_fresh:
                return None
            unused.pop()
            if upstream.state() == ESTABLISHED and not upstream.transport.is_closing():
                return upstream
            upstream.close()
        return None

    def release(self, upstream: Upstream, now: float) -> None:
        """Take back a connection after use."""
        upstream.exchange = None
        upstream.body = None
        if not upstream.clean or self.retired or len(self.unused) >= self.limits.pooled:
            upstream.transport.close()
            return
        upstream.since = now
        self.unused.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """A connection is gone."""
        with suppress(ValueError):
            self.unused.remove(upstream)

    def tidy(self, now: float) -> None:
        """Close connections that were unused for long."""
        if not self.unused or now - self.unused[0].since < self.limits.pooled_idle:
            return
        keep = [u for u in self.unused if now - u.since < self.limits.pooled_idle]
        old, self.unused = set(self.unused) - set(keep), keep
        for upstream in old:
            upstream.transport.close()

    def retire(self) -> None:
        """Close what is unused; what is in flight ends by itself."""
        self.retired = True
        unused, self.unused = self.unused, []
        for upstream in unused:
            upstream.transport.close()

    def connect(self, exchange: "Exchange") -> None:
        """Make a new connection and tell `exchange` how that went."""
        task = asyncio.get_running_loop().create_task(self._connect(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: "Exchange") -> None:
        try:
            async with asyncio.timeout(self.limits.connect):
                upstream = await self._open()
        except TimeoutError:
            exchange.unreachable(self, "H19")
        except OSError:
            exchange.unreachable(self, "H21")
        else:
            if self._is_foreign():
                upstream.close()
                exchange.unreachable(self, "H21")
            else:
                exchange.connected(self, upstream)

    def _is_foreign(self) -> bool:
        """Whether the dyno has died and somebody else listens on its port, whom nothing was sent to yet."""
        if self.backend is None or self.owner is None:
            return False
        owner = listener_uid(self.backend.host, self.backend.port)
        return owner is not None and owner != self.owner

    async def _open(self) -> Upstream:
        loop = asyncio.get_running_loop()
        if self.backend is None:
            _, upstream = await loop.create_unix_connection(lambda: Upstream(self), str(self.path))
        else:
            _, upstream = await loop.create_connection(
                lambda: Upstream(self), self.backend.host, self.backend.port
            )
        return upstream
