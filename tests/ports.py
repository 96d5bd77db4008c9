"""Ports for servers that tests start."""

import random
import socket


def free_port() -> int:
    """A port that nobody listens on. It is not one that the system hands out to clients by itself, nor one that dynos are
    given, so that it is still free when the server that is to have it starts, and starts again."""
    while True:
        port = random.randrange(10_000, 20_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
