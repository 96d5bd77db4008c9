"""Receivers on loopback, for webhooks and log drains: they keep what they are sent, and answer as they are told."""

import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """An HTTP server. `answers` are used up one by one, then it answers `status`: a number is a status, a text is
    where to redirect to, a tuple is status, headers and body, `hang`, `drip`, `garbage` and `endless` are hostile."""

    def __init__(self, status: int = 200) -> None:
        self.received: list[Received] = []
        self.status: Any = status
        self.answers: list[Any] = []
        self.sent = 0  # bytes of an endless answer
        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": self}))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who hangs up early is us
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver = self.receiver
        answer = receiver.answers.pop(0) if receiver.answers else receiver.status
        receiver.received.append(Received(self.path, headers, body))
        getattr(self, f"_{answer}", lambda: self._plain(answer))()

    do_GET = do_POST

    def _plain(self, answer: Any) -> None:
        if isinstance(answer, tuple):
            self._whole(*answer)
            return
        self.send_response(answer if isinstance(answer, int) else 302)
        if isinstance(answer, str):
            self.send_header("Location", answer)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def _whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang(self) -> None:
        self.receiver.over.wait(30)

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.receiver.over.wait(0.05):
            self.wfile.write(b"X: y\r\n")

    def _garbage(self) -> None:
        self.wfile.write(b"\x00\xff nothing that was ever asked for\r\n\r\n")

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not self.receiver.over.is_set():
                self.receiver.sent += self.wfile.write(b"x" * 65536)
        except OSError:
            self.receiver.over.set()

    def log_message(self, *args: Any) -> None:
        pass


class SyslogReceiver:
    """Takes frames of `<length> <message>` over TCP, with TLS if there is a `context`."""

    def __init__(self, context: Any = None) -> None:
        self.messages: list[str] = []
        self.connections: list[socket.socket] = []
        self._context = context
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:
                if self._server.fileno() < 0:
                    return
                continue
            self.connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                while length := _length(stream):
                    self.messages.append(stream.read(length).decode())
        except OSError:
            return


def _length(stream: Any) -> int:
    digits = b""
    while (char := stream.read(1)) and char != b" ":
        digits += char
    return int(digits) if digits else 0


def frames(body: bytes) -> list[str]:
    """The messages of a body of `<length> <message>` frames."""
    found = []
    while body:
        length, _, rest = body.partition(b" ")
        found.append(rest[: int(length)].decode())
        body = rest[int(length) :]
    return found
