"""Figures of the log store and of log lines on their way to browsers.

    python -m bench.logs                      everything, as JSON; exit status 1 when a target is missed
    python -m bench.logs --only store
    python -m bench.logs --only archive
    python -m bench.logs --only fanout --rates 1000x10 50000x10 10000x100

A dyno, as a process of its own, writes lines down a pipe; a process like `bin/up` reads them as the local driver does,
stores them, and serves websockets; viewers are bare sockets in two more processes. Every viewer checks that it gets each
line once and in order; times are those of the first and the last line of each message. Load on the machine shows in every figure: run it when nothing else runs.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.logstore import Keep, LogStore, Query
from engine.spec import Line

PORT = int(os.environ.get("BENCH_PORT", "24900"))
TICK = 0.005  # seconds between two writes of the dyno
TARGETS = {  # (lines a second, viewers): p99 in milliseconds from the write to the viewer, or None: only no loss
    (1000, 10): 100,
    (50_000, 10): None,
    (10_000, 100): None,
}
context = multiprocessing.get_context("spawn")

# --- the store ----------------------------------------------------------------------------------------------------


def store(lines: int) -> dict[str, float]:
    """Write `lines` in batches of 500, then read and search them. Milliseconds, best of five."""
    with tempfile.TemporaryDirectory() as folder:
        logs = LogStore(Path(folder), bytes_per_stream=1 << 30, lines_per_second=0)
        text = b"%07d GET /products/teak-side-table?id=%07d 200 84 ms, rendered 31 fragments from cache"
        batches = [
            [Line("app", f"web.{i % 4}", text % (i, i), time.time()) for i in range(start, start + 500)]
            for start in range(0, lines, 500)
        ]
        started = time.perf_counter()
        for batch in batches:
            logs.append("app/bench", batch)
        seconds = time.perf_counter() - started
        logs.flush()
        del batches, batch  # a million live objects would have the collector at work in what follows
        figures = {
            "lines_per_second_in": round(lines / seconds),
            "bytes_per_line": round(
                sum(f.stat().st_size for f in Path(folder, "app/bench").iterdir()) / lines
            ),
            "tail_1500_ms": best(lambda: logs.tail("app/bench", 1500)),
            "search_nothing_ms": best(lambda: logs.search("app/bench", text="no such text")),
            "search_100_hits_ms": best(lambda: logs.search("app/bench", text="id=00001")),
            "search_common_word_ms": best(lambda: logs.search("app/bench", text="GET", dyno="web.3")),
            "search_no_error_ms": best(lambda: logs.search("app/bench", level="error")),
            "search_words_bounded_ms": best(
                lambda: logs.find("app/bench", Query(b"get -rendered"), seconds=0.3)
            ),
            "histogram_first_ms": first_count(logs),
            "histogram_again_ms": best(lambda: logs.histogram("app/bench", until=time.time())),
        }
        logs.close()
        return figures


def archive(size: int = 400 * 1024**2) -> dict[str, Any]:
    """Fill the archive of an app with `size` bytes, a line each 60 ms of its time, then search it.
    Processor seconds, best of five."""
    with tempfile.TemporaryDirectory() as folder:
        logs = LogStore(Path(folder), lines_per_second=0)
        logs.keep("app/bench", Keep(size=2 * size, days=30))
        began, number, text = (
            time.time() - 3 * 86_400,
            0,
            b"%07d INFO basket priced in 84 ms, put away for somebody",
        )
        while logs.held("app/bench").size < size:
            numbers = range(number, number + 20_000)
            logs.append("app/bench", [Line("app", "web.1", text % n, began + n * 0.06) for n in numbers])
            number += 20_000
        middle = began + number * 0.03
        hour = Query(b"zebra", since=middle, until=middle + 3600)
        figures = {
            "lines": number,
            "search_nothing_s": best_of(lambda: logs.find("app/bench", Query(b"basket zebra"))),
            "search_an_hour_s": best_of(lambda: logs.find("app/bench", hour)),
            "first_page_s": best_of(lambda: logs.find("app/bench", Query(b"basket"), limit=100, seconds=1)),
        }
        logs.close()
        return figures | {"ok": figures["search_nothing_s"] < 1 and figures["search_an_hour_s"] < 0.1}


def best_of(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return round(min(times), 4)


def first_count(logs: LogStore) -> float:
    started = time.perf_counter()
    logs.histogram("app/bench", until=time.time(), budget=60)
    return round((time.perf_counter() - started) * 1000, 2)


def best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return round(min(times), 2)


# --- the server: a process like `bin/up` --------------------------------------------------------------------------


def serve(data: str, commands: Connection) -> None:
    """Make a user and an app, serve websockets, and store what dynos write, until told to stop."""
    prepare(data)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    cookie, app = actors()
    from config.server import install_reactor
    from core import live

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    install_reactor(loop)
    live.use_loop(loop)
    loop.run_until_complete(_serve(loop, commands, cookie, app))


def prepare(data: str) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SLIPWAY_DATA": data,
        "SLIPWAY_SECRET_KEY": "bench" * 10,
        "SLIPWAY_KEYS": "bench:" + "A" * 43 + "=",
        "SLIPWAY_PORT": str(PORT),
        "SLIPWAY_URL": f"http://localhost:{PORT}",
    }


def actors() -> tuple[str, Any]:
    from django.conf import settings
    from django.test import Client

    from accounts.models import User
    from apps.actions import create_app

    user = User.objects.create_user("bench@example.com", "a fine password")
    client = Client()
    client.force_login(user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    return cookie, create_app("bench", owner=user, by=user)


async def _serve(loop: asyncio.AbstractEventLoop, commands: Connection, cookie: str, app: Any) -> None:
    from config import server
    from config.asgi import application

    web = await server.serve(application, tcp=("127.0.0.1", PORT))
    commands.send((cookie, app.log_stream))
    while (wish := await loop.run_in_executor(None, commands.recv)) is not None:
        started = time.process_time()
        last = await loop.run_in_executor(None, run_dyno, app.log_stream, *wish)
        commands.send((last, time.process_time() - started))
    await web.stop()


def run_dyno(stream: str, rate: int, seconds: float) -> int:
    """Start a dyno and store its lines, as the local driver does; returns the number of the last one."""
    from apps.logs import store as logs

    dyno = subprocess.Popen(
        [sys.executable, "-m", "bench.logs", "dyno", str(rate), str(seconds)], stdout=subprocess.PIPE
    )
    assert dyno.stdout is not None
    rest, last = b"", 0
    while data := os.read(dyno.stdout.fileno(), 256 * 1024):
        *texts, rest = (rest + data).split(b"\n")
        now = time.time()
        last = logs().append(stream, [Line("app", "web.1", text, now) for text in texts])
    dyno.wait()
    return last


def dyno(rate: int, seconds: float) -> None:
    """Write `rate` lines a second, each with the moment it was written at."""
    started, written = time.monotonic(), 0
    while (passed := time.monotonic() - started) < seconds:
        due = int(passed * rate) - written
        now = time.time_ns()
        os.write(1, b"".join(b"%019d %-70d\n" % (now, written + i) for i in range(due)))
        written += due
        time.sleep(TICK)


_TEXT = b'"web.1","'

# --- viewers --------------------------------------------------------------------------------------------------------


class Viewer:
    """One websocket, read without ceremony."""

    def __init__(self, cookie: str, stream: str) -> None:
        self.stream, self.after, self.wrong, self.heard = stream, -1, 0, 0
        self.latencies: list[float] = []
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.socket.sendall(
            f"GET /ws/ HTTP/1.1\r\nHost: localhost:{PORT}\r\nOrigin: http://localhost:{PORT}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            f"Cookie: {cookie}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(4096)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.buffer = bytearray(head.partition(b"\r\n\r\n")[2])

    def say(self, **message: Any) -> None:
        data = json.dumps(message).encode()
        length = (
            struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
        )
        self.socket.sendall(b"\x81" + length + bytes(4) + data)  # a mask of zeros

    def follow(self, after: int) -> None:
        self.after = after
        self.say(log=self.stream, after=after)

    def read(self) -> None:
        """Take in what has arrived."""
        self.buffer += self.socket.recv(1 << 20)
        while len(self.buffer) >= 2:
            size, start = self.buffer[1] & 127, 2
            if size > 125:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self.buffer[2:start], "big")
            if len(self.buffer) < start + size:
                return
            kind, data = self.buffer[0] & 15, bytes(self.buffer[start : start + size])
            del self.buffer[: start + size]
            if kind == 9:
                self.socket.sendall(b"\x8a" + struct.pack("!B", 0x80 | len(data)) + bytes(4) + data)
            elif kind == 1:
                self.hear(data, time.time())

    def hear(self, data: bytes, now: float) -> None:
        """Check one message without decoding all of it: on two cores the viewers would be measured else."""
        first, after = (
            _number(data, data.index(b'"lines":[[') + 10),
            _number(data, data.rindex(b'"after":') + 8),
        )
        if first != self.after + 1 or after - first != data.count(b"],["):
            self.wrong += 1
        self.after = after
        for text in (data.index(_TEXT), data.rindex(_TEXT)):
            written = int(data[text + len(_TEXT) : text + len(_TEXT) + 19])
            self.latencies.append((now - written / 1e9) * 1000)
        self.heard += 1
        if self.heard % 4 == 0:
            self.say(log=self.stream, seen=self.after)


def _number(data: bytes, start: int) -> int:
    return int(re.compile(rb"\d+").match(data, start)[0])  # type: ignore[index]


def watch(cookie: str, stream: str, viewers: int, pipe: Connection) -> None:
    """Have `viewers` follow the stream from number `after` on until they have number `last`, both told by `pipe`."""
    watching = [Viewer(cookie, stream) for _ in range(viewers)]
    after = pipe.recv()
    for viewer in watching:
        viewer.follow(after)
    selector = selectors.DefaultSelector()
    for viewer in watching:
        selector.register(viewer.socket, selectors.EVENT_READ, viewer)
    pipe.send("ready")
    last, deadline = None, None
    while last is None or (min(v.after for v in watching) < last and time.monotonic() < deadline):
        for key, _ in selector.select(0.02):
            key.data.read()
        if last is None and pipe.poll():
            last, deadline = pipe.recv(), time.monotonic() + 20
    latencies = sorted(latency for viewer in watching for latency in viewer.latencies)
    lost = sum(max(0, last - viewer.after) for viewer in watching)
    pipe.send(
        (lost, sum(viewer.wrong for viewer in watching), latencies[:: max(1, len(latencies) // 100_000)])
    )
    for viewer in watching:
        viewer.socket.close()


# --- putting it together --------------------------------------------------------------------------------------------


def fanout(rates: list[tuple[int, int]], seconds: float) -> list[dict[str, Any]]:
    """One result for each (lines a second, viewers)."""
    with tempfile.TemporaryDirectory() as folder:
        commands, theirs = context.Pipe()
        server = context.Process(target=serve, args=(folder, theirs), daemon=True)
        server.start()
        theirs.close()  # so that its death is noticed
        cookie, stream = commands.recv()
        results, last = [], 0
        for rate, viewers in rates:
            result, last = measure(commands, cookie, stream, rate, viewers, seconds, last)
            results.append(result)
        commands.send(None)
        server.join()
        return results


def measure(
    commands: Connection, cookie: str, stream: str, rate: int, viewers: int, seconds: float, after: int
) -> tuple[dict[str, Any], int]:
    """Lines at `rate` for `seconds` to `viewers`; returns the figures and the number of the last line."""
    pairs = [context.Pipe() for _ in range(2)]
    watchers = [
        context.Process(target=watch, args=(cookie, stream, (viewers + i) // 2, theirs), daemon=True)
        for i, (_, theirs) in enumerate(pairs)
    ]
    for watcher in watchers:
        watcher.start()
    for pipe, _ in pairs:
        pipe.send(after)
        pipe.recv()
    started = time.monotonic()
    commands.send((rate, seconds))
    last, cpu = commands.recv()
    elapsed = time.monotonic() - started
    for pipe, _ in pairs:
        pipe.send(last)
    answers = [pipe.recv() for pipe, _ in pairs]
    behind = time.monotonic() - started - elapsed
    for watcher in watchers:
        watcher.join()
    latencies = [latency for answer in answers for latency in answer[2]]
    cuts = statistics.quantiles(latencies, n=100)
    figures = {
        "lines_per_second": round((last - after) / elapsed),
        "viewers": viewers,
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "worst_ms": round(max(latencies), 1),
        "behind_at_the_end_s": round(behind, 2),
        "lost": sum(answer[0] for answer in answers),
        "out_of_order": sum(answer[1] for answer in answers),
        "server_cpu_percent": round(100 * cpu / elapsed),
    }
    figures["ok"] = meets(figures, TARGETS.get((rate, viewers)))
    return figures, last


def meets(figures: dict[str, Any], p99: float | None) -> bool:
    """Whether nothing was lost, the viewers kept up, and the slowest hundredth was fast enough."""
    kept_up = figures["behind_at_the_end_s"] < 1
    return (
        not figures["lost"]
        and not figures["out_of_order"]
        and kept_up
        and (p99 is None or figures["p99_ms"] < p99)
    )


def rate_and_viewers(text: str) -> tuple[int, int]:
    rate, _, viewers = text.partition("x")
    return int(rate), int(viewers)


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", choices=["store", "archive", "fanout"])
    options.add_argument("--lines", type=int, default=500_000)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument(
        "--rates", type=rate_and_viewers, nargs="+", default=list(TARGETS), metavar="RATExVIEWERS"
    )
    given = options.parse_args()
    results: dict[str, Any] = {"load": os.getloadavg()[0]}
    if given.only in (None, "store"):
        results["store"] = found = store(given.lines)
        found["ok"] = (
            found["lines_per_second_in"] >= 100_000
            and found["tail_1500_ms"] < 5
            and max(found["search_nothing_ms"], found["search_100_hits_ms"]) < 100
        )
    if given.only in (None, "archive"):
        results["archive"] = archive()
    if given.only in (None, "fanout"):
        results["fanout"] = fanout(given.rates, given.seconds)
    print(json.dumps(results, indent=2))
    parts = [results[name] for name in ("store", "archive") if name in results] + results.get("fanout", [])
    return 0 if all(part["ok"] for part in parts) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["dyno"]:
        with suppress(BrokenPipeError):
            dyno(int(sys.argv[2]), float(sys.argv[3]))
    else:
        sys.exit(main())
