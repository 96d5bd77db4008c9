"""What stands around the load of `bench.router`: backends, and the routers that are measured, each in a process of its own."""

import asyncio
import multiprocessing
import os
import resource
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from core.errors import EngineError
from engine.proxy import Keeper, ProxyRouter, Setup, prepare
from engine.rendezvous import Guest
from engine.router import LocalRouter
from engine.spec import Backend, Route, Router

HOST = "shop.localhost"
PORT = int(os.environ.get("BENCH_PORT", "22900"))
STARTING = 0.3  # seconds that a dyno takes here to be up
ROUTER, OLD, NEW, SINK, BARE_PORT = range(PORT, PORT + 5)
REQUEST = (
    f"GET /orders/17?page=2 HTTP/1.1\r\nHost: {HOST}:{ROUTER}\r\nUser-Agent: bench\r\nAccept: text/html,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip\r\nCookie: session=0123456789abcdef\r\n\r\n"
).encode()
context = multiprocessing.get_context("fork")


# --- the other ends -----------------------------------------------------------------------------------------------


def serve(port: int, name: str) -> None:
    """A backend that answers every read with one fixed response."""
    body = name.encode().ljust(12)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n" + body
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    poll, socks = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                socks[sock.fileno()] = sock
                poll.register(sock, select.EPOLLIN)
            elif received(socks[fd]):
                socks[fd].sendall(answer)
            else:
                poll.unregister(fd)
                socks.pop(fd).close()


def received(sock: socket.socket) -> bytes:
    """What came; nothing at the end, also at one without a goodbye."""
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""


def swallow(port: int) -> None:
    """A backend that reads a whole body, however long, and says how many bytes it was."""
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        sock, _ = listener.accept()
        data = sock.recv(65536)
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        got = len(rest)
        while got < length:
            got += len(sock.recv(262144))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.close()


class Sink:
    """Counts the router's lines."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, stream: str, lines: list) -> None:
        self.lines += len(lines)


def route(port: int, name: str) -> Route:
    return Route("app", "shop", frozenset({HOST}), (Backend(name, "web.1", "127.0.0.1", port),))


def on_trial(share: int) -> Route:
    """The new one beside the old, with a share of the requests."""
    old, new = route(OLD, "old").backends, route(NEW, "new").backends
    return Route("app", "shop", frozenset({HOST}), old, canary=new, share=share)


def asleep() -> Route:
    """No dyno is there until somebody comes."""
    return Route("app", "shop", frozenset({HOST}), asleep=True, why_none="H20")


def waker(router: Router) -> Callable[[str], None]:
    """What wakes the app: it has its dyno again after `STARTING` seconds, however often it is asked."""

    starting = threading.Lock()

    def wake(app: str) -> None:
        if starting.acquire(blocking=False):
            threading.Timer(STARTING, started).start()

    def started() -> None:
        router.put(route(OLD, "old"))
        starting.release()

    return wake


def rss() -> int:
    """Resident bytes of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def run_router(pipe: Connection) -> None:
    """The router, told over `pipe` what to route and asked for its own figures."""

    async def main() -> None:
        sink = Sink()
        router = LocalRouter(
            sink=sink,
            control=Path("/nowhere"),
            control_hosts=frozenset({"localhost"}),
            apps_host="localhost",
            wake=lambda app: wake(app),
        )
        wake = waker(router)
        router.put(route(OLD, "old"))
        await router.start("127.0.0.1", ROUTER)
        pipe.send("up")
        while True:
            order = await asyncio.to_thread(pipe.recv)
            if order == "stop":
                break
            if order == "figures":
                usage = resource.getrusage(resource.RUSAGE_SELF)
                pipe.send((usage.ru_utime + usage.ru_stime, sink.lines, rss()))
            else:
                before = time.monotonic()
                await asyncio.to_thread(router.put, order)  # as the conductor does, from a thread
                pipe.send((before, time.monotonic()))
        await router.stop()

    asyncio.run(main())


def run_proxy(pipe: Connection) -> None:
    """The same with HAProxy; the records are read here."""

    async def main(folder: Path) -> None:
        sink = Sink()
        router = ProxyRouter(folder)
        setup = Setup(
            http=f"127.0.0.1:{ROUTER}", web=("unix@/nowhere",), control_hosts=frozenset({"localhost"})
        )
        prepare(setup, router.folder, default_certificate="")
        router.put(route(OLD, "old"))
        files = router.folder
        words = ["-W", "-S", f"{files.master},mode,600", "-f", str(files.config), "-f", str(files.backends)]
        process = await asyncio.create_subprocess_exec("haproxy", *words)
        keeper = Keeper(router, sink=sink, find_guest=nobody, make_waking=lambda: waking(sink, waker(router)))
        keeper.start()
        await up(router)
        pipe.send("up")
        while True:
            order = await asyncio.to_thread(pipe.recv)
            if order == "stop":
                break
            if order == "figures":
                cpu, memory = used(router.runtime.info()["Pid"])
                pipe.send((cpu, sink.lines, memory))
            else:
                before = time.monotonic()
                await asyncio.to_thread(router.put, order)
                pipe.send((before, time.monotonic()))
        await keeper.stop()
        process.terminate()
        await process.wait()

    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        asyncio.run(main(Path(folder) / "r"))


def waking(sink: Sink, wake: Callable[[str], None]) -> LocalRouter:
    """Where requests of an app that sleeps wait beside HAProxy."""
    return LocalRouter(
        sink=sink, control=Path("/nowhere"), control_hosts=frozenset(), apps_host="localhost", wake=wake
    )


def nobody(secret: str) -> Guest:
    """No dyno waits here."""
    raise LookupError(secret)


async def up(router: ProxyRouter) -> None:
    """Wait until HAProxy listens and its records are read."""
    while True:
        with suppress(EngineError):
            router.runtime.info()
            if router.folder.lines.exists() and router.folder.waking.exists():
                return
        await asyncio.sleep(0.01)


def used(pid: str) -> tuple[float, int]:
    """CPU seconds and resident bytes of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * resource.getpagesize()


BARE = """global
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 55s
    timeout server 55s
frontend web
    bind 127.0.0.1:{port}
    use_backend app
backend app
    balance leastconn
    server dyno 127.0.0.1:{old}
"""
