"""Figures of a router, beside the same load without it; of HAProxy also beside a HAProxy that is told nothing but an address.

    python -m bench.router                    everything, a table and JSON
    python -m bench.router --router haproxy   the same for HAProxy; CPU and memory are those of its processes
    python -m bench.router --seconds 2 --json results.json

Backend, router and load are processes of their own; the load generator is a bare epoll loop, so that on two cores
most of the time is the router's. Run it on a quiet machine; the ratio to "direct" and the CPU time per request
travel better than requests per second.
"""

import argparse
import json
import multiprocessing
import os
import select
import socket
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench.router_ends import (
    BARE,
    BARE_PORT,
    HOST,
    NEW,
    OLD,
    REQUEST,
    ROUTER,
    SINK,
    STARTING,
    asleep,
    context,
    on_trial,
    route,
    run_proxy,
    run_router,
    serve,
    swallow,
    used,
)
from engine.spec import Route


def bare(connections: int, seconds: float, processes: int) -> dict[str, float]:
    """The same load through a HAProxy that knows one address and says nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(BARE.format(port=BARE_PORT, old=OLD))
        file.flush()
        with subprocess.Popen(["haproxy", "-db", "-f", file.name]) as process:
            time.sleep(0.5)
            before = used(str(process.pid))[0]
            found = summary(*gather(begin(BARE_PORT, connections, seconds, processes))[:2], seconds)
            cpu = used(str(process.pid))[0] - before
            process.terminate()
    requests = found["requests_per_second"] * seconds
    return {**found, "cpu_us_per_request": round(cpu / requests * 1e6, 1)}


# --- load ---------------------------------------------------------------------------------------------------------


def load(port: int, connections: int, seconds: float, results: Connection) -> None:
    """Keep `connections` busy; sends [latencies, errors, first time of each body, how often it came]."""
    poll, socks, sent = select.epoll(), {}, {}
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socks[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    latencies: list[float] = []
    firsts: dict[bytes, float] = {}
    counts: Counter[bytes] = Counter()
    errors = 0
    clock = time.monotonic
    for fd, sock in socks.items():
        sent[fd] = clock()
        sock.sendall(REQUEST)
    end = clock() + seconds
    while sent and (now := clock()) < end + 5:
        for fd, _ in poll.poll(0.2):
            data = socks[fd].recv(65536)
            now = clock()
            latencies.append(now - sent[fd])
            if not data.startswith(b"HTTP/1.1 200") or data[-12:-9] not in (b"old", b"new"):
                errors += 1
            firsts.setdefault(data[-12:-9], now)
            counts[data[-12:-9]] += 1
            if not data or now > end:
                poll.unregister(fd)
                del sent[fd]
                continue
            sent[fd] = now
            socks[fd].sendall(REQUEST)
    results.send((latencies, errors + len(sent), firsts, counts))


@contextmanager
def process(target: object, *arguments: object) -> Iterator[multiprocessing.Process]:
    child = context.Process(target=target, args=arguments, daemon=True)
    child.start()
    try:
        yield child
    finally:
        child.terminate()
        child.join()


def begin(port: int, connections: int, seconds: float, processes: int) -> list[Connection]:
    pipes = []
    for _ in range(processes):
        ours, theirs = context.Pipe()
        context.Process(
            target=load, args=(port, connections // processes, seconds, theirs), daemon=True
        ).start()
        pipes.append(ours)
    return pipes


def gather(pipes: list[Connection]) -> tuple[list[float], int, dict[bytes, float], Counter[bytes]]:
    latencies: list[float] = []
    errors, firsts, counts = 0, {}, Counter()
    for pipe in pipes:
        some, wrong, seen, counted = pipe.recv()
        counts += counted
        latencies += some
        errors += wrong
        for body, when in seen.items():
            firsts[body] = min(when, firsts.get(body, when))
    return latencies, errors, firsts, counts


def summary(latencies: list[float], errors: int, seconds: float) -> dict[str, float]:
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "requests_per_second": round(len(latencies) / seconds),
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
        "errors": errors,
    }


# --- figures ------------------------------------------------------------------------------------------------------


def throughput(pipe: Connection, connections: int, seconds: float, processes: int) -> dict[str, object]:
    direct = summary(*gather(begin(OLD, connections, seconds, processes))[:2], seconds)
    pipe.send("figures")
    cpu, lines, _ = pipe.recv()
    routed = summary(*gather(begin(ROUTER, connections, seconds, processes))[:2], seconds)
    time.sleep(0.1)  # the last lines are gathered for 20 ms
    pipe.send("figures")
    cpu_after, lines_after, memory = pipe.recv()
    requests = routed["requests_per_second"] * seconds
    return {
        "direct": direct,
        "routed": routed,
        "of_direct": round(routed["requests_per_second"] / direct["requests_per_second"], 3),
        "cpu_us_per_request": round((cpu_after - cpu) / requests * 1e6, 1),
        "router_lines": lines_after - lines,
        "rss_mib": round(memory / 2**20, 1),
    }


def switching(pipe: Connection, requests: int, connections: int = 16) -> dict[str, object]:
    """Switch between two backends every now and then until `requests` were made."""
    made = lost = 0
    calls, waits = [], []
    while made < requests:
        there = NEW if len(calls) % 2 == 0 else OLD
        name = "new" if there == NEW else "old"
        pipes = begin(ROUTER, connections, 1, 1)
        time.sleep(0.5)
        pipe.send(route(there, name))
        before, after = pipe.recv()
        latencies, errors, firsts, _ = gather(pipes)
        made += len(latencies)
        lost += errors
        calls.append(after - before)
        waits.append(firsts[name.encode()] - before)
    return {
        "requests": made,
        "lost": lost,
        "switches": len(calls),
        "call_ms": round(statistics.median(calls) * 1000, 2),
        "call_to_first_new_ms": round(statistics.median(waits) * 1000, 2),
        "worst_ms": round(max(waits) * 1000, 2),
    }


def trials(pipe: Connection, rounds: int = 10, connections: int = 16, share: int = 20) -> dict[str, object]:
    """A release on trial gets its share, and then, in turns, all requests or none any more, all under load."""
    lost, made, counts = 0, 0, Counter[bytes]()
    for number in range(rounds):
        tell(pipe, route(OLD, "old"))
        before = begin(ROUTER, connections, 0.8, 1)
        time.sleep(0.4)
        tell(pipe, on_trial(share))
        found = gather(before)
        during = gather(begin(ROUTER, connections, 1, 1))
        counts += during[3]
        after = begin(ROUTER, connections, 0.8, 1)
        time.sleep(0.4)
        tell(pipe, route(NEW, "new") if number % 2 else route(OLD, "old"))
        parts = (found, during, gather(after))
        made, lost = made + sum(len(part[0]) for part in parts), lost + sum(part[1] for part in parts)
    return {
        "requests": made,
        "lost": lost,
        "trials": rounds,
        "share_asked": share,
        "share_got": round(100 * counts[b"new"] / counts.total(), 2),
    }


def naps(pipe: Connection, rounds: int = 20, connections: int = 16) -> dict[str, object]:
    """An app that sleeps is woken by who comes, all at once; its dyno is there `STARTING` seconds later."""
    lost, waits = 0, []
    for _ in range(rounds):
        tell(pipe, asleep())
        began = time.monotonic()
        _, errors, firsts, _ = gather(begin(ROUTER, connections, STARTING, 1))
        waits.append(firsts[b"old"] - began - STARTING)
        lost += errors
    return {
        "naps": rounds,
        "lost": lost,
        "dyno_to_first_answer_ms": round(statistics.median(waits) * 1000, 1),
        "worst_ms": round(max(waits) * 1000, 1),
    }


def tell(pipe: Connection, order: Route) -> None:
    """Have the router take a route."""
    pipe.send(order)
    pipe.recv()


def upload(pipe: Connection, megabytes: int) -> dict[str, object]:
    """Send a large body through; the router must not hold it."""
    pipe.send(route(SINK, "sink"))
    pipe.recv()
    pipe.send("figures")
    cpu, _, before = pipe.recv()
    sock = socket.create_connection(("127.0.0.1", ROUTER))
    sock.sendall(
        f"POST /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {megabytes * 2**20}\r\n\r\n".encode()
    )
    block, started, peak = b"x" * 2**20, time.monotonic(), before
    for i in range(megabytes):
        sock.sendall(block)
        if i % 20 == 0:
            pipe.send("figures")
            peak = max(peak, pipe.recv()[2])
    answer = sock.recv(65536)
    seconds = time.monotonic() - started
    pipe.send("figures")
    cpu_after, _, last = pipe.recv()
    return {
        "ok": answer.startswith(b"HTTP/1.1 200"),
        "mib": megabytes,
        "mib_per_second": round(megabytes / seconds),
        "rss_growth_mib": round((max(peak, last) - before) / 2**20, 1),
        "cpu_seconds": round(cpu_after - cpu, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--router", choices=["embedded", "haproxy"], default="embedded")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--processes", type=int, default=1, help="load generators")
    parser.add_argument("--runs", type=int, default=3, help="the median run is shown")
    parser.add_argument("--switch-requests", type=int, default=100_000)
    parser.add_argument("--upload-mib", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    ours, theirs = context.Pipe()
    with (
        process(serve, OLD, "old"),
        process(serve, NEW, "new"),
        process(swallow, SINK),
        process(run_proxy if options.router == "haproxy" else run_router, theirs) as router,
    ):
        ours.recv()
        runs = [
            throughput(ours, options.connections, options.seconds, options.processes)
            for _ in range(options.runs)
        ]
        runs.sort(key=lambda run: run["routed"]["requests_per_second"])
        figures = {
            "load": round(os.getloadavg()[0], 1),
            "throughput": runs[len(runs) // 2]
            | (
                {"bare": bare(options.connections, options.seconds, options.processes)}
                if options.router == "haproxy"
                else {}
            ),
            "switch": switching(ours, options.switch_requests),
            "trial": trials(ours),
            "nap": naps(ours),
            "upload": upload(ours, options.upload_mib),
        }
        ours.send("stop")
        router.join(10)  # it ends HAProxy
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def show(figures: dict) -> None:
    print(json.dumps(figures))
    print("\n| what | figure |\n|---|---:|")
    for section in ("throughput", "switch", "trial", "nap", "upload"):
        for key, value in figures[section].items():
            for name, figure in value.items() if isinstance(value, dict) else [("", value)]:
                print(f"| {section}: {key} {name} | {figure:,} |")


if __name__ == "__main__":
    main()
