"""Connections of clients: takes heads apart, decides who answers, keeps the connection."""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from engine.router import pages, wire
from engine.router.exchange import Exchange, new_id
from engine.router.lines import quoted
from engine.spec import Route

if TYPE_CHECKING:
    from engine.router.server import LocalRouter

CHALLENGE = b"/.well-known/acme-challenge/"
MAX_HELD = 64 * 1024  # bytes of further requests that wait for their turn


class Front(asyncio.Protocol):
    """One connection of a client. Answers its requests one after the other."""

    __slots__ = (
        "buffer", "closing", "deadline", "ended", "exchange", "full", "loop", "paused", "peer", "port", "proto",
        "router", "transport", "trusted",
    )  # fmt: skip
    transport: asyncio.Transport

    def __init__(self, router: "LocalRouter", *, tls: bool) -> None:
        self.router = router
        self.loop = router.loop
        self.proto = b"https" if tls else b"http"
        self.port = b"%d" % router.port
        self.peer = b""
        self.trusted = False
        self.buffer = b""  # the start of a head, or requests that wait
        self.exchange: Exchange | None = None
        self.deadline = monotonic() + router.limits.header
        self.paused = False  # we do not read
        self.full = False  # the client does not read
        self.ended = False  # the client will send no more
        self.closing = False  # what still comes is thrown away

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(self.router.limits.buffer)
        transport.max_size = self.router.limits.buffer  # type: ignore[attr-defined]  # of one read
        address = (transport.get_extra_info("peername") or ("",))[0].removeprefix("::ffff:")
        self.peer = address.encode()
        self.trusted = address in self.router.trusted_proxies
        self.router.fronts.add(self)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        exchange = self.exchange
        if self.closing:
            return
        if exchange is None:
            self._next(self.buffer + data if self.buffer else data)
        elif exchange.tunnel:
            exchange.push(data)
        elif not exchange.request_done:
            self.buffer = exchange.feed(data)
        else:
            self.buffer += data
            if len(self.buffer) > MAX_HELD:
                self.pause()

    def _next(self, data: bytes) -> None:
        """Begin with the request at the start of `data`, once its head is whole."""
        if data[:2] == b"\r\n":  # an empty line before a request is allowed
            data = data[2:]
        if data[:1] == b"r" and self.router.meet(self, data):
            return
        end = data.find(wire.BLANK)
        if end < 0 or end > self.router.limits.control_head:
            self._wait(data)
            return
        self.buffer = b""
        try:
            request = wire.parse_request(data[:end])
        except wire.Malformed as fault:
            self._note(fault)
            self.refuse(fault, data[:5])
            return
        self._route(request, data[end + 4 :])

    def _note(self, fault: wire.Malformed) -> None:
        """Tell the app whose host it was, if that much could be read. The rest of the head is not to be quoted."""
        entry = self.router.table.find(fault.host) if fault.host else None
        if entry is not None:
            line = (
                b'at=error code=H26 desc="Request error" method= path="" host=%b request_id=%b fwd=%b dyno= '
                b"connect=0ms service=0ms status=%d bytes=0 protocol=%b"
            )
            values = (fault.host.encode(), new_id(), quoted(self.peer), fault.status, self.proto)
            self.router.lines.add(entry.stream, line % values)

    def _wait(self, data: bytes) -> None:
        if not self.buffer and data:
            self.deadline = monotonic() + self.router.limits.header
        self.buffer = data
        if wire.BARE_LF.search(data):
            self.refuse(wire.Malformed(400, "a line does not end with CR LF"))
        elif len(data) > self.router.limits.control_head:
            self.refuse(wire.Malformed(431, "the head is too long"))

    def _route(self, request: wire.Request, rest: bytes) -> None:
        router = self.router
        entry, key = router.table.find(request.host), ""
        if entry is None and request.host not in router.control_hosts:
            entry, key = router.table.draw(request)
        if entry is None and request.host not in router.control_hosts:
            close = request.close or not request.body.done
            page = pages.no_app(
                accept=request.header(b"accept"), head_only=request.method == b"HEAD", close=close
            )
            self.transport.write(page)
            self.buffer = rest
            self.next(close=close, linger=not request.body.done)
            return
        if request.host in router.control_hosts:
            entry = None
        if entry is not None and entry.route.challenges and self._challenged(request, entry.route, rest):
            return
        exchange = Exchange(self, request, entry, key)
        if entry is not None and request.length > router.limits.app_head:
            too_long = self._too_long(request)
            if too_long:
                self.exchange = exchange
                exchange.refuse(too_long)
                return
        self.exchange = exchange
        rest = exchange.begin(rest)
        if rest:
            self.buffer = rest

    def _challenged(self, request: wire.Request, route: Route, rest: bytes) -> bool:
        """Answer a certificate authority that asks whether a host is ours; whether it was one."""
        answer = route.challenges.get(request.target.removeprefix(CHALLENGE).decode())
        if answer is None or not request.body.done:
            return False
        self.transport.write(
            pages.challenge(answer, head_only=request.method == b"HEAD", close=request.close)
        )
        self.buffer = rest
        self.next(close=request.close)
        return True

    def _too_long(self, request: wire.Request) -> wire.Malformed | None:
        limit = self.router.limits.app_head
        line = len(request.method) + len(request.target) + 10
        if line > limit:
            return wire.Malformed(414, "the request line is too long")
        if request.length - line > limit:
            return wire.Malformed(431, "the headers are too long")
        return None

    def refuse(self, fault: wire.Malformed, method: bytes = b"") -> None:
        """Answer what is not a proper request, and close."""
        self.transport.write(
            pages.refused(fault.status, fault.why, head_only=method[:5] in (b"HEAD", b"HEAD "))
        )
        self.next(close=True, linger=True)

    def next(self, *, close: bool, linger: bool = False) -> None:
        """An answer is done: go on with the next request, or close. With `linger`, read on for a while, so that
        the answer is not lost to a client that is still sending."""
        self.exchange = None
        self.deadline = monotonic() + self.router.limits.keep_alive
        if close or self.router.draining or (self.ended and not self.buffer):
            self.close(linger=linger)
            return
        if self.paused:
            self.resume()
        if self.buffer:
            self.loop.call_soon(self._again)

    def _again(self) -> None:
        if self.exchange is None and not self.closing and not self.transport.is_closing():
            data, self.buffer = self.buffer, b""
            self._next(data)
            if self.ended and self.exchange is None:
                self.close()

    def close(self, *, linger: bool = False) -> None:
        """Close once everything was sent."""
        self.buffer = b""
        self.closing = True
        if linger and not self.ended and self.transport.can_write_eof():
            self.transport.write_eof()
            if self.paused:
                self.resume()
            self.deadline = monotonic() + self.router.limits.linger
        else:
            self.transport.close()

    def tunnel_opened(self) -> None:
        """Send on what the client said before it saw the 101."""
        data, self.buffer = self.buffer, b""
        if self.paused:
            self.resume()
        if data and self.exchange is not None:
            self.exchange.push(data)

    def eof_received(self) -> bool:
        """Part of asyncio.Protocol: a client may end its side and still wait for the answer."""
        self.ended = True
        if self.exchange is None or self.closing:
            return False
        return self.exchange.client_ended() and self.proto == b"http"

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio.Protocol."""
        self.closing = True
        self.router.lost(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_lost()

    def pause(self) -> None:
        """Stop reading from the client."""
        if not self.paused:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol: the client is slower than the backend."""
        self.full = True
        upstream = self.exchange and self.exchange.upstream
        if upstream:
            upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self.full = False
        upstream = self.exchange and self.exchange.upstream
        if upstream:
            upstream.transport.resume_reading()

    def tick(self, now: float) -> None:
        """Called now and then: is anything overdue?"""
        if self.exchange is not None:
            if now > self.exchange.deadline:
                self.exchange.expire()
        elif now > self.deadline:
            if self.buffer and not self.closing:
                self.refuse(wire.Malformed(408, "the request did not come in time"))
            else:
                self.transport.abort()
