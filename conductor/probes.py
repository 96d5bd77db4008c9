"""Where a conductor that runs apart is asked whether it lives and works, and for its figures: an address of its own, which
no stranger should reach."""

import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connections

from conductor import figures, status
from core import metrics

if TYPE_CHECKING:
    from conductor.loop import Conductor

log = logging.getLogger(__name__)
SLACK = 30.0  # seconds that the last sweep of the one that leads may be over time


class Probes:
    """A small server in threads. `address` is HOST:PORT; `OSError` when it is taken."""

    def __init__(self, conductor: "Conductor", address: str) -> None:
        host, _, port = address.rpartition(":")

        class Handler(_Handler):
            of = conductor

        self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    of: "Conductor"
    timeout = 10

    def do_GET(self) -> None:
        try:
            if self.path == "/metrics":
                self._say(200, metrics.text(figures.registry()), metrics.TYPE)
            elif self.path == "/health/live":
                self._say(*((200, b"ok\n") if lives(self.of) else (503, b"not alive\n")))
            elif self.path == "/health/ready":
                self._say(*((200, b"ok\n") if ready(self.of) else (503, b"not ready\n")))
            else:
                self._say(404, b"There is nothing here.\n")
        except DatabaseError as error:
            log.warning("Not ready: %s", error)
            self._say(503, b"not ready\n")
        finally:
            connections.close_all()

    def log_message(self, format: str, *args: object) -> None:
        """No news."""

    def _say(self, code: int, body: bytes, type: str = "text/plain") -> None:
        self.send_response(code)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def lives(conductor: "Conductor") -> bool:
    """Whether its threads go round: one that leads has swept lately."""
    late = time.time() - conductor.swept > settings.SWEEP_SECONDS + SLACK
    return not (conductor.leads and conductor.swept and late)


def ready(conductor: "Conductor") -> bool:
    """Whether it works: it lives, and what it says of itself gets to where others read it."""
    return lives(conductor) and status.read() is not None
