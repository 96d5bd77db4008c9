"""The router's times and sizes, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds, unless said otherwise."""

    connect: float = 5  # until a dyno accepts: H19
    first_byte: float = 30  # from the whole request sent to the first byte of its answer: H12
    idle: float = 55  # between any two bytes after that, tunnels too: H15, H28
    control: float = 3600  # both of these for the platform's own pages: a push streams a whole build
    header: float = 15  # for a client to send a whole head, and to finish its TLS handshake
    keep_alive: float = 75  # an unused connection of a client
    drain: float = 30  # `stop` waits so long for what is in flight
    linger: float = 2  # reads on after an early answer, so that the client gets to see it
    pooled_idle: float = 30  # an unused connection to a dyno
    pooled_fresh: float = 1  # how long after its last use it may carry a request that can't be repeated
    pooled: int = 64  # unused connections kept per dyno
    wake: float = 75  # for an app that sleeps to come up: H20
    waiting: int = 200  # requests that wait for one such app
    waiting_in_all: int = 2000
    connections: int = 10_000  # clients at a time; more wait in the kernel's queue
    app_head: int = 8 * 1024  # bytes of a request line, and of all headers together
    control_head: int = 64 * 1024
    response_head: int = 64 * 1024
    buffer: int = 64 * 1024  # bytes waiting for a slow reader before the writer is paused
