"""The router itself: listening, TLS on the same port, routes from any thread, a clean stop."""

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from time import monotonic

from core.errors import EngineError
from engine.rendezvous import PREFIX, Find, Meeting
from engine.router.front import Front
from engine.router.limits import Limits
from engine.router.lines import RouterLines
from engine.router.table import Table
from engine.router.upstream import Pool
from engine.router.waiting import WaitingRoom, Wake, nobody
from engine.spec import LineSink, Route
from engine.tally import Tally
from engine.tls import LocalCA

TLS_HANDSHAKE = 0x16  # the first byte of a TLS connection; no HTTP request starts with it
UNIX_PEER = ""  # how a unix socket says who is at its other end
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class LocalRouter:
    """An HTTP/1.1 and HTTPS reverse proxy on one port of one asyncio loop.

    `sink` gets the router's lines, called in a thread of its own. `control` is the unix socket of the platform's own
    pages, for requests to `control_hosts`. Every other name below `apps_host` is an app's, or nobody's. Without `ca`
    https is turned away. Peers in `trusted_proxies` (addresses) are believed what they say was forwarded. Clients that
    come by TLS with a secret of `engine.rendezvous` instead of a request are shown to the dyno that `find_guest` finds.
    Requests of apps are counted in `tally`. `wake(app)` is called, on the loop, when somebody comes for an app that sleeps.
    """

    def __init__(
        self,
        *,
        sink: LineSink,
        control: Path,
        control_hosts: frozenset[str],
        apps_host: str,
        ca: LocalCA | None = None,
        trusted_proxies: Collection[str] = (),
        limits: Limits | None = None,
        find_guest: Find | None = None,
        tally: Tally | None = None,
        wake: Wake = nobody,
    ) -> None:
        self.limits = limits or Limits()
        self.control_hosts = frozenset(host.lower().strip("[]") for host in control_hosts) | control_hosts
        self.trusted_proxies = frozenset(trusted_proxies)
        self._apps_domain = "." + apps_host.lower()
        self.table = Table(self.limits, self._apps_domain)
        self.waiting = WaitingRoom(self.limits, wake)
        self.control_pool = Pool(None, control, self.limits)
        self.lines = RouterLines(sink)
        self.tally = tally or Tally()
        self.fronts: set[Front] = set()
        self._find_guest = find_guest
        self._meetings: set[Meeting] = set()
        self.draining = False
        self._empty = asyncio.Event()  # no client is left, while draining
        self.port = 0
        self.loop: asyncio.AbstractEventLoop
        self._tls = ca.context(self.knows, self._given) if ca else None
        self._thread = 0
        self._listeners: list[socket.socket] = []
        self._peeking: dict[socket.socket, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = False
        self._ticker: asyncio.TimerHandle | None = None

    # --- the engine's Router ----------------------------------------------------------------------------------------

    def put(self, route: Route) -> None:
        """Replace an app's route; in effect for every request that arrives after this returns. From any thread."""
        contexts = self.table.contexts(route)
        self._on_loop(lambda: self._put(route, contexts))

    def _put(self, route: Route, contexts: Mapping[str, ssl.SSLContext]) -> None:
        self.table.put(route, contexts)
        self.waiting.look(route.app, self.table.entries[route.app])

    def drop(self, app: str) -> None:
        """Forget an app. From any thread."""
        self._on_loop(lambda: self._drop(app))

    def _drop(self, app: str) -> None:
        self.table.drop(app)
        self.waiting.look(app, None)

    def in_flight(self, backend_id: str) -> int:
        """How many requests a backend is at work on, tunnels apart. From any thread."""
        return self.table.in_flight(backend_id)

    def quiet(self, app: str) -> float:
        """Seconds since a request or a tunnel of an app was under way; 0 while one is. From any thread."""
        return self.table.quiet(app)

    def _on_loop(self, change: Callable[[], None]) -> None:
        if self._thread in (0, threading.get_ident()):
            change()
            return
        done: Future[None] = Future()

        def run() -> None:
            try:
                change()
            except Exception as error:  # it is the caller's, not the loop's
                done.set_exception(error)
            else:
                done.set_result(None)

        try:
            self.loop.call_soon_threadsafe(run)
            done.result(timeout=30)
        except (RuntimeError, TimeoutError) as error:
            raise EngineError("The router does not take new routes: it is stopped or stuck.") from error

    def has(self, app: str) -> bool:
        """Whether there is a route for an app. From any thread."""
        return app in self.table.entries

    def knows(self, host: str) -> bool:
        """Whether a certificate may be made for `host`: ours, an app's, or any name below `apps_host`, where names
        of apps and of nobody must look the same."""
        return (
            host in self.control_hosts
            or (host.endswith(self._apps_domain) and "." not in host.removesuffix(self._apps_domain))
            or self.table.find(host) is not None
        )

    def _given(self, host: str) -> ssl.SSLContext | None:
        """What shows the certificate that an app has for `host`; never for a name of ours, whatever its wildcards."""
        return None if host in self.control_hosts else self.table.context(host)

    # --- start and stop ---------------------------------------------------------------------------------------------

    async def start(self, host: str, port: int) -> None:
        """Listen on every address of `host`; OSError when that can't be done. Port 0 takes a free one, see `port`."""
        self.loop = asyncio.get_running_loop()
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._listen(family, address)
        except OSError:
            while self._listeners:
                self._listeners.pop().close()
            raise
        self._begin()

    async def start_at(self, path: Path) -> None:
        """Listen on a unix socket instead, to a proxy that stands before it and is believed what it says."""
        self.loop = asyncio.get_running_loop()
        self.trusted_proxies |= {UNIX_PEER}
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        self._listeners.append(listener)
        listener.setblocking(False)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(1024)
        self._begin()

    def _begin(self) -> None:
        self._thread = threading.get_ident()
        self.lines.start()
        self._accept_on()
        self._tick()

    def _listen(self, family: int, address: tuple[object, ...]) -> None:
        listener = socket.socket(family, socket.SOCK_STREAM)
        self._listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind((address[0], self.port or address[1], *address[2:]))
        listener.listen(4096)
        self.port = listener.getsockname()[1]

    async def stop(self) -> None:
        """Take no more connections, let what is in flight end (`Limits.drain` at most), close everything."""
        self.draining = True
        self._accept_off()
        while self._listeners:
            self._listeners.pop().close()
        for sock in list(self._peeking):
            self._unpeek(sock).close()
        self.waiting.close()
        for meeting in list(self._meetings):
            meeting.close()
        for front in list(self.fronts):
            if front.exchange is None:
                front.close()
            elif front.exchange.tunnel:
                front.exchange.finish()
        if self.fronts or self._meetings:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.drain):
                    await self._empty.wait()
        for front in list(self.fronts):
            front.transport.abort()
        await asyncio.sleep(0)
        if self._ticker:
            self._ticker.cancel()
        for pool in (*self.table.pools.values(), self.control_pool):
            pool.retire()
        self._thread = 0
        await asyncio.to_thread(self.lines.stop)

    def meet(self, front: Front, data: bytes) -> bool:
        """Have a client that began with `data` meet its dyno; False when it did not come for that."""
        if self._find_guest is None or front.proto != b"https" or not data.startswith(PREFIX):
            return False
        meeting = Meeting(front.transport, self._find_guest, self._met)
        self._meetings.add(meeting)
        front.transport.set_protocol(meeting)
        self.fronts.discard(front)
        meeting.data_received(data)
        return True

    def _met(self, meeting: Meeting) -> None:
        self._meetings.discard(meeting)
        self._one_less()

    def lost(self, front: Front) -> None:
        """A client's connection is closed."""
        self.fronts.discard(front)
        self._one_less()

    def _one_less(self) -> None:
        if self.draining and not self.fronts and not self._meetings:
            self._empty.set()
        if not self._accepting and not self.draining:
            self._accept_on()

    def _tick(self) -> None:
        now = monotonic()
        for front in list(self.fronts):
            front.tick(now)
        self.table.tidy(now)
        self.control_pool.tidy(now)
        limits = self.limits
        soonest = min(limits.first_byte, limits.idle, limits.header, limits.keep_alive, limits.linger)
        self._ticker = self.loop.call_later(min(1.0, soonest / 8), self._tick)

    # --- new connections --------------------------------------------------------------------------------------------

    def _accept_on(self) -> None:
        self._accepting = True
        for listener in self._listeners:
            self.loop.add_reader(listener, self._accept, listener)

    def _accept_off(self) -> None:
        self._accepting = False
        for listener in self._listeners:
            self.loop.remove_reader(listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(64):
            open_now = len(self.fronts) + len(self._meetings) + len(self._peeking) + len(self._tasks)
            if open_now >= self.limits.connections:
                self._accept_off()  # the kernel keeps them in its queue until one of ours ends
                return
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in OUT_OF_FILES:
                    raise
                self._accept_off()
                self.loop.call_later(1, self._accept_on_again)
                return
            sock.setblocking(False)
            self._peek(sock)

    def _accept_on_again(self) -> None:
        if not self.draining:
            self._accept_on()

    def _peek(self, sock: socket.socket) -> None:
        """Look at the first byte without taking it: TLS or not. Wait for it if it is not there yet."""
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            if sock not in self._peeking:
                late = self.loop.call_later(self.limits.header, lambda: self._unpeek(sock).close())
                self._peeking[sock] = late
                self.loop.add_reader(sock, self._peek, sock)
            return
        except OSError:
            first = b""
        self._unpeek(sock)
        if not first or (first[0] == TLS_HANDSHAKE and self._tls is None):
            sock.close()
            return
        task = self.loop.create_task(self._welcome(sock, self._tls if first[0] == TLS_HANDSHAKE else None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _unpeek(self, sock: socket.socket) -> socket.socket:
        late = self._peeking.pop(sock, None)
        if late:
            late.cancel()
            self.loop.remove_reader(sock)
        return sock

    async def _welcome(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        try:
            with suppress(OSError, ssl.SSLError):
                await self.loop.connect_accepted_socket(
                    lambda: Front(self, tls=tls is not None),
                    sock,
                    ssl=tls,
                    ssl_handshake_timeout=self.limits.header if tls else None,
                )
        finally:
            if not self._accepting and not self.draining:
                self._accept_on()
