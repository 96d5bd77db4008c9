"""People who watch one board: how long until each of them sees a change.

A real server on loopback; each watcher is a websocket that hears nudges and asks for the card again 100 ms after one,
as static/js/live.js does.
"""

import http.client
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PORT = int(os.environ.get("BENCH_PORT", "24950"))
GATHER = 0.1  # seconds in which live.js gathers nudges
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def server() -> Iterator[None]:
    """Daphne on the database that the environment names."""
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(PORT), "config.asgi:application"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=quiet, stderr=quiet)
    try:
        _await_port()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _await_port() -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {PORT}")


class Visitor:
    """Someone signed in, over HTTP."""

    def __init__(self, cookies: dict[str, str]) -> None:
        self.cookies = dict(cookies)
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)

    def ask(self, method: str, path: str, **form: str) -> str:
        """The text of the answer; a form is posted with its CSRF token."""
        headers = {"Host": f"localhost:{PORT}", "Cookie": self.cookie()}
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://localhost:{PORT}"}
        self.connection.request(method, path, urllib.parse.urlencode(form) if form else None, headers)
        answer = self.connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        text = answer.read().decode()
        if answer.status >= 400 or (method == "GET" and answer.status != 200):
            where = answer.getheader("Location", "")
            raise RuntimeError(f"{method} {path} answered {answer.status} {where}: {text[:300]}")
        return text

    def cookie(self) -> str:
        """All cookies as a header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


class Watcher(threading.Thread):
    """A page with the board on it. `seen` is when the card said `wanted`."""

    def __init__(self, cookies: dict[str, str], topics: list[str], app_topic: str, card: str) -> None:
        super().__init__(daemon=True)
        self.visitor, self.app_topic, self.card = Visitor(cookies), app_topic, card
        self.wanted, self.seen = "", 0.0
        self.hit = threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.buffer = b""
        self.socket.sendall(
            f"GET /ws/ HTTP/1.1\r\nHost: localhost:{PORT}\r\nOrigin: http://localhost:{PORT}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Version: 13\r\nCookie: {self.visitor.cookie()}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0] + b" ":
            raise RuntimeError(head.decode())
        data = json.dumps({"subscribe": topics}).encode()
        size = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
        self.socket.sendall(b"\x81" + size + bytes(4) + data)  # a mask of zeros

    def run(self) -> None:
        while True:
            if f'"{self.app_topic}"'.encode() in self._frame():
                time.sleep(GATHER)
                if self.wanted and self.wanted in self.visitor.ask("GET", self.card):
                    self.seen = time.perf_counter()
                    self.hit.set()

    def _frame(self) -> bytes:
        while True:
            if len(self.buffer) >= 2:
                size, start = self.buffer[1] & 127, 2
                if size == 126:
                    size, start = int.from_bytes(self.buffer[2:4], "big"), 4
                if len(self.buffer) >= start + size:
                    frame = self.buffer[start : start + size]
                    self.buffer = self.buffer[start + size :]
                    return frame
            more = self.socket.recv(65536)
            if not more:
                raise SystemExit
            self.buffer += more


def measure(pipeline: str, app: str, cookies: dict[str, str], *, watchers: int, rounds: int) -> list[float]:
    """Seconds from a press of the button until the last of the watchers has the card, a round each."""
    actor = Visitor(cookies)
    page = actor.ask("GET", f"/pipelines/{pipeline}/")
    topics = sorted(set(re.findall(r'data-live="([^"]+)"', page)))
    card = re.search(rf'data-live="(app:[^"]+)"[^>]*hx-get="(/apps/{app}/card/[^"]*)"', page)
    if card is None:
        raise RuntimeError(f"{app} is not on the board")
    watching = [Watcher(cookies, topics, card[1], card[2]) for _ in range(watchers)]
    for watcher in watching:
        watcher.start()
    time.sleep(1)  # subscriptions have been granted by then
    took = []
    for number in range(rounds):
        on = number % 2 == 0
        for watcher in watching:
            watcher.wanted, watcher.hit = ">Maintenance" if on else ">Live", threading.Event()
        form = actor.ask("GET", f"/apps/{app}/settings/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        pressed = time.perf_counter()
        actor.ask(
            "POST",
            f"/apps/{app}/maintenance/",
            csrfmiddlewaretoken=token[1] if token else "",
            on="1" if on else "",
        )
        if not all(watcher.hit.wait(10) for watcher in watching):
            raise RuntimeError("a watcher saw nothing within 10 seconds")
        took.append(max(watcher.seen for watcher in watching) - pressed)
    return took


def report(took: list[float], watchers: int, cards: int) -> bool:
    """Print the figures; whether the target is met."""
    worst = max(took)
    print(
        f"{watchers} watch a board of {cards}: the last sees a change after {statistics.median(took) * 1000:.0f} ms"
        f" (median of {len(took)}), {worst * 1000:.0f} ms at worst; target 1000 ms"
    )
    return worst < 1
