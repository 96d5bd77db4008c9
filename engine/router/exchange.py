"""One request and its one answer, from the parsed head to the line in the log (promise I-25)."""

import asyncio
import re
import time
from random import getrandbits
from time import monotonic
from typing import TYPE_CHECKING

from engine.balancing import cookie
from engine.router import pages, wire
from engine.router.lines import quoted
from engine.router.table import Entry
from engine.router.upstream import CLOSED, Pool, Upstream, tcp_state
from engine.tally import TURNED_AWAY

if TYPE_CHECKING:
    from engine.router.front import Front

REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
VIA = b"\r\nVia: 1.1 slipway"


def new_id() -> bytes:
    """An id for a request, in the form of a random UUID."""
    text = b"%032x" % getrandbits(128)
    return b"%b-%b-4%b-8%b-%b" % (text[:8], text[8:12], text[13:16], text[17:20], text[20:])


class Exchange:
    """Passes one request to a backend and the answer back; `front` is the client's side."""

    __slots__ = (
        "answered", "connect_ms", "count", "deadline", "ends", "entry", "forwarded_for", "front", "id", "key", "limit_first",
        "limit_idle", "over", "payload", "pool", "pooled", "request", "request_done", "started", "status", "tried",
        "tried_at", "tunnel", "upstream", "waits",
    )  # fmt: skip

    def __init__(self, front: "Front", request: wire.Request, entry: Entry | None, key: str = "") -> None:
        limits = front.router.limits
        self.front = front
        self.request = request
        self.entry = entry  # None for the platform's own pages
        self.key = key  # names the app to a visitor who is to stay with it
        self.limit_first = limits.first_byte if entry else limits.control
        self.limit_idle = limits.idle if entry else limits.control
        given = request.special.get(b"x-request-id")
        self.id = given if given and REQUEST_ID.fullmatch(given) else new_id()
        self.started = monotonic()
        self.deadline = self.started + self.limit_idle
        self.pool: Pool | None = None
        self.upstream: Upstream | None = None
        self.payload = b""  # not sent yet, or kept for the one case in which it may be sent again
        self.tried: set[Pool] = set()
        self.tried_at = self.started  # when a backend was chosen
        self.waits = False  # for an app that sleeps
        self.pooled = False  # the upstream had been used before
        self.request_done = request.body.done
        self.answered = False  # the client got the head of the answer
        self.over = False
        self.tunnel = False
        self.ends = 0  # directions of a tunnel that have ended
        self.status = 0
        self.count = 0  # bytes of the answer's body
        self.connect_ms = 0
        self.forwarded_for = b""
        if entry is not None:
            entry.visits.open += 1

    # --- the request ----------------------------------------------------------------------------------------------

    def begin(self, rest: bytes) -> bytes:
        """Check the first bytes of the body and send the request on its way. Returns what follows the request."""
        taken = 0
        if not self.request_done:
            try:
                taken = self.request.body.take(rest)
            except wire.Malformed as fault:
                self.refuse(fault)
                return b""
            self.request_done = self.request.body.done
        entry = self.entry
        if entry is None:
            pool: Pool | None = self.front.router.control_pool
        elif entry.route.maintenance:
            self.fail("H80")
            return rest[taken:]
        else:
            pool = entry.pick(self.tried, self.started)
            if pool is None:
                if not (entry.route.asleep and self._wait(entry, rest[:taken])):
                    self.fail(entry.route.why_none)
                return rest[taken:]
        assert pool is not None
        self.payload = self._head() + rest[:taken]
        if self.request_done:
            self.deadline = self.started + self.limit_first
        self._through(pool)
        return rest[taken:]

    def _wait(self, entry: Entry, body: bytes) -> bool:
        """Wait until somebody has woken the app; False when there is no room for that."""
        router = self.front.router
        if not router.waiting.enter(self, entry.route.app):
            return False
        self.waits = True
        self.payload = self._head() + body
        self.deadline = self.started + router.limits.wake
        return True

    def go_on(self, entry: Entry | None) -> None:
        """It has waited: the app is up, or will not be; without `entry` it is gone."""
        self.waits = False
        self.tried_at = monotonic()
        if entry is None or entry.route.maintenance:
            self.fail("H80" if entry else "H20")
            return
        pool = entry.pick(self.tried, self.tried_at)
        if pool is None:
            self.fail(entry.route.why_none)
            return
        self.deadline = self.tried_at + (self.limit_first if self.request_done else self.limit_idle)
        self._through(pool)

    def feed(self, data: bytes) -> bytes:
        """More of the body came. Returns what follows the request."""
        try:
            taken = self.request.body.take(data)
        except wire.Malformed as fault:
            self.refuse(fault)
            return b""
        rest = b""
        if taken < len(data):
            rest, data = data[taken:], data[:taken]
        self.request_done = self.request.body.done
        if not self.answered and not self.waits:
            limit = self.limit_first if self.request_done else self.limit_idle
            self.deadline = monotonic() + limit
        if self.upstream is None:
            self.payload += data
            self.front.pause()
        else:
            self.upstream.transport.write(data)
        return rest

    def _head(self) -> bytes:
        request, special, front = self.request, self.request.special, self.front
        chain = special.get(b"x-forwarded-for", b"")
        proto, port = front.proto, front.port
        if front.trusted:
            proto = special.get(b"x-forwarded-proto", proto)
            port = special.get(b"x-forwarded-port", port)
        if not chain or (self.entry is None and not front.trusted):
            chain = front.peer
        elif front.peer:
            chain = b"%b, %b" % (chain, front.peer)
        self.forwarded_for = chain
        lines = request.lines if self.entry else _without_claims(request.lines)
        parts = [
            b"%b %b HTTP/1.%d\r\nHost: %b"
            % (request.method, request.target, request.minor, request.authority),
            *lines,
            b"X-Request-Id: %b\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Port: %b\r\n"
            b"X-Request-Start: %d\r\nVia: 1.%d slipway"
            % (self.id, chain, proto, port, int(time.time() * 1000), request.minor),
        ]
        if request.upgrade:
            parts.append(b"Connection: Upgrade\r\nUpgrade: " + request.upgrade)
        elif not request.minor:
            parts.append(b"Connection: close")
        parts.append(b"\r\n")
        return b"\r\n".join(parts)

    # --- to a backend ---------------------------------------------------------------------------------------------

    def _through(self, pool: Pool) -> None:
        self.pool = pool
        pool.busy += 1
        upstream = pool.take(self.started, repeatable=self.request.repeatable)
        if upstream is None:
            pool.connect(self)
        else:
            self.pooled = True
            self._attach(upstream)

    def connected(self, pool: Pool, upstream: Upstream) -> None:
        """A new connection is there."""
        if self.over or pool is not self.pool:
            pool.release(upstream, monotonic())
            return
        if upstream.transport.is_closing():  # accepted and closed at once
            self.unreachable(pool, "H13")
            return
        self.connect_ms = round((monotonic() - self.tried_at) * 1000)
        self._attach(upstream)

    def unreachable(self, pool: Pool, code: str) -> None:
        """No connection, so not a byte was sent: another backend of the app may answer."""
        if self.over or pool is not self.pool:
            return
        now = monotonic()
        pool.avoid_until = now + 1
        pool.busy -= 1
        self.pool = None
        self.tried.add(pool)
        entry = self.front.router.table.entries.get(self.entry.route.app) if self.entry else None
        other = entry.pick(self.tried, now) if entry else None
        if other is None:
            self.fail(code)
        else:
            self._through(other)

    def _attach(self, upstream: Upstream) -> None:
        upstream.exchange = self
        self.upstream = upstream
        upstream.transport.write(self.payload)
        if not self.pooled:  # only then it may be needed once more
            self.payload = b""
        if self.front.paused:
            self.front.resume()
        if self.front.full:
            upstream.transport.pause_reading()

    def backend_lost(self, upstream: Upstream, exc: Exception | None) -> None:
        """The backend's connection is gone."""
        self.upstream = None
        if self.tunnel:
            self.finish()
        elif self.answered:
            if exc is None and type(upstream.body) is wire.UntilClose:
                self.complete(upstream)
            else:
                self.fail("H18")
        elif self._unread(upstream, exc):
            self.pooled = False
            assert self.pool is not None
            self.pool.connect(self)
        else:
            self.fail("H18" if upstream.buffer else "H13")

    def _unread(self, upstream: Upstream, exc: Exception | None) -> bool:
        """Whether a kept connection was closed before the backend read the request (it sent a reset, not an end),
        and trying once more is safe."""
        if not self.pooled or upstream.buffer or not self.request.repeatable:
            return False
        return isinstance(exc, ConnectionError) or upstream.state() == CLOSED

    # --- the answer -----------------------------------------------------------------------------------------------

    def answer(self, response: wire.Response) -> bytes:
        """The head of the answer is there; returns it as the client gets it."""
        self.answered = True
        self.status = response.status
        request = self.request
        request.close = request.close or type(response.body) is wire.UntilClose or self.front.router.draining
        head = response.head + VIA + (self._pin() if self.key else b"")
        return head + (b"\r\nConnection: close\r\n\r\n" if request.close else b"\r\n\r\n")

    def _pin(self) -> bytes:
        """The header line that has the visitor stay with the app."""
        proto = self.front.proto
        if self.front.trusted:
            proto = self.request.special.get(b"x-forwarded-proto", proto)
        return b"\r\nSet-Cookie: " + cookie(self.key, secure=proto == b"https").encode()

    def interim(self, response: wire.Response) -> None:
        """A 1xx before the answer: passed on, but not to clients that don't know of it."""
        self.deadline = monotonic() + self.limit_first
        if self.request.minor:
            self.front.transport.write(response.head + b"\r\n\r\n")

    def send(self, head: bytes, data: bytes) -> None:
        """Pass on a part of the answer."""
        self.deadline = monotonic() + self.limit_idle
        self.count += len(data)
        if head or data:
            self.front.transport.write(head + data if head else data)

    def complete(self, upstream: Upstream | None = None) -> None:
        """The answer has been passed on as a whole."""
        pool, upstream = self.pool, self.upstream
        self.upstream = None
        self._end("")
        if upstream is not None and pool is not None:
            if self.request_done:
                if self.front.full:
                    upstream.transport.resume_reading()
                pool.release(upstream, monotonic())
            else:
                upstream.close()
        self.front.next(close=self.request.close or not self.request_done, linger=not self.request_done)

    def fail(self, code: str) -> None:
        """There is no answer, or no rest of it. Says so if nothing was said yet, else closes."""
        if self.over:
            return
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.close()
        self.status = pages.fault(code).status
        close = self.request.close or not self.request_done or self.front.router.draining
        page = b"" if self.answered else self._page(code, close)
        self._end(code)
        if not page:
            self.front.transport.abort()
            return
        self.front.transport.write(page)
        self.front.next(close=close, linger=not self.request_done)

    def refuse(self, fault: wire.Malformed) -> None:
        """The rest of the request is malformed: not a byte of that reaches the backend."""
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.close()
        self.status = fault.status
        self._end("H26")
        if self.answered:
            self.front.transport.abort()
        else:
            self.front.refuse(fault, self.request.method)

    def _page(self, code: str, close: bool) -> bytes:
        accept = self.request.header(b"accept")
        head_only = self.request.method == b"HEAD"
        if self.entry is None:
            return pages.control_away(
                request_id=self.id.decode(), accept=accept, head_only=head_only, close=close
            )
        return pages.for_fault(
            code,
            host=self.request.host,
            request_id=self.id.decode(),
            accept=accept,
            head_only=head_only,
            close=close,
        )

    # --- tunnels --------------------------------------------------------------------------------------------------

    def switch(self, response: wire.Response, rest: bytes) -> None:
        """101: from here on bytes pass both ways, whatever they mean."""
        if not (self.request.upgrade and self.request_done) or self.upstream is None:
            self.fail("H17")
            return
        self.answered = self.tunnel = self.upstream.tunnel = True
        self.status = 101
        assert self.pool is not None
        self.pool.busy -= 1
        named = response.upgrade or self.request.upgrade
        pin = self._pin() if self.key else b""
        head = b"%b%b\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % (response.head, pin, named)
        self.send(head, rest)
        self.front.tunnel_opened()

    def tunnelled(self, data: bytes) -> None:
        """Bytes of the backend."""
        self.count += len(data)
        self.deadline = monotonic() + self.limit_idle
        self.front.transport.write(data)

    def push(self, data: bytes) -> None:
        """Bytes of the client."""
        self.deadline = monotonic() + self.limit_idle
        if self.upstream is not None:
            self.upstream.transport.write(data)

    def backend_ended(self) -> bool:
        """The backend will send no more; true when the other direction goes on."""
        return self._ended(self.front.transport)

    def client_ended(self) -> bool:
        """The client will send no more; true when its connection stays open for what comes back."""
        if self.tunnel and self.upstream is not None:
            return self._ended(self.upstream.transport)
        return self.request_done

    def _ended(self, other: asyncio.Transport) -> bool:
        self.ends += 1
        if self.ends == 2 or not other.can_write_eof():
            return False
        other.write_eof()
        return True

    def finish(self) -> None:
        """The tunnel is closed."""
        if not self.over:
            upstream, self.upstream = self.upstream, None
            self._end("")
            if upstream is not None:
                upstream.exchange = None
                upstream.transport.close()
            self.front.close()

    # --- the end --------------------------------------------------------------------------------------------------

    def client_lost(self) -> None:
        """The client's connection is gone."""
        if self.tunnel:
            self.finish()
        elif not self.over:
            upstream, self.upstream = self.upstream, None
            if upstream is not None:
                upstream.close()
            self.status = 499
            self._end("H27")

    def expire(self) -> None:
        """Nothing has moved for too long."""
        if self.tunnel:
            self.status = 503
            code = "H15"
        elif self.waits:
            code = "H20"
        elif not self.request_done or (self.answered and self.front.full):
            code = "H28"
        else:
            code = "H15" if self.answered else "H12"
        if code == "H28" or self.tunnel:
            self.answered = True  # nobody is there to be told
        self.fail(code)

    def _end(self, code: str) -> None:
        self.over = True
        pool = self.pool
        if pool is not None and not self.tunnel:
            pool.busy -= 1
        if self.entry is not None:
            visits = self.entry.visits
            visits.open -= 1
            visits.last = monotonic()
            if self.waits:
                self.waits = False
                self.front.router.waiting.leave(self, self.entry.route.app)
            if (
                self.front.ended
                and self.front.peer  # there is no such state of a unix socket
                and not code
                and not self.tunnel
                and tcp_state(self.front.transport.get_extra_info("socket")) == CLOSED
            ):
                code, self.status = "H27", 499  # it had left, not just ended its side
            self._tell(self.entry, code)

    def _tell(self, entry: Entry, code: str) -> None:
        """Write the request's line, and count it."""
        router, took = self.front.router, (monotonic() - self.started) * 1000
        router.lines.add(entry.stream, self._line(code, took - self.connect_ms))
        answered = self.pool and self.pool.backend
        release = answered.release if answered else entry.route.release
        if code not in TURNED_AWAY:
            took -= (self.tried_at - self.started) * 1000  # that an app had slept is not its answer's fault
            router.tally.add(entry.route.app, release, self.status, took, time.time())

    def _line(self, code: str, service: float) -> bytes:
        request = self.request
        pool = self.pool
        start = b"at=info"
        if code:
            what = pages.fault(code)
            start = b'at=%b code=%b desc="%b"' % (what.at.encode(), code.encode(), what.words.encode())
        return (
            b"%b method=%b path=%b host=%b request_id=%b fwd=%b dyno=%b connect=%dms service=%dms status=%d "
            b"bytes=%d protocol=%b"
            % (
                start,
                request.method,
                quoted(request.target),
                request.host.encode(),
                self.id,
                quoted(self.forwarded_for or self.front.peer),
                pool.dyno.encode() if pool else b"",
                self.connect_ms,
                service,
                self.status,
                self.count,
                self.front.proto,
            )
        )


def _without_claims(lines: list[bytes]) -> list[bytes]:
    """Without what only a proxy may say, in any spelling: the platform believes these headers."""
    kept = []
    for line in lines:
        name = line[: line.index(b":")].lower()
        if b"_" not in name and name != b"forwarded" and not name.startswith(b"x-forwarded-"):
            kept.append(line)
    return kept
